"""Changes that AWS makes, and those that it refuses: the code and the item, section by section."""

from __future__ import annotations

import pickle
from typing import Any

import msgspec
import pytest

from sgsim.errors import ChangeError
from sgsim.model import CidrPeer, Direction, Environment, SecurityGroup, parse_address, parse_cidr
from sgsim.model.apply import apply
from sgsim.model.changes import (
    AddInterface,
    Authorize,
    Change,
    ChangeOrigin,
    ChangeSet,
    CreateGroup,
    DeleteGroup,
    DescribeRule,
    ModifyRule,
    RemoveInterface,
    Revoke,
    SetEntries,
    SetGroups,
)
from sgsim.model.quotas import Quotas
from tests.changes.support import account, group, interface, rule

NEW = SecurityGroup("sg-new", (), "new", "for tests", vpc_id="vpc-1")


def authorize(*texts: str, to: str = "sg-web") -> Authorize:
    return Authorize(to, tuple(map(rule, texts)))


def revoke(*texts: str, of: str = "sg-web") -> Revoke:
    return Revoke(of, (), tuple(map(rule, texts)))


def new_group(**more: Any) -> CreateGroup:
    return CreateGroup(msgspec.structs.replace(NEW, **more))


def filled(count: int, text: str = "in tcp {} 10.0.0.0/8", more: tuple[str, ...] = ()) -> Environment:
    """The account with a group sg-full of that many rules."""
    environment = account()
    full = group("sg-full", *(text.format(n) for n in range(count)), *more)
    return apply(environment, ChangeSet((CreateGroup(full),), accepted=True))


