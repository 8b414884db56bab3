"""Requests to EC2's API → changes.

What AWS would look up is looked up in the environment: groups by name, the default VPC, an instance's interface, what
a new group has from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from sgsim.errors import ModelError
from sgsim.importers.permissions import body_rule, cidr_in, permission_rules
from sgsim.importers.problems import shown
from sgsim.importers.requests import (
    AuthorizeRequest,
    BadRequestError,
    CreateGroupRequest,
    CreateInterfaceRequest,
    DeleteGroupRequest,
    DeleteInterfaceRequest,
    DescribeRulesRequest,
    InstanceGroupsRequest,
    InterfaceGroupsRequest,
    ModifyListRequest,
    ModifyRulesRequest,
    Pair,
    Permission,
    Request,
    RevokeRequest,
)
from sgsim.importers.requests import IpRange as CidrRange
from sgsim.model import (
    Address,
    Cidr,
    CidrPeer,
    ConnectionTrackingTimeouts,
    Direction,
    Environment,
    GroupPeer,
    NetworkInterface,
    SecurityGroup,
    SecurityGroupRule,
    parse_address,
)
from sgsim.model.changes import (
    AddInterface,
    Authorize,
    Change,
    ChangeOrigin,
    CreateGroup,
    DeleteGroup,
    DescribeRule,
    ModifyRule,
    RemoveInterface,
    Revoke,
    SetEntries,
    SetGroups,
)
from sgsim.model.identity import content_id
from sgsim.model.refusals import group_named

__all__ = ["ActionReader"]

_MISSING, _VALUE = "MissingParameter", "InvalidParameterValue"


class ActionReader:
    """Reads requests one after the other; groups that one creates are known to those that follow."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._created: dict[str, SecurityGroup] = {}
        self._readers: dict[type[Request], Callable[[str, Any, ChangeOrigin], list[Change]]] = {
            AuthorizeRequest: self._authorize,
            RevokeRequest: self._revoke,
            ModifyRulesRequest: self._modify_rules,
            DescribeRulesRequest: self._describe_rules,
            CreateGroupRequest: self._create_group,
            DeleteGroupRequest: self._delete_group,
            InterfaceGroupsRequest: self._interface_groups,
            InstanceGroupsRequest: self._instance_groups,
            CreateInterfaceRequest: self._create_interface,
            DeleteInterfaceRequest: self._delete_interface,
            ModifyListRequest: self._modify_list,
        }

    def read(self, action: str, request: Request, origin: ChangeOrigin) -> list[Change]:
        """The changes that the request asks for; none if it changes nothing that decides a verdict.

        Raises BadRequestError.
        """
        return self._readers[type(request)](action, request, origin)

    def _authorize(self, action: str, request: AuthorizeRequest, origin: ChangeOrigin) -> list[Change]:
        group_id = self._group_id(request.group_id, request.group_name)
        return [Authorize(group_id, tuple(self._rules(action, group_id, request)), origin=origin)]

    def _revoke(self, action: str, request: RevokeRequest, origin: ChangeOrigin) -> list[Change]:
        group_id = self._group_id(request.group_id, request.group_name)
        rules: tuple[SecurityGroupRule, ...] = ()
        if not request.security_group_rule_ids or request.ip_permissions:
            rules = tuple(self._rules(action, group_id, request))
        return [Revoke(group_id, request.security_group_rule_ids, rules, _direction(action), origin=origin)]

    def _rules(self, action: str, group_id: str, request: AuthorizeRequest | RevokeRequest) -> list[SecurityGroupRule]:
        """The rules of the list and of the top level, of which one must be given."""
        single = self._single(request)
        if single is not None and request.ip_permissions:
            problem = "The parameters at the top level and IpPermissions cannot be given together"
            raise BadRequestError("", problem, "InvalidParameterCombination")
        if single is None and not request.ip_permissions:
            raise BadRequestError("", "The request must contain the parameter ipPermissions", _MISSING)
        if single is not None:
            return self._owned(group_id, permission_rules(group_id, _direction(action), single, self._peer_group))
        return self._listed(action, group_id, request.ip_permissions)

    def _listed(self, action: str, group_id: str, permissions: Iterable[Permission]) -> list[SecurityGroupRule]:
        rules = []
        for index, permission in enumerate(permissions):
            try:
                rules += permission_rules(group_id, _direction(action), permission, self._peer_group)
            except BadRequestError as bad:
                raise bad.under(f"IpPermissions[{index}]") from None
        return self._owned(group_id, rules)

    def _owned(self, group_id: str, rules: list[SecurityGroupRule]) -> list[SecurityGroupRule]:
        """The rules with the account of each group that they refer to, as AWS stores them: its owner, or one's own."""
        return [
            msgspec.structs.replace(
                rule, peer=msgspec.structs.replace(rule.peer, account_id=self._owner(rule, group_id))
            )
            if isinstance(rule.peer, GroupPeer) and rule.peer.account_id is None
            else rule
            for rule in rules
        ]

    def _owner(self, rule: SecurityGroupRule, group_id: str) -> str | None:
        assert isinstance(rule.peer, GroupPeer)
        for one in (rule.peer.group_id, group_id):
            group = self._environment.groups.get(one) or self._created.get(one)
            if group is not None and group.account_id is not None:
                return group.account_id
        return None

    def _single(self, request: AuthorizeRequest | RevokeRequest) -> Permission | None:
        """The permission at the top level; a group named there is granted everything (docs/semantics.md §1.8)."""
        name = request.source_security_group_name
        if name is not None:
            pair = Pair(group_name=name, user_id=request.source_security_group_owner_id)
            return Permission(request.ip_protocol or "-1", request.from_port, request.to_port, (), (), (), (pair,))
        if request.cidr_ip is None and request.ip_protocol is None and request.from_port is None:
            return None
        ranges = () if request.cidr_ip is None else (CidrRange(request.cidr_ip),)
        return Permission(request.ip_protocol, request.from_port, request.to_port, ranges)

    def _modify_rules(self, _: str, request: ModifyRulesRequest, origin: ChangeOrigin) -> list[Change]:
        if not request.security_group_rules:
            raise BadRequestError("", "The request must contain the parameter SecurityGroupRules", _MISSING)
        changes: list[Change] = []
        for index, update in enumerate(request.security_group_rules):
            path, rule_id = f"SecurityGroupRules[{index}]", update.security_group_rule_id
            if update.security_group_rule is None:
                raise BadRequestError(path, "The request must contain the parameter SecurityGroupRule", _MISSING)
            try:
                rule = body_rule(request.group_id, Direction.INGRESS, update.security_group_rule)
            except BadRequestError as bad:
                raise bad.under(f"{path}.SecurityGroupRule") from None
            (rule,) = self._owned(request.group_id, [rule])
            changes.append(ModifyRule(request.group_id, rule_id, rule, origin=origin))
        return changes

    def _describe_rules(self, action: str, request: DescribeRulesRequest, origin: ChangeOrigin) -> list[Change]:
        group_id = self._group_id(request.group_id, request.group_name)
        if not request.ip_permissions and not request.security_group_rule_descriptions:
            raise BadRequestError("", "The request must contain the parameter ipPermissions", _MISSING)
        return [
            *(
                DescribeRule(
                    group_id, one.description or "", one.security_group_rule_id, None, _direction(action), origin=origin
                )
                for one in request.security_group_rule_descriptions
            ),
            *(
                DescribeRule(group_id, rule.description, "", rule, origin=origin)
                for rule in self._listed(action, group_id, request.ip_permissions)
            ),
        ]

    def _create_group(self, _: str, request: CreateGroupRequest, origin: ChangeOrigin) -> list[Change]:
        """A new group lets everything out, over IPv6 only where its VPC has such a range (docs/semantics.md §1.1)."""
        name = (request.group_name or "").rstrip(" ")
        vpc_id = request.vpc_id or self._default_vpc()
        group_id = request.group_id or f"{vpc_id}/{'_'.join(name.split())}"
        vpc = self._environment.vpcs.get(vpc_id)
        families = {4} | {cidr.family for cidr in vpc.cidrs} if vpc else {4}
        rules = []
        for cidr in (Cidr(4, 0, 0), Cidr(6, 0, 0)):
            if cidr.family in families:
                rule = SecurityGroupRule("", group_id, Direction.EGRESS, None, CidrPeer(cidr))
                rules.append(SecurityGroupRule(content_id(rule), *_body(rule)))
        account_id, region = self.place(vpc_id)
        group = SecurityGroup(
            group_id, tuple(rules), name, request.description or "", account_id, region, vpc_id, origin=origin.place
        )
        self._created[group_id] = group
        return [CreateGroup(group, origin=origin)]

    def _delete_group(self, _: str, request: DeleteGroupRequest, origin: ChangeOrigin) -> list[Change]:
        return [DeleteGroup(self._group_id(request.group_id, request.group_name), origin=origin)]

    def _interface_groups(self, _: str, request: InterfaceGroupsRequest, origin: ChangeOrigin) -> list[Change]:
        if request.groups is None:
            return []
        return [SetGroups(request.network_interface_id, request.groups, origin=origin)]

    def _instance_groups(self, _: str, request: InstanceGroupsRequest, origin: ChangeOrigin) -> list[Change]:
        if request.groups is None:
            return []
        instance_id = request.instance_id
        found = [one for one in self._environment.interfaces.values() if one.instance_id == instance_id]
        if not found:
            problem = f"The instance ID '{shown(instance_id)[1:-1]}' does not exist"
            raise BadRequestError("InstanceId", problem, "InvalidInstanceID.NotFound")
        if len(found) > 1:
            raise BadRequestError(
                "InstanceId",
                f"{instance_id} has {len(found)} interfaces, and the input does not tell which is the primary one",
                advice="use ModifyNetworkInterfaceAttribute",
            )
        return [SetGroups(found[0].interface_id, request.groups, origin=origin)]

    def _create_interface(self, _: str, request: CreateInterfaceRequest, origin: ChangeOrigin) -> list[Change]:
        interface = self._new_interface(request)
        return [AddInterface(interface, origin=origin)]

    def _new_interface(self, request: CreateInterfaceRequest) -> NetworkInterface:
        for key, count in (
            ("SecondaryPrivateIpAddressCount", request.secondary_private_ip_address_count),
            ("Ipv6AddressCount", request.ipv6_address_count),
            ("Ipv4PrefixCount", request.ipv4_prefix_count),
            ("Ipv6PrefixCount", request.ipv6_prefix_count),
        ):
            if count:
                problem = "AWS would choose the addresses, and nobody can tell which"
                raise BadRequestError(key, problem, advice="name the addresses")
        addresses = _private_addresses(request)
        if not addresses:
            problem = "no address is given: AWS would choose one, and nobody can tell which"
            raise BadRequestError("", problem, advice="add PrivateIpAddress")
        subnet = self._environment.subnets.get(request.subnet_id)
        vpc_id = subnet.vpc_id if subnet else None
        account_id, region = self.place(vpc_id)
        timeouts = request.connection_tracking_specification
        return NetworkInterface(
            interface_id=request.network_interface_id or f"{request.subnet_id}/{addresses[0]}",
            addresses=addresses,
            group_ids=request.groups or self.default_group(vpc_id),
            prefixes=(
                *(cidr_in(one.ipv4_prefix, f"Ipv4Prefixes[{i}]", 4) for i, one in enumerate(request.ipv4_prefixes)),
                *(cidr_in(one.ipv6_prefix, f"Ipv6Prefixes[{i}]", 6) for i, one in enumerate(request.ipv6_prefixes)),
            ),
            vpc_id=vpc_id,
            subnet_id=request.subnet_id,
            account_id=account_id,
            region=(subnet.region if subnet else None) or region,
            interface_type=request.interface_type or "interface",
            description=request.description or "",
            timeouts=ConnectionTrackingTimeouts(
                timeouts.tcp_established_timeout, timeouts.udp_timeout, timeouts.udp_stream_timeout
            )
            if timeouts
            else ConnectionTrackingTimeouts(),
        )

    def _delete_interface(self, _: str, request: DeleteInterfaceRequest, origin: ChangeOrigin) -> list[Change]:
        return [RemoveInterface(request.network_interface_id, origin=origin)]

    def _modify_list(self, _: str, request: ModifyListRequest, origin: ChangeOrigin) -> list[Change]:
        if request.max_entries is not None:
            problem = "the size of a prefix list cannot be changed here"
            raise BadRequestError("MaxEntries", problem, advice="change MaxEntries in the environment's files")
        add = tuple(cidr_in(one.cidr, f"AddEntries[{i}].Cidr") for i, one in enumerate(request.add_entries))
        remove = tuple(cidr_in(one.cidr, f"RemoveEntries[{i}].Cidr") for i, one in enumerate(request.remove_entries))
        if len(add) > 100 or len(remove) > 100:
            problem = "The request cannot contain more than 100 entry additions or removals"
            raise BadRequestError("", problem, _VALUE)
        return [SetEntries(request.prefix_list_id, add, remove, origin=origin)] if add or remove else []

    def _group_id(self, group_id: str | None, name: str | None) -> str:
        if group_id:
            return group_id
        if not name:
            problem = "The request must contain the parameter groupName or groupId"
            raise BadRequestError("", problem, _MISSING)
        return self.named(name, "GroupName", None)

    def _peer_group(self, pair: Pair) -> str:
        return self.named(pair.group_name or "", "GroupName", pair.vpc_id)

    def named(self, name: str, path: str, vpc_id: str | None) -> str:
        """A group by name: one that was created before, or one of the default VPC, as in AWS."""
        created = [one.group_id for one in self._created.values() if one.name.casefold() == name.casefold()]
        if len(created) == 1:
            return created[0]
        defaults = [one.vpc_id for one in self._environment.vpcs.values() if one.is_default]
        for place in [vpc_id] if vpc_id else defaults:
            group = group_named(self._environment, place, name)
            if group is not None:
                return group.group_id
        where = f" '{defaults[0]}'" if len(defaults) == 1 else ""
        problem = f"The security group {shown(name)} does not exist in default VPC{where}"
        raise BadRequestError(path, problem, "InvalidGroup.NotFound", "name the group by its GroupId")

    def _default_vpc(self) -> str:
        defaults = [one.vpc_id for one in self._environment.vpcs.values() if one.is_default]
        if len(defaults) != 1:
            problem = "No VpcId is given, and the environment does not show one default VPC"
            raise BadRequestError("VpcId", problem, "VPCIdNotSpecified", "add VpcId")
        return defaults[0]

    def default_group(self, vpc_id: str | None) -> tuple[str, ...]:
        """The VPC's default group, which is taken where none is named. Raises BadRequestError."""
        group = group_named(self._environment, vpc_id, "default") if vpc_id else None
        if group is None:
            problem = "no group is given, and the VPC's default group is not in the environment"
            raise BadRequestError("Groups", problem, advice="name the groups")
        return (group.group_id,)

    def place(self, vpc_id: str | None) -> tuple[str | None, str | None]:
        """Account and Region of a VPC; where it is not described, those of the only account there is."""
        vpc = self._environment.vpcs.get(vpc_id or "")
        if vpc is not None:
            return vpc.account_id, vpc.region
        worlds = {(one.account_id, one.region) for one in self._environment.groups.values()}
        return next(iter(worlds)) if len(worlds) == 1 else (None, None)


