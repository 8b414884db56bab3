"""Finding files, recognising listings, and what happens when a file is not what it should be (docs/environment.md)."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from sgsim.errors import EnvironmentInputError
from sgsim.importers import read_environment
from tests.importers.exports import group, groups_file, interface, permission, rule, write

WEB = groups_file(group(ingress=[permission(v4=["0.0.0.0/0"])]))


def refused(*paths: Path | str) -> EnvironmentInputError:
    with pytest.raises(EnvironmentInputError) as caught:
        read_environment(*paths)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 500 and caught.value.source and caught.value.advice
    return caught.value


def test_a_file_a_directory_or_several(tmp_path: Path) -> None:
    """Any *.json below a directory; a file may have any name; a file given twice is one."""
    write(tmp_path, x__y__groups=WEB, x__enis={"NetworkInterfaces": [interface()]})
    whole = read_environment(tmp_path)
    assert whole.groups.keys() == {"sg-web"} and whole.interfaces.keys() == {"eni-1"}
    parts = read_environment(tmp_path / "x/enis.json", tmp_path / "x/y", str(tmp_path / "x/y/groups.json"))
    assert (parts.groups, parts.interfaces) == (whole.groups, whole.interfaces)
    other = tmp_path / "groups.txt"
    other.write_text(json.dumps(WEB))
    assert read_environment(other).groups["sg-web"].rules == whole.groups["sg-web"].rules


def test_other_json_is_let_pass_in_a_directory(tmp_path: Path) -> None:
    """Route tables, package.json, a number: not ours. As the file asked for, it is an error."""
    write(tmp_path, groups=WEB, routes={"RouteTables": [{"a": 1}]}, number=3, text="x", none=None, items=[1, 2], e=[])
    write(tmp_path, data={"data": 3}, entries={"Entries": ["a"]}, list_={"data": [1]})
    assert read_environment(tmp_path).groups.keys() == {"sg-web"}
    for name in ("routes", "number", "items", "data"):
        assert "none of the listings" in refused(tmp_path / f"{name}.json").problem


def test_wrappers_and_bare_lists(tmp_path: Path) -> None:
    """Recorded answers {"status_code": …, "data": …} and a list printed by --query."""
    wrapped = {"status_code": 200, "data": {**WEB, "ResponseMetadata": {}}}
    write(tmp_path, a=wrapped)
    environment = read_environment(tmp_path)
    assert environment.groups["sg-web"].origin.endswith("a.json: data.SecurityGroups[0]")
    instance = {"InstanceId": "i-1", "NetworkInterfaces": [interface("eni-2", "10.0.0.6")]}
    write(
        tmp_path,
        a=WEB["SecurityGroups"],
        b=[rule("sgr-1")],
        c=[interface()],
        d=[instance],
        e=[{"SubnetId": "subnet-1", "VpcId": "vpc-1", "CidrBlock": "10.0.0.0/24"}],
        f=[{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"}],
        g=[{"PrefixListId": "pl-1", "Cidrs": ["10.0.0.0/8"]}],
        h=[{"GroupId": "sg-web", "VpcId": "vpc-2", "State": "associated"}],
    )
    write(tmp_path, **{"pl-2": [{"Cidr": "10.0.0.0/8"}]})
    environment = read_environment(tmp_path)
    assert environment.groups["sg-web"].rules[0].rule_id == "sgr-1"
    assert environment.groups["sg-web"].associated_vpc_ids == ("vpc-2",)
    assert environment.interfaces.keys() == {"eni-1", "eni-2"}
    assert environment.subnets.keys() == {"subnet-1"} and environment.vpcs.keys() == {"vpc-1"}
    assert environment.prefix_lists.keys() == {"pl-1", "pl-2"}
    write(tmp_path, a=[group(), group("sg-b", ingress=[{"IpProtocol": 6}])])
    assert refused(tmp_path / "a.json").where == "[1].IpPermissions[0].IpProtocol"


def test_gzip_and_windows_encodings(tmp_path: Path) -> None:
    """Compressed exports; PowerShell's `>` writes UTF-16 with a byte-order mark, editors UTF-8 with one."""
    text = json.dumps(WEB)
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(text.encode()))
    expected = read_environment(tmp_path).groups["sg-web"].rules
    for name, data in (("b", text.encode("utf-16")), ("c", text.encode("utf-8-sig"))):
        (tmp_path / f"{name}.json").write_bytes(data)
        assert read_environment(tmp_path / f"{name}.json").groups["sg-web"].rules == expected