#: section, change or changes, AWS's code, part of the message
REFUSED: list[tuple[str, Any, str, str]] = [
    # §1.6 duplicates
    ("1.6", authorize("in tcp 443 0.0.0.0/0"), "InvalidPermission.Duplicate",
     'the specified rule "peer: 0.0.0.0/0, TCP, from port: 443, to port: 443, ALLOW" already exists (sgr-web0'),
    ("1.6", authorize("in tcp 22 10.9.9.9/32", "in tcp 80 10.1.2.3/8"), "InvalidPermission.Duplicate", "10.0.0.0/8"),
    ("1.6", authorize("out all 0.0.0.0/0"), "InvalidPermission.Duplicate", "peer: 0.0.0.0/0, ALL, ALLOW"),
    ("1.6", authorize("in tcp 5432 sg-web", to="sg-db"), "InvalidPermission.Duplicate", "peer: sg-web, TCP"),
    ("1.6", authorize("in 50 10.0.0.0/8", "in 50 10.0.0.0/8"), "InvalidParameterValue", "must not appear multiple"),
    ("1.6", authorize("in tcp 22 10.0.0.1/8", "in tcp 22 10.0.0.2/8"), "InvalidParameterValue", "multiple times"),
    ("1.6", [authorize("in tcp 22 10.0.0.0/8"), authorize("in tcp 22 10.0.0.0/8")], "InvalidPermission.Duplicate", ""),
    # §1.6 revoke by exact match
    ("1.6", revoke("in tcp 443 10.0.0.0/8"), "InvalidPermission.NotFound", "does not exist in this security group"),
    ("1.6", revoke("out tcp 443 0.0.0.0/0"), "InvalidPermission.NotFound", "sg-web peer: 0.0.0.0/0, TCP"),
    ("1.6", revoke("in tcp 80 10.1.0.0/16"), "InvalidPermission.NotFound", "10.1.0.0/16"),
    ("1.6", Revoke("sg-web", (), (rule("in tcp 443 0.0.0.0/0", description="other"),)), "InvalidPermission.NotFound",
     "443"),
    ("1.6", Revoke("sg-home", ("sgr-00000000000000000",)), "InvalidSecurityGroupRuleId.NotFound", "'sgr-0000"),
    ("1.6", Revoke("sg-web", ("sgr-web2",), (), Direction.INGRESS), "InvalidSecurityGroupRuleId.NotFound", "sgr-web2"),
    ("1.6", DescribeRule("sg-web", "x", "sgr-web0", None, Direction.EGRESS), "InvalidSecurityGroupRuleId.NotFound", ""),
    ("1.6", Revoke("sg-web"), "MissingParameter", "sg-web"),
    ("1.6", Authorize("sg-web", ()), "MissingParameter", "sg-web"),
    # §1.6 modify
    ("1.6", ModifyRule("sg-web", "sgr-web0", rule("in tcp 443 ::/0")), "InvalidParameterValue",
     "You may not specify CidrIpv6 for an existing CidrIpv4 rule"),
    ("1.6", ModifyRule("sg-web", "sgr-web0", rule("in tcp 443 sg-db")), "InvalidParameterValue", "ReferencedGroupId"),
    ("1.6", ModifyRule("sg-db", "sgr-db1", rule("in tcp 1 10.0.0.0/8")), "InvalidParameterValue", "PrefixListId rule"),
    ("1.6", ModifyRule("sg-web", "sgr-web0", rule("in tcp 80 10.0.0.0/8")), "InvalidPermission.Duplicate", "sgr-web1"),
    ("1.6", ModifyRule("sg-web", "sgr-db0", rule("in tcp 80 10.0.0.0/8")), "InvalidSecurityGroupRuleId.NotFound", ""),
    ("1.6", DescribeRule("sg-web", "x", "", rule("in tcp 1 ::/0")), "InvalidPermission.NotFound", "::/0"),
    # §1.10 ids
    ("1.10", authorize("in tcp 1 ::/0", to="sg-0"), "InvalidGroup.NotFound", "group 'sg-0' does not exist"),
    ("1.10", authorize("in tcp 1 ::/0", to="web"), "InvalidGroupId.Malformed", 'Invalid id: "web"'),
    ("1.10", Revoke("sg-web", ("rule-1",)), "InvalidSecurityGroupRuleId.Malformed", "rule-1"),
    ("1.10", Revoke("sg-web", ("sgr-" + "0" * 18,)), "InvalidSecurityGroupRuleId.Malformed", ""),
    ("1.10", Revoke("sg-web", ("sgr-0zz",)), "InvalidSecurityGroupRuleId.NotFound", "sgr-0zz"),
    ("1.10", authorize("in tcp 22 sg-missing"), "InvalidGroup.NotFound", "sg-missing"),
    ("1.10", authorize("in tcp 22 sg-stranger"), "InvalidGroup.NotFound", "belong to different networks"),
    ("1.3", authorize("in tcp 22 pl-missing"), "InvalidPrefixListID.NotFound", "pl-missing"),
    ("1.10", SetGroups("eni-0", ("sg-web",)), "InvalidNetworkInterfaceID.NotFound", "eni-0"),
    ("1.10", SetGroups("eni-web", ("sg-web", "sg-0")), "InvalidGroup.NotFound", "sg-0"),
    ("1.9", SetGroups("eni-web", ("sg-stranger",)), "InvalidGroup.NotFound", "sg-stranger and eni-web"),
    ("1.10", RemoveInterface("eni-0"), "InvalidNetworkInterfaceID.NotFound", "eni-0"),
    ("1.10", DeleteGroup("sg-0"), "InvalidGroup.NotFound", "sg-0"),
    # §1.5 in use, §1.1 default
    ("1.5", DeleteGroup("sg-web"), "DependencyViolation", "it is on eni-web"),
    ("1.5", [SetGroups("eni-web", ("sg-idle",)), DeleteGroup("sg-web")], "DependencyViolation", "rule of sg-db refers"),
    ("1.9", DeleteGroup("sg-visitor"), "DependencyViolation", "associated with vpc-1"),
    ("1.1", DeleteGroup("sg-default"), "CannotDelete", "sg-default"),
    # §1.1 names
    ("1.10", new_group(name="WEB"), "InvalidGroup.Duplicate", "'WEB' already exists"),
    ("1.10", new_group(name="Default"), "InvalidGroup.Reserved", "Default"),
    ("1.1", new_group(name="sg-x"), "InvalidParameterValue", "sg-x"),
    ("1.1", new_group(name="wéb"), "InvalidParameterValue", "Invalid security group name"),
    ("1.1", new_group(name="x" * 256), "InvalidParameterValue", "name"),
    ("1.1", new_group(description=""), "MissingParameter", "description"),
    ("1.1", new_group(vpc_id="vpc-9"), "InvalidVpcID.NotFound", "vpc-9"),
    ("1.1", new_group(group_id="sg-web"), "InvalidGroup.Duplicate", "sg-web"),
    # §1.7 prefix lists
    ("1.7", SetEntries("pl-office", tuple(map(parse_cidr, ("10.1.0.0/16", "10.2.0.0/16")))),
     "PrefixListMaxEntriesExceeded", "3 entries, 2 are allowed"),
    ("1.3", SetEntries("pl-office", (), (parse_cidr("10.0.0.0/8"),)), "InvalidPrefixListModification", "10.0.0.0/8"),
    ("1.3", SetEntries("pl-office", (parse_cidr("::/0"),)), "InvalidParameterValue", "IPv4 only"),
    ("1.3", SetEntries("pl-missing"), "InvalidPrefixListID.NotFound", "pl-missing"),
    ("1.3", SetEntries("list"), "InvalidPrefixListId.Malformed", "list"),
    ("1.3", SetEntries("pl-s3", (parse_cidr("10.0.0.0/8"),)), "OperationNotPermitted", "pl-s3"),
    # interfaces
    ("5.3", AddInterface(interface("eni-web", "sg-web")), "InvalidParameterValue", "eni-web"),
    ("5.3", AddInterface(interface("eni-2", "sg-web", subnet_id="subnet-9")), "InvalidSubnetID.NotFound", "subnet-9"),
    ("5.3", AddInterface(msgspec.structs.replace(interface("eni-2", "sg-web"), addresses=(parse_address("10.0.1.1"),))),
     "InvalidParameterValue", "Address 10.0.1.1"),
    ("1.7", SetGroups("eni-web", ("sg-web", "sg-db", "sg-idle", "sg-default", "sg-visitor", "sg-x")),
     "InvalidGroup.NotFound", "sg-x"),
    ("1.10", SetGroups("eni-web", ()), "MissingParameter", "eni-web"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "changes", "code", "text"), REFUSED)
