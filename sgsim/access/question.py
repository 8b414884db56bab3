"""One question as people ask it: may this principal do this to that, in this environment?

Names may be short (`ada`, `sg-0123`), and what the environment tells of the resource is in the request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from sgsim.access.actions import Action, find_action
from sgsim.access.decide import decide
from sgsim.access.principals import policy_set, principal_arns, trust_policy
from sgsim.access.requesting import action_requests
from sgsim.access.requests import AccessRequest, AttachedPolicy, Decision, PolicySet
from sgsim.access.sharing import Gate, image_gate, snapshot_gate
from sgsim.access.things import (
    Thing,
    group_thing,
    holder_thing,
    image_thing,
    interface_thing,
    prefix_list_thing,
    snapshot_thing,
    subnet_thing,
    vpc_thing,
)
from sgsim.errors import ModelError, NotationError
from sgsim.model import Environment
from sgsim.model.arns import parse_arn
from sgsim.model.policies import Policy
from sgsim.model.principals import IamGroup, Role, User

__all__ = ["Answer", "can", "find_principal"]

_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9_.-]+", re.ASCII)

_HOLDERS = {"user": "users", "group": "groups", "role": "roles"}


class Answer(msgspec.Struct, frozen=True):
    """The decision, on the request that was made of the question.

    `gate` is what the owner of an image or snapshot allows the principal's account, None where that is not the
    question (docs/iam.md C). `notes` are one-line remarks for people.
    """

    principal: str
    request: AccessRequest
    decision: Decision
    gate: Gate | None = None
    notes: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether IAM allows it and no account's gate is known to be closed."""
        return self.decision.allowed and (self.gate is None or self.gate.allowed is not False)


def can(
    environment: Environment,
    principal: str,
    action: str,
    resource: str,
    context: Mapping[str, tuple[str, ...]] | None = None,
    session_policies: Iterable[AttachedPolicy | Policy] = (),
) -> Answer:
    """Answer one question; `context` adds condition keys or replaces what the environment tells.

    `principal` and `resource` are ARNs, names or ids. Raises NotationError for what cannot be understood.
    """
    arn = find_principal(environment, principal)
    policies = policy_set(environment, arn, session_policies)
    request, notes = _request(environment, policies, action, resource)
    if context:
        given = {key.lower() for key in context}
        kept = {key: values for key, values in request.context.items() if key.lower() not in given}
        request = msgspec.structs.replace(request, context={**kept, **context})
    gate = _gate(environment, policies.account_id, request)
    return Answer(arn, request, decide(policies, request), gate, notes)


def find_principal(environment: Environment, text: str) -> str:
    """The ARN of a principal: an ARN as it stands, or the only one of that name (`ada`, `user/ada`, `role/deploy`)."""
    if text.startswith("arn:"):
        try:
            return str(parse_arn(text))
        except ModelError as error:
            raise NotationError(str(error)) from None
    kind, _, name = text.rpartition("/")
    arns = [(one, parse_arn(one)) for one in principal_arns(environment)]
    named = [one for one, arn in arns if arn.name == name and kind in ("", arn.kind)]
    if len(named) == 1:
        return named[0]
    if named:
        raise NotationError(f"{text!r} could be {' or '.join(named[:4])}", advice="name it by its ARN")
    raise NotationError(f"the environment has no user or role {text!r}", advice="name it by its ARN, or export IAM")


def _request(
    environment: Environment, policies: PolicySet, action: str, resource: str
) -> tuple[AccessRequest, tuple[str, ...]]:
    if not _ACTION.fullmatch(action):
        raise NotationError(f"{action!r} is not an action", advice="write service:Name, such as ec2:RunInstances")
    thing = None if resource == "*" else _thing(environment, resource, policies.account_id)
    found = find_action(action)
    if found is None:
        note = f"sgsim does not simulate {action}: its condition keys are only those that --context gives"
        return _plain(policies, action, thing), (note,)
    name, known = found
    if thing is None:
        request = action_requests(name, [], policies.account_id)[0]
        notes = ("asked for *: only statements on every resource fit",) if known.resources else ()
        return msgspec.structs.replace(request, resource="*", resource_account=None), notes
    if thing.kind not in known.resources:
        raise NotationError(f"{name} is not asked for on a {thing.kind or 'resource'}", advice=_ask_for(known))
    requests = action_requests(name, [thing], policies.account_id)
    request = next(one for one in requests if one.resource == thing.arn)
    if name == "sts:AssumeRole":
        request = _with_trust(environment, request)
    return request, _also(name, known, thing.kind)


