"""What AWS refuses, with its own error codes (docs/semantics.md §1.6, §1.7, §1.10).

Each function looks at one change and the environment before it, and raises ChangeError or returns. None costs more
for a larger environment, except for the first question who uses a group, which builds an index.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from sgsim.errors import ChangeError
from sgsim.model.environment import Environment
from sgsim.model.identity import described, same_content
from sgsim.model.network import NetworkInterface, SecurityGroup
from sgsim.model.overlay import Overlay
from sgsim.model.quotas import BUCKETS, Quotas, rule_counts
from sgsim.model.rules import CidrPeer, Direction, GroupPeer, Peer, PrefixListPeer, SecurityGroupRule

__all__ = [
    "check_creation",
    "check_deletion",
    "check_duplicate",
    "check_entries",
    "check_interface",
    "check_interface_groups",
    "check_kind_of_peer",
    "check_new_groups",
    "check_references",
    "check_rule_quota",
    "group_named",
    "no_group",
    "no_rule",
]

_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-:/()#,@[]+=&;{}!$*")


def no_group(group_id: str) -> ChangeError:
    """The error for a group that is not there."""
    if not group_id.startswith("sg-"):
        return ChangeError("InvalidGroupId.Malformed", f'Invalid id: "{group_id}"', group_id)
    return ChangeError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist", group_id)


def no_rule(rule_id: str) -> ChangeError:
    """The error for a rule id that is not in the group; ids made from content have a slash."""
    if "/" not in rule_id and (not rule_id.startswith("sgr-") or len(rule_id) > len("sgr-") + 17):
        return ChangeError("InvalidSecurityGroupRuleId.Malformed", f'Invalid id: "{rule_id}"', rule_id)
    problem = f"The security group rule ID '{rule_id}' does not exist"
    return ChangeError("InvalidSecurityGroupRuleId.NotFound", problem, rule_id)


def check_duplicate(group: SecurityGroup, rule: SecurityGroupRule, but: SecurityGroupRule | None = None) -> None:
    """No other rule of the group has this content (§1.6)."""
    for known in group.rules:
        if known is not but and same_content(known, rule):
            raise ChangeError(
                "InvalidPermission.Duplicate",
                f'the specified rule "{described(rule)}" already exists',
                f"{known.rule_id} of {group.group_id}",
            )


def check_kind_of_peer(known: SecurityGroupRule, rule: SecurityGroupRule) -> None:
    """A modified rule keeps the kind of its peer, and of its direction (§1.6)."""
    old, new = _kind(known.peer), _kind(rule.peer)
    if old != new:
        raise ChangeError(
            "InvalidParameterValue",
            f"Invalid rule type for security group rule '{known.rule_id}'. You may not specify {new} for an existing "
            f"{old} rule.",
            known.rule_id,
        )


def _kind(peer: Peer) -> str:
    if isinstance(peer, CidrPeer):
        return f"CidrIpv{peer.cidr.family}"
    return "PrefixListId" if isinstance(peer, PrefixListPeer) else "ReferencedGroupId"


def check_references(environment: Environment, group: SecurityGroup, rules: Iterable[SecurityGroupRule]) -> None:
    """What new rules refer to exists, as far as the environment can tell (§1.4, §1.10)."""
    for rule in rules:
        peer = rule.peer
        if isinstance(peer, GroupPeer):
            _check_group_reference(environment, group, rule, peer)
        elif isinstance(peer, PrefixListPeer) and environment.prefix_lists:
            if not peer.prefix_list_id.startswith("pl-"):
                raise ChangeError(
                    "InvalidPrefixListId.Malformed", f'Invalid id: "{peer.prefix_list_id}"', peer.prefix_list_id
                )
            if peer.prefix_list_id not in environment.prefix_lists:
                raise ChangeError(
                    "InvalidPrefixListID.NotFound",
                    f"The prefix list ID '{peer.prefix_list_id}' does not exist",
                    peer.prefix_list_id,
                )


def _check_group_reference(
    environment: Environment, group: SecurityGroup, rule: SecurityGroupRule, peer: GroupPeer
) -> None:
    other = environment.groups.get(peer.group_id)
    if other is None:
        if environment.is_closed(peer.account_id or group.account_id, group.region):
            raise no_group(peer.group_id)
        return
    here = {group.vpc_id, *group.associated_vpc_ids}
    there = {other.vpc_id, *other.associated_vpc_ids}
    if None in here or None in there or here & there or not environment.peerings_described:
        return
    peered = any(
        peering.status in ("active", "") and {peering.requester_vpc_id, peering.accepter_vpc_id} - here <= there
        for peering in environment.peerings.values()
        if {peering.requester_vpc_id, peering.accepter_vpc_id} & here
    )
    if not peered and not (rule.direction is Direction.INGRESS and _share_gateway(environment, here, there)):
        raise ChangeError(
            "InvalidGroup.NotFound",
            "You have specified two resources that belong to different networks.",
            f"{group.group_id} and {peer.group_id}",
        )


def _share_gateway(environment: Environment, here: set[str | None], there: set[str | None]) -> bool:
    """Whether a transit gateway with references may join the two sides; unknown counts as yes."""
    if not environment.gateways_described:
        return True
    attachments = [one for one in environment.gateway_attachments.values() if one.references is not False]
    near, far = ({one.transit_gateway_id for one in attachments if one.vpc_id in side} for side in (here, there))
    return bool(near & far)


def check_rule_quota(
    environment: Environment,
    group: SecurityGroup,
    added: Iterable[SecurityGroupRule],
    removed: Iterable[SecurityGroupRule],
    quotas: Quotas,
) -> None:
    """No bucket of the group grows beyond the quota; one that is beyond it already must not grow (§1.7)."""
    lists = environment.prefix_lists
    known, more, less = (rule_counts(rules, lists) for rules in (group.rules, added, removed))
    for (direction, family), count, plus, minus in zip(BUCKETS, known, more, less):
        if plus > minus and count + plus - minus > quotas.rules_per_group:
            way = "inbound" if direction is Direction.INGRESS else "outbound"
            raise ChangeError(
                "RulesPerSecurityGroupLimitExceeded",
                "The maximum number of rules per security group has been reached.",
                f"{group.group_id} would have {count + plus - minus} {way} IPv{family} rules, "
                f"{quotas.rules_per_group} are allowed",
            )


def group_named(environment: Environment, vpc_id: str | None, name: str) -> SecurityGroup | None:
    """The group of a VPC with this name; case does not matter."""
    found = Overlay.of(environment.groups).having(_name_keys, (vpc_id, name.casefold()))
    return next(found, None)


def _name_keys(group: SecurityGroup) -> tuple[tuple[str | None, str], ...]:
    return ((group.vpc_id, group.name.casefold()),) if group.name else ()


def check_creation(environment: Environment, group: SecurityGroup, quotas: Quotas) -> None:
    """Name, description, VPC and number of groups (§1.1, §1.7, §1.10)."""
    for noun, text in (("name", group.name), ("description", group.description)):
        if not text:
            raise ChangeError("MissingParameter", f"The request must contain the group's {noun}", group.group_id)
        if len(text) > 255 or not _NAME_CHARACTERS.issuperset(text):
            raise ChangeError(
                "InvalidParameterValue",
                f"Invalid security group {noun}. Valid are up to 255 of a-z, A-Z, 0-9, space, ._-:/()#,@[]+=&;{{}}!$*",
                group.name[:80],
            )
    if group.name.startswith("sg-"):
        raise ChangeError("InvalidParameterValue", "Group names may not be in the format sg-*.", group.name)
    if group.name.casefold() == "default":
        raise ChangeError("InvalidGroup.Reserved", f"The security group '{group.name}' is reserved", group.name)
    if environment.vpcs and group.vpc_id not in environment.vpcs:
        raise ChangeError(
            "InvalidVpcID.NotFound", f"The vpc ID '{group.vpc_id}' does not exist", group.vpc_id or group.name
        )
    if group_named(environment, group.vpc_id, group.name) is not None:
        raise ChangeError(
            "InvalidGroup.Duplicate",
            f"The security group '{group.name}' already exists for VPC '{group.vpc_id}'",
            group.name,
        )
    if len(environment.groups) >= quotas.groups_per_region:
        place = (group.account_id, group.region)
        there = sum((one.account_id, one.region) == place for one in environment.groups.values())
        if there >= quotas.groups_per_region:
            raise ChangeError(
                "SecurityGroupLimitExceeded",
                "The maximum number of security groups has been reached.",
                f"{there} groups in {group.region or 'the Region'}",
            )


def check_deletion(environment: Environment, group: SecurityGroup) -> None:
    """The group is not the default one, and nothing uses it (§1.1, §1.5)."""
    group_id = group.group_id
    if group.name == "default":
        raise ChangeError(
            "CannotDelete", 'the specified group: "default" name: "default" cannot be deleted by a user', group_id
        )
    user = next(Overlay.of(environment.interfaces).having(_group_ids, group_id), None)
    if user is not None:
        raise _in_use(group_id, f"it is on {user.interface_id}")
    for other in Overlay.of(environment.groups).having(_referenced_ids, group_id):
        if other.group_id != group_id and other.vpc_id == group.vpc_id:
            raise _in_use(group_id, f"a rule of {other.group_id} refers to it")
    if group.associated_vpc_ids:
        raise _in_use(group_id, f"it is associated with {group.associated_vpc_ids[0]}")


def _in_use(group_id: str, why: str) -> ChangeError:
    return ChangeError("DependencyViolation", f"resource {group_id} has a dependent object", f"{group_id}: {why}")


def _group_ids(interface: NetworkInterface) -> tuple[str, ...]:
    return interface.group_ids


def _referenced_ids(group: SecurityGroup) -> frozenset[str]:
    return frozenset(rule.peer.group_id for rule in group.rules if type(rule.peer) is GroupPeer)


def check_interface_groups(
    environment: Environment, interface: NetworkInterface, group_ids: tuple[str, ...], quotas: Quotas
) -> None:
    """Groups that an interface is to carry: they exist, fit its VPC and are not too many (§1.7, §1.9)."""
    known = frozenset(interface.group_ids)
    for group_id in group_ids:
        group = environment.groups.get(group_id)
        if group is None:
            if group_id in known or not environment.is_closed(interface.account_id, interface.region):
                continue
            raise no_group(group_id)
        places = {group.vpc_id, *group.associated_vpc_ids}
        if interface.vpc_id is not None and None not in places and interface.vpc_id not in places:
            raise ChangeError(
                "InvalidGroup.NotFound",
                "You have specified two resources that belong to different networks.",
                f"{group_id} and {interface.interface_id}",
            )
    if len(group_ids) > quotas.groups_per_interface and len(group_ids) > len(known):
        raise ChangeError(
            "SecurityGroupsPerInterfaceLimitExceeded",
            "The maximum number of security groups per interface has been reached.",
            f"{interface.interface_id} would have {len(group_ids)}, {quotas.groups_per_interface} are allowed",
        )


def check_new_groups(environment: Environment, interface: NetworkInterface, quotas: Quotas) -> None:
    """The groups of an interface that is to be made: all of them are new to it."""
    bare = msgspec.structs.replace(interface, group_ids=())
    check_interface_groups(environment, bare, interface.group_ids, quotas)


def check_interface(environment: Environment, interface: NetworkInterface) -> None:
    """Subnet and addresses of a new interface; whether another one has an address already is not looked up."""
    subnet = environment.subnets.get(interface.subnet_id or "")
    if subnet is None:
        if environment.subnets and interface.subnet_id is not None:
            raise ChangeError(
                "InvalidSubnetID.NotFound",
                f"The subnet ID '{interface.subnet_id}' does not exist",
                interface.interface_id,
            )
        return
    for address in interface.addresses:
        blocks = [cidr for cidr in subnet.cidrs if cidr.family == address.family]
        if not any(cidr.contains(address) for cidr in blocks):
            raise ChangeError(
                "InvalidParameterValue",
                f"Address {address} does not fall within the subnet's address range",
                f"{interface.interface_id} in {subnet.subnet_id}",
            )


def check_entries(environment: Environment, prefix_list_id: str, add: Iterable[Any], remove: Iterable[Any]) -> None:
    """Entries of a customer's prefix list: removed ones are there, and the list is large enough."""
    prefix_list = environment.prefix_lists[prefix_list_id]
    if prefix_list.account_id == "AWS":
        raise ChangeError("OperationNotPermitted", "A prefix list that AWS manages cannot be modified", prefix_list_id)
    added, removed = set(add), set(remove)
    family = prefix_list.family
    for cidr in sorted(added | removed):
        if family is not None and cidr.family != family:
            raise ChangeError(
                "InvalidParameterValue", f"The prefix list {prefix_list_id} is for IPv{family} only", str(cidr)
            )
    if both := sorted(added & removed):
        raise ChangeError(
            "InvalidParameterValue", "The same CIDR cannot be added and removed in one request", str(both[0])
        )
    if prefix_list.entries is None:
        return
    known = frozenset(prefix_list.entries)
    if missing := sorted(removed - known):
        raise ChangeError(
            "InvalidPrefixListModification", f"The CIDR {missing[0]} does not exist.", f"{prefix_list_id} {missing[0]}"
        )
    size = len((known - removed) | added)
    if prefix_list.max_entries is not None and size > prefix_list.max_entries and size > len(known):
        raise ChangeError(
            "PrefixListMaxEntriesExceeded",
            "The maximum number of entries of the prefix list has been reached.",
            f"{prefix_list_id} would have {size} entries, {prefix_list.max_entries} are allowed",
        )