def test_refused(section: str, changes: Any, code: str, text: str) -> None:
    """docs/semantics.md §{section}: AWS's code, its words, and what it is about; nothing is applied."""
    environment = account()
    before = account()
    several = (
        tuple(changes) if isinstance(changes, list) else (authorize("in tcp 1 203.0.113.1/32", to="sg-idle"), changes)
    )
    with pytest.raises(ChangeError) as caught:
        apply(environment, ChangeSet(several))
    error = caught.value
    assert error.code == code and text in str(error) and "\n" not in str(error)
    assert error.item and str(error).startswith(f"change 2 of 2: {code}: ")
    assert environment == before


#: §1.7: the rules that a group has, what is added, and the code or "" where it is allowed
QUOTAS: list[tuple[str, Environment, Change, str]] = [
    ("60 IPv4 rules are allowed", filled(59), authorize("in tcp 99 10.0.0.0/8", to="sg-full"), ""),
    ("61 are not", filled(60), authorize("in tcp 99 10.0.0.0/8", to="sg-full"), "in"),
    ("IPv6 has its own count", filled(60), authorize("in tcp 99 ::/0", to="sg-full"), ""),
    ("and so has egress", filled(60), authorize("out tcp 99 10.0.0.0/8", to="sg-full"), ""),
    ("a group counts in both", filled(60), authorize("in tcp 99 sg-web", to="sg-full"), "in"),
    ("a group counts in both (IPv6)", filled(60, "in tcp {} ::/0"), authorize("in tcp 99 sg-web", to="sg-full"), "in"),
    ("a list counts with its maximum", filled(2), authorize("in tcp 99 pl-large", to="sg-full"), ""),
    ("not with its entries", filled(3), authorize("in tcp 99 pl-large", to="sg-full"), "in"),
    ("AWS's list: 1", filled(59), authorize("in tcp 99 pl-s3", to="sg-full"), ""),
    ("AWS's list: 55", filled(6), authorize("in tcp 99 pl-edge", to="sg-full"), "in"),
    ("over already, and more", filled(70), authorize("in tcp 99 10.0.0.0/8", to="sg-full"), "in"),
    ("over already, elsewhere more", filled(70), authorize("out tcp 99 10.0.0.0/8", to="sg-full"), ""),
    ("over already, less", filled(70), Revoke("sg-full", ("sgr-full0",)), ""),
    ("over already, the same", filled(70), ModifyRule("sg-full", "sgr-full0", rule("in tcp 99 10.0.0.0/8")), ""),
    (
        "a heavier list",
        filled(58, more=("in tcp 99 pl-s3",)),
        ModifyRule("sg-full", "sgr-full58", rule("in tcp 99 pl-office")),
        "",
    ),
    (
        "a list that is too heavy",
        filled(58, more=("in tcp 99 pl-s3",)),
        ModifyRule("sg-full", "sgr-full58", rule("in tcp 99 pl-large")),
        "in",
    ),
]


