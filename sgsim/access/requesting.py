"""The requests of one action on things, by the table of actions (docs/iam.md A3)."""

from __future__ import annotations

from collections.abc import Iterable

from sgsim.access.actions import action_table
from sgsim.access.requests import AccessRequest
from sgsim.access.things import Facts, Thing, told

__all__ = ["action_requests"]


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