def _direction(action: str) -> Direction:
    return Direction.EGRESS if action.endswith("Egress") else Direction.INGRESS


def _body(rule: SecurityGroupRule) -> tuple[Any, ...]:
    """All fields of a rule but its id."""
    return tuple(getattr(rule, name) for name in SecurityGroupRule.__struct_fields__[1:])


def _private_addresses(request: CreateInterfaceRequest) -> tuple[Address, ...]:
    """The primary IPv4 address, the others, then IPv6. Raises BadRequestError."""
    listed = [
        (one.private_ip_address, f"PrivateIpAddresses[{i}].PrivateIpAddress", bool(one.primary))
        for i, one in enumerate(request.private_ip_addresses)
    ]
    v4 = [(text, path) for text, path, _ in sorted(listed, key=lambda each: not each[2])]
    if request.private_ip_address is not None:
        v4.insert(0, (request.private_ip_address, "PrivateIpAddress"))
    v6 = [(one.ipv6_address, f"Ipv6Addresses[{i}].Ipv6Address") for i, one in enumerate(request.ipv6_addresses)]
    addresses = [_address(text, path, 4) for text, path in v4] + [_address(text, path, 6) for text, path in v6]
    return tuple(dict.fromkeys(addresses))


def _address(text: str, path: str, family: int) -> Address:
    try:
        address = parse_address(text)
    except (ModelError, ValueError):
        address = None
    if address is None or address.family != family:
        raise BadRequestError(path, f"Address {shown(text)} is not an IPv{family} address", _VALUE)
    return address
