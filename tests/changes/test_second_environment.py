"""A second environment as changes: the difference by content."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sgsim.errors import ChangeInputError, EnvironmentInputError
from sgsim.importers import read_environment
from sgsim.importers.changes import read_changes
from sgsim.importers.write import write_environment
from sgsim.model.apply import apply
from sgsim.model.changes import Authorize, Revoke, SetEntries
from tests.changes.support import account, bare

SHOP = Path(__file__).parents[2] / "pcaps" / "shop"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(SHOP, tmp_path / "shop")
    return tmp_path / "shop"


def test_the_same(copy: Path) -> None:
    """Without rule ids, too: describe-security-groups alone names the same rules."""
    shop = read_environment(SHOP)
    assert read_changes(copy, shop).changes == ()
    (copy / "security-group-rules.json").unlink()
    changes = read_changes(copy, shop)
    assert changes.changes == () and changes.notes == () and changes.accepted


def test_edited(copy: Path) -> None:
    """A port changed in both views, an entry added: revoke and authorize, and the list's new entry."""
    for name in ("security-groups", "security-group-rules"):
        text = (copy / f"{name}.json").read_text()
        (copy / f"{name}.json").write_text(text.replace('Port": 5432', 'Port": 5433'))
    entries = json.loads((copy / "pl-0ff1ce5a7d3e90b21.json").read_text())
    entries["Entries"].append({"Cidr": "192.0.2.0/24"})
    (copy / "pl-0ff1ce5a7d3e90b21.json").write_text(json.dumps(entries))
    shop, second = read_environment(SHOP), read_environment(copy)
    changes = read_changes(copy, shop)
    assert {type(one) for one in changes.changes} == {Authorize, Revoke, SetEntries}
    assert bare(apply(shop, changes)) == bare(second)


def test_a_single_file(copy: Path) -> None:
    """The output of one call is an environment: interfaces that it lacks are gone."""
    changes = read_changes(copy / "security-groups.json", read_environment(SHOP))
    assert len(changes) == len(read_environment(SHOP).interfaces)
    assert any("which no change expresses" in note for note in changes.notes)


def test_other_accounts(tmp_path: Path) -> None:
    write_environment(account(), tmp_path / "a")
    shop = read_environment(SHOP)
    text = (SHOP / "security-groups.json").read_text().replace("111122223333", "999999999999")
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(
        ChangeInputError, match=r"other\.json: this environment is of account 999999999999, .*; compare"
    ):
        read_changes(tmp_path / "other.json", shop)
    principals = {"UserDetailList": [{"UserName": "ada", "Arn": "arn:aws:iam::999999999999:user/ada"}]}
    (tmp_path / "principals.json").write_text(json.dumps(principals))
    alone = read_environment(tmp_path / "principals.json")
    with pytest.raises(ChangeInputError, match="is of account 111122223333, the first one of 999999999999"):
        read_changes(SHOP, alone)


def test_a_broken_environment(copy: Path) -> None:
    (copy / "security-groups.json").write_text('{"SecurityGroups": [{}]}')
    with pytest.raises(EnvironmentInputError):
        read_changes(copy, read_environment(SHOP))


def test_tags_of_a_group(copy: Path) -> None:
    """They are read and written, and no change expresses them: a note says so, and the group stays."""
    groups = json.loads((copy / "security-groups.json").read_text())
    groups["SecurityGroups"][0]["Tags"] = [{"Key": "team", "Value": "shop"}, {"Key": "env", "Value": ""}]
    (copy / "security-groups.json").write_text(json.dumps(groups))
    second = read_environment(copy)
    tagged = second.groups[groups["SecurityGroups"][0]["GroupId"]]
    assert tagged.tags == (("env", ""), ("team", "shop"))
    changes = read_changes(copy, read_environment(SHOP))
    assert changes.changes == ()
    assert any("differ in tags of groups" in note for note in changes.notes)
    write_environment(second, copy.parent / "written")
    assert read_environment(copy.parent / "written").groups[tagged.group_id].tags == tagged.tags
