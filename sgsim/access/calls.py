"""What IAM is asked before a change is made: the requests of each call, by the table of actions (docs/iam.md A3).

A call is allowed if every one of its requests is.
"""

from __future__ import annotations

from collections.abc import Iterable

from sgsim.access.actions import action_table
from sgsim.access.directory_calls import directory_call
from sgsim.access.requests import AccessRequest
from sgsim.access.things import (
    Facts,
    Thing,
    group_thing,
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
            things = [interface_thing(environment, interface_id), *_groups(environment, group_ids)]
            return action_requests("ec2:ModifyNetworkInterfaceAttribute", things, account_id)
        case AddInterface(interface=interface):
            return action_requests(
                "ec2:CreateNetworkInterface", _new_interface(environment, interface, account_id), account_id
            )
        case RemoveInterface(interface_id=interface_id):
            things = [interface_thing(environment, interface_id)]
            return action_requests("ec2:DeleteNetworkInterface", things, account_id)
        case SetEntries(prefix_list_id=list_id):
            region = _only_region(environment)
            things = [prefix_list_thing(environment, list_id, account_id, region)]
            return action_requests("ec2:ModifyManagedPrefixList", things, account_id)
        case _:
            call = directory_call(environment, change, account_id)
            return () if call is None else action_requests(call.action, call.things, account_id, call.facts)


def action_requests(
    name: str, things: Iterable[Thing], account_id: str, facts: Facts | None = None
) -> tuple[AccessRequest, ...]:
    """One request for each thing that the action concerns, with the condition keys that its requests have.

    A kind of thing that the action needs and that is not among `things` is asked for as `*` of the caller's account;
    kinds that the action does not concern are left out. An action on no resource is one request on `*`.
    """
    action = action_table().actions[name]
    listed = list(things)
    region = next((one.facts["ec2:Region"][0] for one in listed if "ec2:Region" in one.facts), None)
    shared = {**(told(Region=region) if name.startswith("ec2:") else {}), **(facts or {})}
    if not action.resources:
        return (AccessRequest(action=name, context=_known(shared, action.keys) | _everywhere(name, region, None)),)
    found = []
    for kind, use in action.resources.items():
        touched = [one for one in listed if one.kind == kind]
        if not touched and use.required:
            touched = [Thing(kind, _any_arn(name, kind, region, account_id), {})]
        for thing in touched:
            context = _known({**shared, **thing.facts}, (*action.keys, *use.keys)) | _everywhere(name, region, thing)
            owner = thing.account_id if thing.account_id != account_id else None
            found.append(AccessRequest(action=name, resource=thing.arn, context=context, resource_account=owner))
    return tuple(found)


def _known(facts: Facts, keys: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Those of the facts that requests tell; a key such as `aws:ResourceTag/${TagKey}` stands for all its tags."""
    whole = {key for key in keys if "${" not in key}
    stems = tuple(key.partition("${")[0] for key in keys if "${" in key)
    return {key: values for key, values in facts.items() if key in whole or key.startswith(stems)}


def _everywhere(name: str, region: str | None, thing: Thing | None) -> dict[str, tuple[str, ...]]:
    """The keys that requests to every service have, as far as they are known (docs/iam.md A3.1)."""
    facts: dict[str, tuple[str, ...]] = {}
    served = "us-east-1" if name.startswith(("iam:", "organizations:")) else region
    if served is not None:
        facts["aws:RequestedRegion"] = (served,)
    account = thing.arn.split(":")[4] if thing is not None else ""
    if account.isdigit():
        facts["aws:ResourceAccount"] = (account,)
    return facts


def _any_arn(name: str, kind: str, region: str | None, account_id: str) -> str:
    """Some thing of a kind, from the table's pattern of its ARN."""
    pattern = action_table().resources[f"{name.partition(':')[0]}:{kind}"]
    filled = pattern.replace("${Partition}", "aws").replace("${Region}", region or "").replace("${Account}", account_id)
    return f"{filled.partition('${')[0]}*"


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
