"""Environments as AWS's JSON: read back they are what they were; the directory appears whole or not at all."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from random import Random

import msgspec
import pytest

from sgsim.errors import EnvironmentInputError, OutputError
from sgsim.importers import read_environment
from sgsim.importers.write import write_environment
from sgsim.model import ICMP, ICMPV6, TCP, UDP, Direction, Environment, IcmpType, PortRange, parse_cidr
from sgsim.model.acls import NetworkAcl, NetworkAclEntry
from sgsim.model.apply import apply
from sgsim.model.changes import Authorize, ChangeSet, CreateGroup, Revoke, SetEntries
from tests.changes.support import account, bare, distinct, rule
from tests.changes.test_laws import possible_changes

SHOP = Path(__file__).parents[2] / "pcaps" / "shop"


def same(one: Environment, other: Environment) -> bool:
    """Equal but for places, warnings and order."""
    parts = ("vpcs", "subnets", "peerings", "gateway_attachments", "mirror_sessions", "acls")
    plain = [
        {
            name: {key: msgspec.structs.replace(value, origin="") for key, value in getattr(each, name).items()}
            for name in parts
        }
        for each in (one, other)
    ]
    flags = ("closed", "peerings_described", "gateways_described", "collected_at")
    ids = [{rule.rule_id for group in each.groups.values() for rule in group.rules} for each in (one, other)]
    return (
        bare(one) == bare(other)
        and plain[0] == plain[1]
        and ids[0] == ids[1]
        and all(getattr(one, name) == getattr(other, name) for name in flags)
    )


def test_the_shop_changed(tmp_path: Path) -> None:
    """read(write(apply(shop))) == apply(shop): ids that AWS gave stay, new ones are read back."""
    shop = read_environment(SHOP)
    group_id, other_id = sorted(shop.groups)[:2]
    after = apply(
        shop,
        ChangeSet(
            (
                Authorize(group_id, (rule("in tcp 8443 2001:db8::/32", description="new & <old>"),)),
                Revoke(other_id, (shop.groups[other_id].rules[0].rule_id,)),
                SetEntries("pl-0ff1ce5a7d3e90b21", (parse_cidr("192.0.2.0/24"),)),
                CreateGroup(msgspec.structs.replace(shop.groups[group_id], group_id="vpc/new", name="new", rules=())),
            ),
            accepted=True,
        ),
    )
    write_environment(after, tmp_path / "new")
    assert same(read_environment(tmp_path / "new"), after) and not same(read_environment(tmp_path / "new"), shop)
    assert (tmp_path / "new" / "security-groups.json").exists()


def representable(seed: int) -> Environment:
    """A random environment without what no export can hold."""
    environment = distinct(seed)
    groups = {
        key: msgspec.structs.replace(
            one,
            defined=one.defined or not one.rules,
            classic=(one.defined or not one.rules) and one.vpc_id is None and not any(r.direction for r in one.rules),
        )
        for key, one in environment.groups.items()
    }
    groups = {key: one if one.defined else msgspec.structs.replace(one, name="", vpc_id=None)
              for key, one in groups.items()}  # fmt: skip
    interfaces = {key: msgspec.structs.replace(one, instance_type=None) for key, one in environment.interfaces.items()}
    lists = {key: msgspec.structs.replace(one, family=one.family or 4) for key, one in environment.prefix_lists.items()}
    return replace(environment, groups=groups, interfaces=interfaces, prefix_lists=lists)


@pytest.mark.parametrize("seed", range(60))
def test_random_environments(tmp_path: Path, seed: int) -> None:
    """Several accounts, holes in the input, unknown groups, half-told peers: all survive, and so do changes of them."""
    rng, environment = Random(seed), representable(seed)
    write_environment(environment, tmp_path / "a")
    assert same(read_environment(tmp_path / "a"), environment)
    after = possible_changes(environment, rng, 8)[1]
    try:
        write_environment(after, tmp_path / "b")
    except OutputError as error:  # a group known from its rules alone has lost the last of them
        assert "cannot" in str(error) and not (tmp_path / "b").exists()
        assert any(not one.defined or one.vpc_id is None for one in after.groups.values())
    else:
        assert same(read_environment(tmp_path / "b"), after)


def test_foreign_exports(tmp_path: Path) -> None:
    """Every folder of recorded answers that can be read can be written, and is read back the same."""
    if "SGSIM_TEST_DATA" not in os.environ:
        pytest.skip("SGSIM_TEST_DATA does not name the directory of external test data")
    root = Path(os.environ["SGSIM_TEST_DATA"], "aws")
    written = 0
    for number, folder in enumerate(sorted({path.parent for path in root.rglob("*.json")})):
        try:
            environment = read_environment(folder)
        except EnvironmentInputError:
            continue
        write_environment(environment, tmp_path / str(number))
        assert same(read_environment(tmp_path / str(number)), environment), folder
        written += 1
    assert written > 100


def test_never_mixed_with_another(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "x").touch()
    (tmp_path / "file").touch()
    for name in ("old", "file"):
        with pytest.raises(OutputError, match="exists already"):
            write_environment(account(), tmp_path / name)
    with pytest.raises(OutputError, match="cannot be written"):
        write_environment(account(), tmp_path / "missing" / "new")
    (tmp_path / "empty").mkdir()
    write_environment(account(), tmp_path / "empty")
    assert same(read_environment(tmp_path / "empty"), account())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "old"]


def test_what_cannot_be_said_is_not_written(tmp_path: Path) -> None:
    """A group known from rules alone that has lost them: AWS's JSON has no words for it."""
    undefined = msgspec.structs.replace(account().groups["sg-web"], defined=False, rules=())
    environment = replace(account(), groups={**account().groups, "sg-web": undefined})
    with pytest.raises(OutputError, match="cannot hold sg-web of groups"):
        write_environment(environment, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="cannot be written as AWS's JSON"):
        write_environment(Environment(), tmp_path / "new")