def _plain(policies: PolicySet, action: str, thing: Thing | None) -> AccessRequest:
    if thing is None:
        return AccessRequest(action=action)
    owner = thing.account_id if thing.account_id != policies.account_id else None
    return AccessRequest(action=action, resource=thing.arn, resource_account=owner)


def _ask_for(action: Action) -> str:
    return f"ask for {', '.join(action.resources)} or *" if action.resources else "ask for *"


def _also(name: str, action: Action, kind: str) -> tuple[str, ...]:
    others = [one for one, use in action.resources.items() if use.required and one != kind]
    return (f"a call of {name} is asked for on {', '.join(others)} as well",) if others else ()


def _with_trust(environment: Environment, request: AccessRequest) -> AccessRequest:
    role = environment.directory.roles.get(request.resource)
    if role is None:
        raise NotationError(f"the environment has no role {request.resource}", advice="its trust policy decides, too")
    return msgspec.structs.replace(request, resource_policy=trust_policy(role))


def _gate(environment: Environment, account_id: str, request: AccessRequest) -> Gate | None:
    identifier = request.resource.rpartition("/")[2]
    if request.action == "ec2:RunInstances" and identifier in environment.images:
        return image_gate(environment, account_id, identifier)
    if request.action == "ec2:CreateVolume" and identifier in environment.volume_snapshots:
        return snapshot_gate(environment, account_id, identifier)
    return None


def _thing(environment: Environment, text: str, account_id: str) -> Thing:
    """What an ARN or an id names, with what the environment tells of it."""
    if not text.startswith("arn:"):
        described = _described(environment, text, account_id)
        if described is None:
            advice = "name it by its ARN, or write * for no resource in particular"
            raise NotationError(f"{text!r} is nothing that the environment describes", advice=advice)
        return described
    try:
        arn = parse_arn(text)
    except ModelError as error:
        raise NotationError(str(error)) from None
    if arn.service == "iam":
        holder = environment.directory.holder(text)
        if holder is not None:
            return holder_thing(holder)
    described = _described(environment, arn.name, account_id) if arn.service == "ec2" else None
    if described is not None and described.arn == text:
        return described
    owner = arn.account_id if arn.account_id.isdigit() else None
    return Thing(arn.kind, text, {"ec2:Region": (arn.region,)} if arn.service == "ec2" and arn.region else {}, owner)


def _described(environment: Environment, identifier: str, account_id: str) -> Thing | None:
    """The group, interface, image … with an id, or the user, group or role of a name."""
    if identifier in environment.groups:
        return group_thing(environment, identifier)
    if identifier in environment.interfaces:
        return interface_thing(environment, identifier)
    if identifier in environment.images:
        return image_thing(environment.images[identifier], account_id)
    if identifier in environment.volume_snapshots:
        return snapshot_thing(environment.volume_snapshots[identifier], account_id)
    if identifier in environment.prefix_lists:
        return prefix_list_thing(environment, identifier, account_id, None)
    if identifier in environment.vpcs:
        return vpc_thing(environment, identifier, account_id, environment.vpcs[identifier].region)
    if identifier in environment.subnets:
        return subnet_thing(environment, identifier, account_id, environment.subnets[identifier].region)
    return _held(environment, identifier, account_id)


def _held(environment: Environment, text: str, account_id: str) -> Thing | None:
    """The account's user, group or role that is meant by `user/ada`, `group/operators`, `role/deploy`."""
    kind, _, name = text.partition("/")
    found = environment.directory.named(_HOLDERS[kind], account_id, name) if kind in _HOLDERS else None
    return holder_thing(found) if isinstance(found, User | IamGroup | Role) else None
