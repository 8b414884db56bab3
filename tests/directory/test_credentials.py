"""Access keys and passwords: AWS's formats, hashes alone, and no secret anywhere but where it is told once (D)."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import re
import stat
from pathlib import Path

import pytest

from sgsim.access.authentication import authenticate, check_password
from sgsim.cli.main import run
from sgsim.errors import ModelError, SgsimError
from sgsim.importers import read_environment
from sgsim.importers.changes import read_changes
from sgsim.model.apply import apply
from sgsim.model.credentials import (
    COST,
    PasswordHash,
    Secret,
    SecretHash,
    new_access_key_id,
    new_salt,
    new_secret,
    new_unique_id,
)
from sgsim.model.difference import difference
from sgsim.model.directory_changes import CreateAccessKey
from tests.directory.support import arn, call, change, details, read, user

PASSWORD, SECOND = "Correct-Horse-7", "Battery-Staple-8"
ADA = arn("user", "ada")


def test_formats() -> None:
    """D1, D2: 20 characters from AKIA on, 40 of 64 characters, 21 of a unique id; none twice."""
    ids, secrets = {new_access_key_id() for _ in range(200)}, {new_secret().reveal() for _ in range(200)}
    assert all(re.fullmatch(r"AKIA[A-Z2-7]{16}", one) for one in ids) and len(ids) == 200
    assert all(re.fullmatch(r"[A-Za-z0-9/+]{40}", one) for one in secrets) and len(secrets) == 200
    assert re.fullmatch(r"AIDA[A-Z2-7]{17}", new_unique_id("AIDA")) and len(new_salt()) == 16


def test_scrypt_at_the_stated_cost() -> None:
    """D5: n = 2**17, r = 8, p = 1; a lower cost is for tests alone and is part of what is stored."""
    made = PasswordHash.of(Secret(PASSWORD), bytes(16))
    assert made.stored().startswith("scrypt$131072$") and COST == 2**17
    assert made.matches(Secret(PASSWORD)) and not made.matches(Secret(SECOND))
    cheap = PasswordHash.of(Secret(PASSWORD), bytes(16), cost=2**4)
    assert PasswordHash.read(cheap.stored()) == cheap and cheap.matches(Secret(PASSWORD)) and cheap != made


@pytest.mark.parametrize(
    "text", ["", "md5$x", "sha256$eA==", "scrypt$2$x$y", f"scrypt${2**30}$AAAA$AAAA", "scrypt$-1$$"]
)
def test_hashes_that_are_none(text: str) -> None:
    for kind in (SecretHash, PasswordHash):
        with pytest.raises(ModelError, match="is not the hash") as caught:
            kind.read(text)
        assert not text or text not in str(caught.value)


def test_authentication(tmp_path: Path) -> None:
    """By identifier and secret, only while the key is active; by the right password alone."""
    world = read(tmp_path / "world", details([user("ada"), user("bob")]))
    (tmp_path / "c.json").write_text(json.dumps([call("CreateAccessKey", UserName="ada")]))
    changes = read_changes(tmp_path / "c.json", world)
    (made,) = changes.changes
    assert isinstance(made, CreateAccessKey)
    after, key_id, secret = apply(world, changes), made.access_key_id, made.secret
    assert authenticate(after, key_id, secret) == authenticate(after, key_id, secret.reveal()) == ADA
    assert authenticate(after, key_id, "wrong") is authenticate(after, "AKIANONE", secret) is None
    assert authenticate(world, key_id, secret) is None
    off = change(tmp_path, after, call("UpdateAccessKey", AccessKeyId=key_id, Status="Inactive"))
    assert authenticate(off, key_id, secret) is None
    with_login = change(tmp_path, after, call("CreateLoginProfile", UserName="ada", Password=PASSWORD))
    assert check_password(with_login, ADA, PASSWORD) and not check_password(with_login, ADA, SECOND)
    assert not check_password(with_login, arn("user", "bob"), PASSWORD) and not check_password(with_login, "nobody", "")


def test_passwords_are_not_used_again(tmp_path: Path) -> None:
    """D3: as many as the account's policy says are remembered, by their hashes."""
    world = read(tmp_path / "world", details([user("ada")]))
    policy = call("UpdateAccountPasswordPolicy", PasswordReusePrevention=1)
    after = change(tmp_path, world, policy, call("CreateLoginProfile", UserName="ada", Password=PASSWORD))
    with pytest.raises(SgsimError, match="PasswordPolicyViolation: The password was used before"):
        change(tmp_path, after, call("UpdateLoginProfile", UserName="ada", Password=PASSWORD))
    later = change(tmp_path, after, call("UpdateLoginProfile", UserName="ada", Password=SECOND))
    login = later.directory.users[ADA].login
    assert login is not None and len(login.previous) == 1 and check_password(later, ADA, SECOND)


