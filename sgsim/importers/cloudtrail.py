"""CloudTrail's records of EC2 calls → changes (docs/semantics.md §5.9).

A record spells parameters in its own way: lower camel case, lists as `{"items": […]}` or, where a list has one
element, without a list, some requests under a wrapper. `fitted` brings them into the shape of the API's own JSON.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Union, get_args, get_origin

import msgspec

from sgsim.importers import aws_json
from sgsim.importers.actions import ActionReader
from sgsim.importers.documents import wrong_type
from sgsim.importers.network import interface_fields
from sgsim.importers.problems import BadFieldError, shown
from sgsim.importers.requests import REQUESTS
from sgsim.importers.rules import RuleReader
from sgsim.model import Environment, NetworkInterface, SecurityGroupRule
from sgsim.model.changes import AddInterface, Authorize, Change, ChangeOrigin, Revoke

__all__ = ["EventReader", "fitted"]

#: Names in records that differ from the API's in more than case.
_ALIASES = {
    "groups": ("groupset", "groupidset", "securitygroupidset", "groupid", "securitygroupid"),
    "useridgrouppairs": ("groups",),
    "description": ("groupdescription",),
    "securitygrouprules": ("securitygrouprule", "securitygroupruleset", "revokedsecuritygroupruleset"),
    "securitygroupruleids": ("securitygroupruleid",),
    "securitygroupruledescriptions": ("securitygroupruledescription",),
    "addentries": ("addentry",),
    "removeentries": ("removeentry",),
    "privateipaddresses": ("privateipaddressesset",),
    "ipv6addresses": ("ipv6addressesset",),
    "ipv4prefixes": ("ipv4prefixset",),
    "ipv6prefixes": ("ipv6prefixset",),
    "networkinterfaces": ("networkinterfaceset",),
    "instances": ("instancesset",),
}

#: Calls that change something that decides verdicts, but that no change here expresses.
_BEYOND = frozenset(
    """
    AcceptVpcPeeringConnection AssignIpv6Addresses AssignPrivateIpAddresses AssociateSecurityGroupVpc
    AssociateSubnetCidrBlock AssociateVpcCidrBlock CreateManagedPrefixList CreateSubnet CreateTransitGateway
    CreateTransitGatewayVpcAttachment CreateVpc DeleteManagedPrefixList DeleteSubnet DeleteTransitGateway
    DeleteTransitGatewayVpcAttachment DeleteVpc DeleteVpcPeeringConnection DisassociateSecurityGroupVpc
    DisassociateSubnetCidrBlock DisassociateVpcCidrBlock ModifyTransitGateway ModifyTransitGatewayVpcAttachment
    RestoreManagedPrefixListVersion TerminateInstances UnassignIpv6Addresses UnassignPrivateIpAddresses
    """.split()  # noqa: SIM905
)


class _RuleSet(aws_json.Wire):
    security_group_rules: tuple[aws_json.SecurityGroupRule, ...] = ()


class _Launched(aws_json.Wire):
    owner_id: str | None = None
    instances: tuple[aws_json.Instance, ...] = ()


class EventReader:
    """Reads events in any order; `notes` counts what was left out, and names what could not be understood."""

    def __init__(self, environment: Environment) -> None:
        self._actions = ActionReader(environment)
        self._rules = RuleReader()
        self._accounts = {one.account_id for one in environment.groups.values()}
        self._regions = {one.region for one in environment.groups.values()}
        self._seen: set[str] = set()
        self._left_out: dict[str, int] = {}
        self._not_understood: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """One line for each event that was not understood, and one for each cause of leaving events out."""
        counts = ((f"{count} event{'' if count == 1 else 's'}", why) for why, count in self._left_out.items())
        return (*self._not_understood, *(f"{counted} left out: {why}" for counted, why in counts))

    def read(self, event: dict[str, Any], place: str) -> list[Change]:
        """The changes of one event; `place` is the file and where the event stands in it."""
        name, event_id = event.get("eventName"), _text(event.get("eventID"))
        label = f"{place}, event {event_id}" if event_id else place
        if event_id:
            if event_id in self._seen:
                return self._leave_out("delivered twice")
            self._seen.add(event_id)
        if not isinstance(name, str):
            return self._give_up(label, "an event", f"eventName: {shown(name)} is not a name")
        if why := self._irrelevant(event):
            return self._leave_out(why)
        if name in _BEYOND:
            return self._give_up(label, name, "no change here expresses what it did")
        if name not in REQUESTS:
            return self._leave_out("calls that change no verdict")
        try:
            return self._changes(name, event, label)
        except BadFieldError as bad:
            return self._give_up(label, name, f"{bad.path}: {bad.problem}" if bad.path else bad.problem)

    def _irrelevant(self, event: dict[str, Any]) -> str:
        """Why an event cannot concern the environment, "" if it may."""
        if event.get("eventSource", "ec2.amazonaws.com") != "ec2.amazonaws.com":
            return "of other services"
        if event.get("errorCode"):
            return "failed calls"
        for key, known, noun in (
            ("recipientAccountId", self._accounts, "accounts"),
            ("awsRegion", self._regions, "Regions"),
        ):
            told = event.get(key)
            if isinstance(told, str) and None not in known and known and told not in known:
                return f"of other {noun}"
        return ""

    def _leave_out(self, why: str) -> list[Change]:
        self._left_out[why] = self._left_out.get(why, 0) + 1
        return []

    def _give_up(self, label: str, name: str, why: str) -> list[Change]:
        self._not_understood.append(f"{label}: {name} is not understood and left out ({why})")
        return []

    def _changes(self, name: str, event: dict[str, Any], label: str) -> list[Change]:
        origin = _origin(name, event, label)
        response = event.get("responseElements")
        response = response if isinstance(response, dict) else {}
        if name == "RunInstances":
            return self._launched(response, event, origin)
        parameters = event.get("requestParameters")
        if not isinstance(parameters, dict):
            raise BadFieldError("requestParameters", "the object is missing")
        parameters, response = _unwrapped(parameters, f"{name}Request"), _unwrapped(response, f"{name}Response")
        if name.startswith(("Authorize", "Revoke")) and (rules := self._recorded_rules(response)):
            kind: Any = Authorize if name.startswith("Authorize") else Revoke
            group_id = rules[0].group_id
            return [kind(group_id, rules=rules, origin=origin)]
        if name == "CreateNetworkInterface" and isinstance(card := response.get("networkInterface"), dict):
            return [AddInterface(self._interface(card, event), origin=origin)]
        request = _converted(parameters, REQUESTS[name], "requestParameters")
        if request.dry_run:
            return self._leave_out("dry runs")
        if name == "CreateSecurityGroup" and isinstance(response.get("groupId"), str):
            request = msgspec.structs.replace(request, group_id=response["groupId"])
        changes = self._actions.read(name, request, origin)
        return changes or self._leave_out("calls that change no verdict")

    def _recorded_rules(self, response: dict[str, Any]) -> tuple[SecurityGroupRule, ...]:
        """The rules in an answer, with the ids that AWS gave them; empty if the answer has none."""
        found = _converted(response, _RuleSet, "responseElements", _with_referenced_group)
        rules = []
        for index, wire in enumerate(found.security_group_rules):
            try:
                read = self._rules.single_rule(wire)
            except BadFieldError as bad:
                raise bad.under(f"responseElements.securityGroupRuleSet.items[{index}]") from None
            if read is not None:
                rules.append(read[1])
        return tuple(rules)

    def _launched(self, response: dict[str, Any], event: dict[str, Any], origin: ChangeOrigin) -> list[Change]:
        launched = _converted(response, _Launched, "responseElements")
        changes: list[Change] = []
        for instance in launched.instances:
            told = {"instance_id": instance.instance_id, "instance_type": instance.instance_type}
            for card in instance.network_interfaces:
                fields = interface_fields(card)
                changes.append(AddInterface(_placed(fields | told, event, launched.owner_id), origin=origin))
        if not changes:
            raise BadFieldError("responseElements.instancesSet", "it names no network interface")
        return changes

    def _interface(self, card: dict[str, Any], event: dict[str, Any]) -> NetworkInterface:
        wire = _converted(card, aws_json.NetworkInterface, "responseElements.networkInterface")
        return _placed(interface_fields(wire), event, None)


def _placed(fields: dict[str, Any], event: dict[str, Any], account_id: str | None) -> NetworkInterface:
    """An interface, in the account and Region of the event where it tells none."""
    for name, value in (
        ("account_id", account_id or event.get("recipientAccountId")),
        ("region", event.get("awsRegion")),
    ):
        if isinstance(value, str) and name not in fields:
            fields[name] = value
    return NetworkInterface(**fields)


def _origin(name: str, event: dict[str, Any], label: str) -> ChangeOrigin:
    """When, who and through what. An event without time cannot be put in order. Raises BadFieldError."""
    text = event.get("eventTime")
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        moment = None
    if moment is None:
        raise BadFieldError("eventTime", f"{shown(text)} is not a date and time")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    identity = event.get("userIdentity")
    told = identity if isinstance(identity, dict) else {}
    keys = ("arn", "invokedBy", "principalId", "userName", "accountId")
    principal = next((text for key in keys if (text := _text(told.get(key)))), "")
    event_id = _text(event.get("eventID"))
    return ChangeOrigin(
        moment, principal, _text(event.get("sourceIPAddress")), f"{name} {event_id}" if event_id else name, label
    )


def _text(value: object) -> str:
    """The value if it is text for people, else ""."""
    return value if isinstance(value, str) and value.isprintable() and len(value) < 1000 else ""


def _unwrapped(body: dict[str, Any], wrapper: str) -> dict[str, Any]:
    """What stands under the wrapper that some calls are recorded with, else the body itself."""
    inner = next((value for key, value in body.items() if key.lower() == wrapper.lower()), None)
    return inner if isinstance(inner, dict) else body


def _with_referenced_group(value: Any) -> Any:
    """An answer in which revoked rules name a group as new ones do: `referencedGroupId` → `referencedGroupInfo`."""
    if isinstance(value, list):
        return [_with_referenced_group(one) for one in value]
    if not isinstance(value, dict):
        return value
    changed = {key: _with_referenced_group(one) for key, one in value.items()}
    if isinstance(group_id := changed.pop("referencedGroupId", None), str):
        changed.setdefault("referencedGroupInfo", {"groupId": group_id})
    return changed


def _converted(
    value: dict[str, Any], shape: type, path: str, prepare: Callable[[Any], Any] = lambda value: value
) -> Any:
    """The object as a value of the shape. Raises BadFieldError."""
    try:
        return msgspec.convert(fitted(prepare(value), shape), shape, strict=False)
    except msgspec.ValidationError as error:
        raise wrong_type(error).under(path) from None
    except RecursionError:
        raise BadFieldError(path, "it is nested too deeply") from None


def fitted(value: Any, shape: Any) -> Any:
    """The value in the spelling that the shape has; what does not fit is left as it is, for `convert` to refuse.

    Keys are compared without regard to case; those that the shape does not have are left out.
    """
    if get_origin(shape) in (Union, types.UnionType):
        if value is None:
            return None
        shape = next(one for one in get_args(shape) if one is not types.NoneType)
    if get_origin(shape) is tuple:
        (element, *_) = get_args(shape)
        return [fitted(one, element) for one in _elements(value)]
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        return _fitted_object(value, shape) if isinstance(value, dict) else value
    return _lone(value) if shape is str and isinstance(value, dict) else value


def _fitted_object(value: dict[str, Any], shape: type[msgspec.Struct]) -> dict[str, Any]:
    by_name = {key.lower(): one for key, one in value.items()}
    result = {}
    for field in msgspec.structs.fields(shape):
        name = field.encode_name.lower()
        is_list = get_origin(_plain(field.type)) is tuple
        aliases: Iterable[str] = _ALIASES.get(name, ()) if is_list or name == "description" else ()
        for key in (name, *aliases):
            if key in by_name and by_name[key] is not None:
                result[field.encode_name] = fitted(by_name[key], field.type)
                break
    return result


def _plain(shape: Any) -> Any:
    """The shape without None."""
    if get_origin(shape) in (Union, types.UnionType):
        return next(one for one in get_args(shape) if one is not types.NoneType)
    return shape


def _elements(value: Any) -> list[Any]:
    """The elements of a list in any of its spellings; an empty one is `{}`."""
    if isinstance(value, dict):
        inner = next((one for key, one in value.items() if key.lower() in ("items", "item")), None)
        if inner is None:
            return [value] if value and not {"items", "item"} & {key.lower() for key in value} else []
        return _elements(inner)
    return value if isinstance(value, list) else [] if value is None else [value]


def _lone(value: dict[str, Any]) -> Any:
    """The id in an element such as `{"groupId": "sg-1", "groupName": "web"}`."""
    for key, one in value.items():
        if key.lower() in ("groupid", "securitygroupruleid", "value"):
            return one
    return value