@pytest.mark.parametrize(("environment", "change", "code"), [row[1:] for row in QUOTAS], ids=[row[0] for row in QUOTAS])
def test_rule_quota(environment: Environment, change: Change, code: str) -> None:
    """§1.7: four counts of 60; what is over the quota stays, but does not grow; the quota is adjustable."""
    if code:
        with pytest.raises(ChangeError) as caught:
            apply(environment, change)
        assert caught.value.code == "RulesPerSecurityGroupLimitExceeded" and "sg-full would have" in str(caught.value)
        apply(environment, change, quotas=Quotas(rules_per_group=200))
        apply(environment, ChangeSet((change,), accepted=True))
    else:
        apply(environment, change)


def test_groups_per_interface() -> None:
    """§1.7: five, unless raised; an interface that has more may lose some."""
    extra = [group(f"sg-{n}") for n in range(7)]
    environment = apply(account(), ChangeSet(tuple(map(CreateGroup, extra))))
    ids = tuple(one.group_id for one in extra)
    assert apply(environment, SetGroups("eni-web", ids[:5])).interfaces["eni-web"].group_ids == ids[:5]
    with pytest.raises(ChangeError, match=r"^SecurityGroupsPerInterfaceLimitExceeded: .*eni-web would have 6, 5"):
        apply(environment, SetGroups("eni-web", ids[:6]))
    crowded = apply(environment, SetGroups("eni-web", ids), quotas=Quotas(groups_per_interface=16))
    assert len(apply(crowded, SetGroups("eni-web", ids[:6])).interfaces["eni-web"].group_ids) == 6
    with pytest.raises(ChangeError, match="SecurityGroupsPerInterfaceLimitExceeded"):
        apply(environment, AddInterface(interface("eni-9", *ids)))


def test_groups_per_region() -> None:
    with pytest.raises(ChangeError, match="SecurityGroupLimitExceeded"):
        apply(account(), CreateGroup(group("sg-9")), quotas=Quotas(groups_per_region=8))


def test_new_rules_are_named_by_content() -> None:
    """An id that AWS did not give cannot be taken for one of AWS's; given ids stay."""
    given = rule("in udp 53 10.1.2.3/8", rule_id="sgr-0a", description="dns")
    after = apply(
        account(), Authorize("sg-web", (rule("in icmp 8/0 10.0.0.0/8"), rule("in tcp 8000-8999 ::/0"), given))
    )
    added = {one.rule_id: one for one in after.groups["sg-web"].rules if not one.rule_id.startswith("sgr-web")}
    assert sorted(added) == ["sg-web/ingress/icmp/8/0/10.0.0.0/8", "sg-web/ingress/tcp/8000-8999/::/0", "sgr-0a"]
    assert all(one.group_id == "sg-web" for one in added.values()) and added["sgr-0a"].description == "dns"
    ids = [one.rule_id for one in after.groups["sg-web"].rules]
    assert ids == sorted(ids)
    with pytest.raises(ChangeError, match="in use already"):
        apply(after, Authorize("sg-web", (rule("in tcp 7 ::/0", rule_id="sgr-0a"),)))


def test_revoke_in_the_default_vpc() -> None:
    """§1.6: what matches no rule passes unnoticed there; what matches goes."""
    environment = account()
    assert apply(environment, revoke("in tcp 23 192.0.2.0/24", of="sg-home")) == environment
    after = apply(environment, revoke("in tcp 23 ::/0", "in tcp 22 192.0.2.7/24", of="sg-home"))
    assert after.groups["sg-home"].rules == ()


def test_revoke_by_id_and_by_description() -> None:
    environment = apply(account(), DescribeRule("sg-web", "public", "sgr-web0"))
    wanted = rule("in tcp 443 0.0.0.0/0", description="public")
    for change in (Revoke("sg-web", ("sgr-web0",)), Revoke("sg-web", (), (wanted,)), revoke("in tcp 443 0.0.0.0/0")):
        assert [one.rule_id for one in apply(environment, change).groups["sg-web"].rules] == ["sgr-web1", "sgr-web2"]
    recorded = msgspec.structs.replace(wanted, rule_id="sgr-0123")  # the export has no ids, the recording has
    assert len(apply(environment, Revoke("sg-web", (), (recorded,))).groups["sg-web"].rules) == 2


def test_modify_keeps_the_id() -> None:
    """§1.6: the whole body is replaced, description too; id and direction stay."""
    environment = apply(account(), DescribeRule("sg-web", "public", "sgr-web0"))
    after = apply(environment, ModifyRule("sg-web", "sgr-web0", rule("out tcp 8443 192.0.2.9/24")))
    changed = after.groups["sg-web"].rules[0]
    assert changed == rule("in tcp 8443 192.0.2.0/24", "sg-web", "sgr-web0")


