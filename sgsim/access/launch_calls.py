"""What a launch is asked for: the image, every new thing, groups and subnets, and the role that is handed on (A3.2)."""

from __future__ import annotations

from collections.abc import Iterator

from sgsim.access.requesting import action_requests
from sgsim.access.requests import AccessRequest
from sgsim.access.things import (
    Facts,
    Thing,
    group_thing,
    holder_thing,
    image_thing,
    snapshot_thing,
    subnet_thing,
    told,
)
from sgsim.model import Environment
from sgsim.model.arns import parse_arn, resource_arn
from sgsim.model.changes import RunInstances
from sgsim.model.images import Image, VolumeSnapshot

__all__ = ["launch_requests"]


def launch_requests(environment: Environment, change: RunInstances, account_id: str) -> tuple[AccessRequest, ...]:
    """The requests of a launch; ids of new things are not known: their ARNs end in `/*`."""
    things = list({thing.arn: thing for thing in _things(environment, change, account_id)}.values())
    requests = action_requests("ec2:RunInstances", things, account_id)
    tagged = [one for one in things if one.arn.endswith("/*") and "aws:TagKeys" in one.facts]
    if tagged:
        requests += action_requests("ec2:CreateTags", tagged, account_id, {"ec2:CreateAction": ("RunInstances",)})
    if change.role_arn:
        facts = {"iam:PassedToService": ("ec2.amazonaws.com",)}
        requests += action_requests("iam:PassRole", [_role(environment, change.role_arn)], account_id, facts)
    return requests


def _things(environment: Environment, change: RunInstances, account_id: str) -> Iterator[Thing]:
    region = change.interfaces[0].region
    owner = change.interfaces[0].account_id or account_id
    image = environment.images.get(change.image_id) or Image(change.image_id, region=region)
    yield image_thing(image, account_id)

    def new(kind: str, facts: Facts) -> Thing:
        tags = {key: value for made, key, value in change.tags if made == kind}
        told_tags: dict[str, tuple[str, ...]] = {f"aws:RequestTag/{key}": (value,) for key, value in tags.items()}
        told_tags |= {"aws:TagKeys": tuple(tags)} if tags else {}
        return Thing(kind, resource_arn(region, owner, kind, "*"), {**facts, **told_tags}, owner)

    profile = change.role_arn.replace(":role/", ":instance-profile/") or None
    yield new("instance", told(InstanceType=change.instance_type, InstanceProfile=profile, Region=region))
    for interface in change.interfaces:
        yield from (group_thing(environment, group_id) for group_id in interface.group_ids)
        vpc = interface.vpc_id and resource_arn(region, owner, "vpc", interface.vpc_id)
        if interface.subnet_id is None:
            continue
        yield subnet_thing(environment, interface.subnet_id, owner, region)
        subnet = resource_arn(region, owner, "subnet", interface.subnet_id)
        yield new("network-interface", told(Subnet=subnet, Vpc=vpc, Region=region))
    yield new("volume", told(Region=region))
    for snapshot_id in change.snapshot_ids:
        snapshot = environment.volume_snapshots.get(snapshot_id) or VolumeSnapshot(snapshot_id, region=region)
        yield snapshot_thing(snapshot, account_id)
    if change.key_name is not None:
        arn = resource_arn(region, owner, "key-pair", change.key_name)
        yield Thing("key-pair", arn, told(KeyPairName=change.key_name, Region=region), owner)


def _role(environment: Environment, arn: str) -> Thing:
    role = environment.directory.roles.get(arn)
    return holder_thing(role) if role is not None else Thing("role", arn, {}, parse_arn(arn).account_id)
