"""What IAM is asked before a change is made: the requests of each call, by the table of actions (docs/iam.md A3).

A call is allowed if every one of its requests is.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sgsim.access.directory_calls import directory_call
from sgsim.access.launch_calls import launch_requests
from sgsim.access.requesting import action_requests
from sgsim.access.requests import AccessRequest
from sgsim.access.things import (
    Thing,
    group_thing,
    instance_thing,
    interface_thing,
    prefix_list_thing,
    rule_thing,
    subnet_thing,
    told,
    vpc_thing,
)
from sgsim.model import Direction, Environment, NetworkInterface, SecurityGroupRule
from sgsim.model.arns import resource_arn
from sgsim.model.changes import (
    AddInterface,
    Authorize,
    Change,
    CreateGroup,
    DeleteGroup,
    DescribeRule,
    ModifyRule,
    RemoveInterface,
    Revoke,
    RunInstances,
    SetEntries,
    SetGroups,
)
from sgsim.model.identity import same_content
from sgsim.model.rules import PrefixListPeer

__all__ = ["action_requests", "change_requests"]

_SUFFIX = {Direction.INGRESS: "Ingress", Direction.EGRESS: "Egress"}


def change_requests(environment: Environment, change: Change, account_id: str) -> tuple[AccessRequest, ...]:
    """The requests of a change, `environment` being that before it; `account_id` is the caller's.

    What a new thing will be called is not known: its ARN ends in `/*`. A change that no call of AWS's makes has none.
    """
    match change:
        case Authorize(group_id=group_id, rules=rules):
            return _rule_calls(environment, "AuthorizeSecurityGroup", group_id, rules, account_id)
        case Revoke(group_id=group_id):
            return _rule_calls(environment, "RevokeSecurityGroup", group_id, _revoked(environment, change), account_id)
        case DescribeRule(group_id=group_id):
            named = Revoke(group_id=group_id, rule_ids=(change.rule_id,) if change.rule_id else ())
            listed = [change.rule] if change.rule is not None else _revoked(environment, named)
            return _rule_calls(environment, "UpdateSecurityGroupRuleDescriptions", group_id, listed, account_id)
        case ModifyRule():
            return action_requests("ec2:ModifySecurityGroupRules", _modified(environment, change), account_id)
        case CreateGroup(group=group):
            place = (group.account_id or account_id, group.region)
            arn = resource_arn(group.region, place[0], "security-group", "*")
            things = [Thing("security-group", arn, told(Region=group.region), place[0])]
            things += [vpc_thing(environment, group.vpc_id, *place)] if group.vpc_id else []
            return action_requests("ec2:CreateSecurityGroup", things, account_id)
        case DeleteGroup(group_id=group_id):
            return action_requests("ec2:DeleteSecurityGroup", [group_thing(environment, group_id)], account_id)
        case SetGroups(interface_id=interface_id, group_ids=group_ids):
            if change.origin is not None and change.origin.event.startswith("ModifyInstanceAttribute"):
                interface = environment.interfaces.get(interface_id) or NetworkInterface(interface_id)
                things = [instance_thing(interface), *_groups(environment, group_ids)]
                return action_requests("ec2:ModifyInstanceAttribute", things, account_id)
            things = [interface_thing(environment, interface_id), *_groups(environment, group_ids)]
            return action_requests("ec2:ModifyNetworkInterfaceAttribute", things, account_id)
        case AddInterface(interface=interface):
            return action_requests(
                "ec2:CreateNetworkInterface", _new_interface(environment, interface, account_id), account_id
            )
        case RemoveInterface(interface_id=interface_id):
            things = [interface_thing(environment, interface_id)]
            return action_requests("ec2:DeleteNetworkInterface", things, account_id)
        case RunInstances():
            return launch_requests(environment, change, account_id)
        case SetEntries(prefix_list_id=list_id):
            region = _only_region(environment)
            thing = prefix_list_thing(environment, list_id, account_id, region)
            owned = thing._replace(account_id=thing.arn.split(":")[4])  # who may use a list may not change it
            return action_requests("ec2:ModifyManagedPrefixList", [owned], account_id)
        case _:
            call = directory_call(environment, change, account_id)
            if call is None:
                return ()
            requests = action_requests(call.action, call.things, account_id, call.facts)
            if call.owner in (None, account_id):
                return requests
            return tuple(msgspec.structs.replace(one, resource_account=call.owner) for one in requests)


def _rule_calls(
    environment: Environment, stem: str, group_id: str, rules: Iterable[SecurityGroupRule], account_id: str
) -> tuple[AccessRequest, ...]:
    """AWS has one call a direction; if nothing tells the direction, that is asked for which exists in either."""
    directions = sorted({rule.direction for rule in rules}) or list(Direction)
    things = [group_thing(environment, group_id)]
    return tuple(
        request
        for direction in directions
        for request in action_requests(f"ec2:{stem}{_SUFFIX[direction]}", things, account_id)
    )


def _revoked(environment: Environment, change: Revoke) -> list[SecurityGroupRule]:
    """The rules that go, as far as the environment tells."""
    group = environment.groups.get(change.group_id)
    present = group.rules if group is not None else ()
    named = [rule for rule in present if rule.rule_id in change.rule_ids]
    return named + [next((one for one in present if same_content(one, rule)), rule) for rule in change.rules]


def _modified(environment: Environment, change: ModifyRule) -> list[Thing]:
    group = group_thing(environment, change.group_id)
    things = [group, rule_thing(group, change.rule_id)]
    if isinstance(change.rule.peer, PrefixListPeer):
        region = group.facts.get("ec2:Region", (None,))[0]
        things.append(prefix_list_thing(environment, change.rule.peer.prefix_list_id, group.account_id, region))
    return things


def _groups(environment: Environment, group_ids: Iterable[str]) -> list[Thing]:
    return [group_thing(environment, group_id) for group_id in group_ids]


def _new_interface(environment: Environment, interface: NetworkInterface, account_id: str) -> list[Thing]:
    owner, region = interface.account_id or account_id, interface.region
    arn = resource_arn(region, owner, "network-interface", "*")
    things = [Thing("network-interface", arn, told(Region=region), owner)]
    if interface.subnet_id is not None:
        things.append(subnet_thing(environment, interface.subnet_id, owner, region))
    return things + _groups(environment, interface.group_ids)


def _only_region(environment: Environment) -> str | None:
    """Prefix lists do not tell their Region: that of all groups, if they have one."""
    regions = {group.region for group in environment.groups.values()}
    return next(iter(regions)) if len(regions) == 1 else None