def test_deletable_groups() -> None:
    """§1.5: a group that only itself refers to; one that another VPC's rules refer to (they go stale)."""
    environment = apply(account(), authorize("in tcp 22 sg-web", to="sg-peer"))
    assert "sg-idle" not in apply(environment, DeleteGroup("sg-idle")).groups
    free = apply(environment, ChangeSet((SetGroups("eni-web", ("sg-idle",)), revoke("in tcp 5432 sg-web", of="sg-db"))))
    after = apply(free, DeleteGroup("sg-web"))
    assert "sg-web" not in after.groups and after.groups["sg-peer"].rules[0].peer.group_id == "sg-web"
    assert "sg-web" in free.groups


def test_references_that_aws_allows() -> None:
    """§1.4: over an active peering, to an associated group, to another account; unknown lists if none is described."""
    for text in ("in tcp 22 sg-peer", "out tcp 22 sg-peer", "in tcp 22 sg-visitor", "in tcp 22 pl-edge"):
        apply(account(), authorize(text))
    foreign = rule("in tcp 22 sg-far")
    foreign = msgspec.structs.replace(foreign, peer=msgspec.structs.replace(foreign.peer, account_id="444455556666"))
    apply(account(), Authorize("sg-web", (foreign,)))
    apply(account(prefix_lists={}), authorize("in tcp 22 pl-unknown"))
    apply(account(closed=frozenset()), authorize("in tcp 22 sg-missing"))
    apply(account(peerings={}, peerings_described=False), authorize("in tcp 22 sg-stranger"))
    apply(account(gateways_described=False), authorize("in tcp 22 sg-stranger"))
    with pytest.raises(ChangeError, match="different networks"):
        apply(account(gateways_described=False), authorize("out tcp 22 sg-stranger"))


def test_entries() -> None:
    """Entries of a list are a set; a list whose entries the input lacks stays unknown."""
    environment = account()
    after = apply(environment, SetEntries("pl-office", (parse_cidr("10.0.0.0/8"), parse_cidr("192.0.2.0/24"))))
    assert list(map(str, after.prefix_lists["pl-office"].entries)) == ["10.0.0.0/8", "192.0.2.0/24"]
    hidden = ChangeSet((SetEntries("pl-edge", (parse_cidr("10.0.0.0/8"),)),), accepted=True)
    assert apply(environment, hidden).prefix_lists["pl-edge"].entries is None


def test_accepted_changes_are_not_questioned() -> None:
    """A recording is what AWS did: in use, default, too many, unknown references are no matter."""
    changes = (DeleteGroup("sg-web"), DeleteGroup("sg-default"), authorize("in tcp 22 sg-gone", to="sg-db"))
    after = apply(account(), ChangeSet(changes, accepted=True))
    assert after.groups.keys() == account().groups.keys() - {"sg-web", "sg-default"}
    with pytest.raises(ChangeError, match=r"InvalidGroup\.NotFound"):
        apply(account(), ChangeSet((DeleteGroup("sg-0"),), accepted=True))


def test_the_place_is_named() -> None:
    """Where a change was read from comes first; errors travel between processes."""
    change = DeleteGroup("sg-0", origin=ChangeOrigin(place="plan.json, [3]"))
    with pytest.raises(ChangeError) as caught:
        apply(account(), ChangeSet((change,)))
    assert str(caught.value) == "plan.json, [3]: InvalidGroup.NotFound: The security group 'sg-0' does not exist (sg-0)"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_impossible_rules_are_refused() -> None:
    with pytest.raises(ChangeError, match="InvalidParameterValue: ports belong to tcp and udp"):
        apply(account(), Authorize("sg-web", (msgspec.structs.replace(rule("in tcp 1 ::/0"), ports=None),)))


def test_most_of_the_environment_is_shared() -> None:
    """Nothing is copied: other groups and all interfaces are the same objects, and so are untouched rules."""
    before = apply(account(), authorize("in tcp 1 ::/0"))
    after = apply(before, authorize("in tcp 2 ::/0"))
    assert after.interfaces is before.interfaces and after.groups["sg-db"] is before.groups["sg-db"]
    assert set(map(id, before.groups["sg-web"].rules)) < set(map(id, after.groups["sg-web"].rules))
    assert isinstance(after.groups["sg-web"].rules[0].peer, CidrPeer)
