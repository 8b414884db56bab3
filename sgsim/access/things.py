"""The things that calls touch, as IAM names them, with what a request tells of them in condition keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sgsim.model import Environment, NetworkInterface, SecurityGroup
from sgsim.model.arns import resource_arn
from sgsim.model.images import Image, VolumeSnapshot
from sgsim.model.principals import IamGroup, ManagedPolicy, Role, User

__all__ = [
    "Facts",
    "Thing",
    "group_thing",
    "holder_thing",
    "image_thing",
    "instance_thing",
    "interface_thing",
    "policy_thing",
    "prefix_list_thing",
    "rule_thing",
    "snapshot_thing",
    "subnet_thing",
    "told",
    "vpc_thing",
]

Facts = Mapping[str, tuple[str, ...]]


class Thing(NamedTuple):
    """One resource: its kind in the table of actions, its ARN, and condition keys with what is known of it.

    `account_id` is the owner's where a call from another account needs that account's leave, else None.
    """

    kind: str
    arn: str
    facts: Facts
    account_id: str | None = None


def told(**facts: str | bool | None) -> dict[str, tuple[str, ...]]:
    """EC2's condition keys that are known: `told(Region="eu-west-1")` is `ec2:Region`; None is left out."""
    return {
        f"ec2:{key}": (str(value).lower() if isinstance(value, bool) else value,)
        for key, value in facts.items()
        if value is not None
    }


def _tags(service: str, tags: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    return {f"{one}:ResourceTag/{key}": (value,) for key, value in tags for one in ("aws", service)}


def _seen_tags(thing: Image | VolumeSnapshot, account_id: str) -> dict[str, tuple[str, ...]]:
    return _tags("ec2", thing.tags) if thing.owner_id == account_id else {}


def group_thing(environment: Environment, group_id: str) -> Thing:
    """A security group; of one that is not described only the id is known."""
    group = environment.groups.get(group_id) or SecurityGroup(group_id, defined=False)
    vpc = None if group.vpc_id is None else resource_arn(group.region, group.account_id, "vpc", group.vpc_id)
    arn = resource_arn(group.region, group.account_id, "security-group", group_id)
    facts = told(SecurityGroupID=group_id, Vpc=vpc, Region=group.region) | _tags("ec2", group.tags)
    return Thing("security-group", arn, facts, group.account_id)


def rule_thing(group: Thing, rule_id: str) -> Thing:
    """A rule of a group."""
    place = group.arn.rpartition(":")[0]
    return Thing("security-group-rule", f"{place}:security-group-rule/{rule_id}", group.facts, group.account_id)


def interface_thing(environment: Environment, interface_id: str) -> Thing:
    """A network interface; of one that is not described only the id is known."""
    interface = environment.interfaces.get(interface_id) or NetworkInterface(interface_id)
    account, region = interface.account_id, interface.region
    facts = told(
        NetworkInterfaceID=interface_id,
        Subnet=interface.subnet_id and resource_arn(region, account, "subnet", interface.subnet_id),
        Vpc=interface.vpc_id and resource_arn(region, account, "vpc", interface.vpc_id),
        Region=region,
    )
    return Thing("network-interface", resource_arn(region, account, "network-interface", interface_id), facts, account)


def instance_thing(interface: NetworkInterface) -> Thing:
    """The instance of an interface."""
    account, region = interface.account_id, interface.region
    facts = told(InstanceID=interface.instance_id, InstanceType=interface.instance_type, Region=region)
    return Thing("instance", resource_arn(region, account, "instance", interface.instance_id or "*"), facts, account)


def subnet_thing(environment: Environment, subnet_id: str, account_id: str | None, region: str | None) -> Thing:
    """A subnet, in the account and Region of what is put into it; that the owner shares it is taken for granted."""
    subnet = environment.subnets.get(subnet_id)
    vpc_id = subnet.vpc_id if subnet is not None else None
    vpc = environment.vpcs.get(vpc_id or "")
    owner = vpc.account_id if vpc is not None and vpc.account_id is not None else account_id
    facts = told(SubnetID=subnet_id, Vpc=vpc_id and resource_arn(region, owner, "vpc", vpc_id), Region=region)
    return Thing("subnet", resource_arn(region, owner, "subnet", subnet_id), facts)


def vpc_thing(environment: Environment, vpc_id: str, account_id: str | None, region: str | None) -> Thing:
    """A VPC."""
    vpc = environment.vpcs.get(vpc_id)
    owner = vpc.account_id if vpc is not None and vpc.account_id is not None else account_id
    return Thing("vpc", resource_arn(region, owner, "vpc", vpc_id), told(VpcID=vpc_id, Region=region))


def prefix_list_thing(
    environment: Environment, prefix_list_id: str, account_id: str | None, region: str | None
) -> Thing:
    """A managed prefix list; AWS's own ones have the account `aws`."""
    found = environment.prefix_lists.get(prefix_list_id)
    owner = account_id if found is None or found.account_id is None else found.account_id
    arn = resource_arn(region, "aws" if owner == "AWS" else owner, "prefix-list", prefix_list_id)
    return Thing("prefix-list", arn, told(Region=region))


def image_thing(image: Image, account_id: str) -> Thing:
    """An image, as an account sees it: tags are the owner's alone (docs/iam.md C2). `Thing.account_id` is None, since
    the permission attribute decides about other accounts.
    """
    facts = told(Owner=image.owner_id, ImageID=image.image_id, Public=image.public, Region=image.region)
    return Thing(
        "image", resource_arn(image.region, None, "image", image.image_id), facts | _seen_tags(image, account_id)
    )


def snapshot_thing(snapshot: VolumeSnapshot, account_id: str) -> Thing:
    """A snapshot; tags and accounts as of an image."""
    facts = told(
        Owner=snapshot.owner_id,
        SnapshotID=snapshot.snapshot_id,
        Encrypted=snapshot.encrypted,
        VolumeSize=None if snapshot.volume_size is None else str(snapshot.volume_size),
        Region=snapshot.region,
    )
    arn = resource_arn(snapshot.region, None, "snapshot", snapshot.snapshot_id)
    return Thing("snapshot", arn, facts | _seen_tags(snapshot, account_id))


def holder_thing(holder: User | IamGroup | Role) -> Thing:
    """A user, group or role."""
    kind = "user" if isinstance(holder, User) else "role" if isinstance(holder, Role) else "group"
    tags = () if isinstance(holder, IamGroup) else holder.tags
    facts = _tags("iam", tags)
    if not isinstance(holder, IamGroup) and holder.boundary is not None:
        facts["iam:PermissionsBoundary"] = (holder.boundary,)
    return Thing(kind, holder.arn, facts, holder.account_id)


def policy_thing(policy: ManagedPolicy) -> Thing:
    """A managed policy."""
    return Thing("policy", policy.arn, {}, policy.account_id)