def test_a_secret_is_told_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """No secret, hash or password in output, logs, exceptions, repr or files, but for the one-time print and the file
    of hashes, which nobody else may read.
    """
    caplog.set_level(logging.DEBUG)
    read(tmp_path / "world", details([user("ada"), user("bob")]))
    requests = [
        call("CreateAccessKey", UserName="ada"),
        call("CreateLoginProfile", UserName="ada", Password=PASSWORD),
        call("UpdateLoginProfile", UserName="ada", Password=SECOND),
    ]
    file = tmp_path / "c.json"
    file.write_text(json.dumps(requests))
    new = tmp_path / "new"
    assert run(["apply", str(tmp_path / "world"), str(file), "-o", str(new)]) == 0
    answer = json.loads(capfd.readouterr().out)["AccessKey"]
    secret, key_id = answer["SecretAccessKey"], answer["AccessKeyId"]

    after = read_environment(new)
    assert authenticate(after, key_id, secret) == ADA and check_password(after, ADA, SECOND)
    hashes = [one["Hash"] for one in json.loads((new / "credentials.json").read_text())["SgsimCredentials"]]
    assert len(hashes) == 2 and stat.S_IMODE((new / "credentials.json").stat().st_mode) == 0o600
    hidden = [secret, PASSWORD, SECOND, *hashes, *(one.rpartition("$")[2] for one in hashes)]

    said: list[str] = []
    for arguments in (
        ["apply", str(tmp_path / "world"), str(file)],
        ["apply", str(tmp_path / "world"), str(new)],
        ["apply", str(new), str(tmp_path / "world")],
        ["whatif", str(tmp_path / "world"), str(file)],
        ["whatif", str(tmp_path / "world"), str(file), "--format", "json"],
        ["apply", str(new), str(new), "-o", str(tmp_path / "again")],
    ):
        assert run(arguments) == 0
        said += capfd.readouterr()
    bad = [
        [*requests, call("CreateUser", UserName="ada")],
        [*requests, call("CreateLoginProfile", UserName="bob", Password=PASSWORD[:5])],
        [{**requests[1], "Password": [PASSWORD]}],
        [{**requests[1], "Pasword": PASSWORD}],
        [requests[1], PASSWORD],
        [{**requests[1], "UserName": "eve"}],
    ]
    for document in bad:
        file.write_text(json.dumps(document))
        assert run(["apply", str(new if document is bad[0] else tmp_path / "world"), str(file)]) == 1
        said += capfd.readouterr()
    (tmp_path / "broken").mkdir()
    for path in new.iterdir():
        text = path.read_text()
        (tmp_path / "broken" / path.name).write_text(text.replace('"Hash": "s', '"Hash": "x'))
    assert run(["apply", str(tmp_path / "broken"), str(new)]) == 1
    said += capfd.readouterr()

    file.write_text(json.dumps(requests))
    world = read_environment(tmp_path / "world")
    changes = read_changes(file, world)
    things = (after, changes, difference(world, after), apply(world, changes), copy.deepcopy(after.directory))
    said += [text for one in things for text in (repr(one), str(one), f"{one}")]
    said += caplog.messages
    said += [path.read_text() for path in new.iterdir() if path.name != "credentials.json"]
    hidden += [one.secret.reveal() for one in changes.changes if isinstance(one, CreateAccessKey)]
    for text in said:
        assert [one for one in hidden if one in text] == []
    assert secret not in (new / "credentials.json").read_text()
    assert authenticate(pickle.loads(pickle.dumps(after)), key_id, secret) == ADA


def test_secrets_show_nothing() -> None:
    secret, held = Secret("hunter2"), PasswordHash.of(Secret("hunter2"), bytes(16), cost=2)
    assert repr(secret) == str(secret) == f"{secret}" == f"{secret!r:>8}".strip() == "<secret>"
    assert repr(held) == str(held) == "<PasswordHash>" and "hunter2" not in repr({"a": [secret, held]})
    assert secret == Secret("hunter2") and secret != Secret("hunter3") and secret != "hunter2"
    assert len({secret, Secret("hunter2")}) == 1