# what is in the file | words in the message | place
UNREADABLE = [
    (b"", "the file is empty", ""),
    (b"  \n", "the file is empty", ""),
    (json.dumps(WEB, indent=1).encode()[:100], "stops in the middle", "line 6 byte 19"),
    (json.dumps(WEB).encode()[:-1], "stops in the middle", "line 1 byte"),
    (b'{"SecurityGroups": [{"GroupId": "sg-1', "stops in the middle", "line 1"),
    (b'{"SecurityGroups": [}', "not JSON", "line 1 byte 21"),
    (b'{"SecurityGroups": []} x', "not JSON", "line 1 byte 24"),
    (b'{"SecurityGroups": [],}', "not JSON", "line 1"),
    (b"SecurityGroups:\n- GroupId: sg-1\n", "not JSON", "line 1 byte 1"),
    (b'{"x": NaN, "SecurityGroups": []}', "'NaN' is not a JSON number", "line 1 byte 7"),
    (b'{"x": ' + b"[" * 200_000, "nested too deeply", ""),
    (b'{"SecurityGroups": ' + b'{"a":' * 200_000, "a list", "SecurityGroups"),
    (b'{"data": ' * 100_000, "nested too deeply", ""),
    (b"[" * 200_000, "nested too deeply", ""),
    (b'{"SecurityGroups": [{"GroupId": "sg-\xff"}]}', "not UTF-8", "line 1 byte 37"),
    (b'{"SecurityGroups": [{"GroupId": "\\ud800"}]}', "not JSON", ""),
    (b"\xff\xfe{\x00x", "not UTF-16", ""),
    (b"\x1f\x8b\x08\x00garbage", "cannot be read", ""),
    (gzip.compress(b"{}" * 500)[:-12], "cannot be read", ""),
    (b'{"SecurityGroups": null}', "expected a list, got null", "SecurityGroups"),
    (b'{"SecurityGroups": {"GroupId": "sg-1"}}', "expected a list, got an object", "SecurityGroups"),
    (b'{"SecurityGroups": "sg-1"}', "expected a list, got a string", "SecurityGroups"),
    (b'{"SecurityGroups": [{"GroupName": "x"}]}', "GroupId", "SecurityGroups[0]"),
    (b'{"SecurityGroups": [{"GroupId": 5}]}', "expected a string", "SecurityGroups[0].GroupId"),
    (b'{"data": {"SecurityGroups": [{"GroupId": 5}]}}', "expected a string", "data.SecurityGroups[0].GroupId"),
    (b'{"SecurityGroups": [{"GroupId": "sg-1", "IpPermissions": {}}]}', "list", "SecurityGroups[0].IpPermissions"),
    (b'{"SecurityGroups": [{"GroupId": " "}]}', "not an identifier", "SecurityGroups[0].GroupId"),
    (b'{"NetworkAcls": 3}', "expected a list", "NetworkAcls"),
    (b'{"Entries": [{"Cidr": 3}], "PrefixListId": "pl-1"}', "expected a string", "Entries[0].Cidr"),
    (b'{"SecurityGroupRules": [{"SecurityGroupRuleId": "sgr-1", "GroupId": "sg-1", "IsEgress": "no"}]}', "true", ""),
    (b'{"SgsimCollection": {"CollectedAt": "yesterday"}}', "not a date", "SgsimCollection[0].CollectedAt"),
]


@pytest.mark.parametrize(("content", "words", "place"), UNREADABLE)
def test_files_that_are_not_what_they_should_be(tmp_path: Path, content: bytes, words: str, place: str) -> None:
    write(tmp_path, a=WEB)
    (tmp_path / "b.json").write_bytes(content)
    error = refused(tmp_path)
    assert words in error.problem and place in error.where and error.source == f"{tmp_path}/b.json"


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "nowhere").problem
    assert "null byte" in refused("a\0b").problem
    assert "no *.json file" in refused(tmp_path).problem
    (tmp_path / "link.json").symlink_to(tmp_path / "gone.json")
    assert "No such file" in refused(tmp_path).problem
    with pytest.raises(EnvironmentInputError, match="no file or directory is given"):
        read_environment()


def test_files_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    write(tmp_path, a=WEB)
    monkeypatch.setattr(Path, "read_bytes", deny)
    assert "cannot be read (Permission denied)" in refused(tmp_path).problem


def test_linked_directories_are_followed_once(tmp_path: Path) -> None:
    write(tmp_path, real__a=WEB)
    (tmp_path / "real/loop").symlink_to(tmp_path)
    (tmp_path / "folder.json").mkdir()
    assert read_environment(tmp_path).groups.keys() == {"sg-web"}


def test_no_groups_at_all(tmp_path: Path) -> None:
    """Nothing can be judged without groups; an empty listing is most often the wrong Region."""
    write(tmp_path, a={"NetworkInterfaces": [interface()]})
    assert "no security groups are described" in refused(tmp_path).problem
    write(tmp_path, b={"SecurityGroups": []})
    error = refused(tmp_path)
    assert "empty" in error.problem and "Region" in error.advice
    write(tmp_path, c=WEB)
    assert read_environment(tmp_path).groups


def test_odd_file_names_can_be_printed(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.json"))
    path.write_bytes(b"{")
    message = str(refused(tmp_path))
    assert message.encode() and message.isprintable()