def test_network_acls(tmp_path: Path) -> None:
    """§4: entries of both directions and families, all and some ports, ICMP types and codes, the last entry."""
    anywhere, anywhere6 = parse_cidr("0.0.0.0/0"), parse_cidr("::/0")
    entries = (
        NetworkAclEntry(90, Direction.INGRESS, False, TCP, parse_cidr("203.0.113.0/24"), ports=PortRange(22, 22)),
        NetworkAclEntry(95, Direction.INGRESS, True, UDP, anywhere),
        NetworkAclEntry(100, Direction.INGRESS, True, ICMP, anywhere, icmp=IcmpType(3, 4)),
        NetworkAclEntry(101, Direction.INGRESS, True, ICMPV6, anywhere6, icmp=IcmpType(128, None)),
        NetworkAclEntry(102, Direction.INGRESS, True, ICMP, anywhere),
        NetworkAclEntry(32767, Direction.INGRESS, False, None, anywhere),
        NetworkAclEntry(100, Direction.EGRESS, True, 47, anywhere6),
    )
    acls = {
        "acl-1": NetworkAcl("acl-1", entries, ("subnet-1", "subnet-2"), "vpc-1", is_default=True),
        "acl-2": NetworkAcl("acl-2"),
    }
    environment = replace(account(), acls=acls)
    write_environment(environment, tmp_path / "new")
    assert same(read_environment(tmp_path / "new"), environment) and not same(environment, account())


def test_the_default_vpc_is_known(tmp_path: Path) -> None:
    """§1.6: what revoke does depends on it; `IsDefault` is read, written, and absent where nobody told."""
    write_environment(account(), tmp_path / "new")
    found = read_environment(tmp_path / "new").vpcs
    assert [found[f"vpc-{n}"].is_default for n in range(4)] == [True, False, False, False]
    assert read_environment(SHOP).vpcs["vpc-0a1f6c2d9e8b73450"].is_default is False
