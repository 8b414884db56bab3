"""What is completely described, and where things are (docs/semantics.md §9.5, §1.9)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sgsim.importers import read_environment
from tests.importers.exports import ACCOUNT, group, groups_file, interface, rule, write

OTHER = "444455556666"
ARN = "arn:aws:ec2:{}:" + ACCOUNT + ":security-group/{}"


def test_accounts_with_groups_are_closed_others_open(tmp_path: Path) -> None:
    """Account from the owner, Region from availability zones through the VPC."""
    write(tmp_path, a=groups_file(group()), b={"NetworkInterfaces": [interface()]})
    environment = read_environment(tmp_path)
    assert environment.closed == {(ACCOUNT, "us-east-1")}
    assert environment.groups["sg-web"].region == "us-east-1"
    assert environment.is_closed(ACCOUNT, "us-east-1") and environment.is_closed(None, None)
    assert not environment.is_closed(OTHER, "us-east-1") and not environment.is_closed(ACCOUNT, "us-west-2")


def test_interfaces_alone_close_nothing(tmp_path: Path) -> None:
    """Only the account whose own groups or rules are described is complete."""
    write(tmp_path, a=groups_file(group()), b={"NetworkInterfaces": [interface(), interface("eni-2", OwnerId=OTHER)]})
    assert read_environment(tmp_path).closed == {(ACCOUNT, "us-east-1")}


def test_several_accounts_and_regions(tmp_path: Path) -> None:
    """Region from the group's ARN first."""
    here = group("sg-1", SecurityGroupArn=ARN.format("us-east-1", "sg-1"))
    there = group("sg-2", SecurityGroupArn=ARN.format("eu-west-1", "sg-2"), VpcId="vpc-2")
    theirs = group("sg-3", OwnerId=OTHER, VpcId="vpc-3")
    theirs_eni = interface("eni-3", VpcId="vpc-3", OwnerId=OTHER, AvailabilityZone="us-west-2-lax-1a")
    write(
        tmp_path,
        a__us__groups=groups_file(here),
        a__eu__groups=groups_file(there),
        b__groups=groups_file(theirs),
        b__enis={"NetworkInterfaces": [theirs_eni]},
    )
    assert read_environment(tmp_path).closed == {
        (ACCOUNT, "us-east-1"),
        (ACCOUNT, "eu-west-1"),
        (OTHER, "us-west-2"),
    }


def test_nothing_tells_the_region(tmp_path: Path) -> None:
    """Where nothing tells, one Region: None stands for any."""
    write(tmp_path, a=groups_file(group()))
    environment = read_environment(tmp_path)
    assert environment.closed == {(ACCOUNT, None)} and environment.is_closed(ACCOUNT, "us-east-1")
    nameless = {key: value for key, value in group().items() if key != "OwnerId"}
    write(tmp_path, a=groups_file(nameless))
    assert read_environment(tmp_path).closed == {(None, None)}


def test_one_call_answers_for_one_region(tmp_path: Path) -> None:
    """A group whose VPC nothing else mentions is where the others of its file are."""
    here = group("sg-1", SecurityGroupArn=ARN.format("us-east-1", "sg-1"))
    there = group("sg-2", SecurityGroupArn=ARN.format("eu-west-1", "sg-2"), VpcId="vpc-2")
    silent = group("sg-3", VpcId="vpc-9")
    write(tmp_path, a=groups_file(here), b=groups_file(there, silent))
    assert read_environment(tmp_path).groups["sg-3"].region == "eu-west-1"


def test_groups_shared_with_the_account_do_not_describe_their_owner(tmp_path: Path) -> None:
    """§1.9: the listing of a participant holds the owner's shared group, never the owner's default group."""
    mine = group("sg-1", GroupName="default")
    shared = group("sg-2", OwnerId=OTHER)
    write(tmp_path, a=groups_file(mine, shared), r={"SecurityGroupRules": [rule("sgr-1", "sg-9", GroupOwnerId=OTHER)]})
    assert read_environment(tmp_path).closed == {(ACCOUNT, None)}
    write(tmp_path, b=groups_file(group("sg-3", OwnerId=OTHER)))
    assert read_environment(tmp_path).closed == {(ACCOUNT, None), (OTHER, None)}


def test_rules_alone_close_their_account(tmp_path: Path) -> None:
    arn = f"arn:aws:ec2:us-east-1:{ACCOUNT}:security-group-rule/sgr-1"
    write(tmp_path, r={"SecurityGroupRules": [rule("sgr-1", SecurityGroupRuleArn=arn)]})
    assert read_environment(tmp_path).closed == {(ACCOUNT, "us-east-1")}


def test_a_listing_cut_short_leaves_its_account_open(tmp_path: Path) -> None:
    """A leftover NextToken: what is absent is unknown. An empty or null one is none."""
    theirs = groups_file(group("sg-3", OwnerId=OTHER, VpcId="vpc-3"))
    for name, content in (
        ("groups", {**groups_file(group("sg-2")), "NextToken": "more"}),
        ("enis", {"NetworkInterfaces": [interface()], "NextToken": "more"}),
        ("instances", {"Reservations": [{"OwnerId": ACCOUNT, "Instances": []}], "NextToken": "more"}),
    ):
        folder = tmp_path / name
        write(folder, a=groups_file(group()), b=theirs, **{name: content})
        environment = read_environment(folder)
        assert environment.closed <= {(OTHER, "us-east-1"), (OTHER, None)}
        assert any(f"{name}.json" in warning and "incomplete" in warning for warning in environment.warnings)
    for token in ("", None):
        write(tmp_path / "whole", a={**groups_file(group()), "NextToken": token})
        environment = read_environment(tmp_path / "whole")
        assert environment.closed == {(ACCOUNT, None)} and not any("incomplete" in one for one in environment.warnings)


def collection(region: str, account: str | None = ACCOUNT, **more: object) -> dict:
    return {
        "SgsimCollection": {"CollectedAt": "2026-01-02T03:04:05+00:00", "Region": region, "Account": account, **more}
    }


def test_notes_of_collect(tmp_path: Path) -> None:
    """The notes give Region, account and time to their folder, and say which listings could not be had."""
    missing = [{"Call": "describe-vpc-peering-connections", "Key": "VpcPeeringConnections", "Reason": "denied"}]
    write(
        tmp_path,
        x__collection=collection("us-east-1", Missing=missing),
        x__groups=groups_file(group()),
        y__collection=collection("eu-west-1"),
        y__groups={"SecurityGroups": []},
        y__peerings={"VpcPeeringConnections": []},
    )
    environment = read_environment(tmp_path)
    assert environment.groups["sg-web"].region == "us-east-1"
    assert environment.closed == {(ACCOUNT, "us-east-1"), (ACCOUNT, "eu-west-1")}
    assert environment.collected_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert not environment.peerings_described
    assert any("describe-vpc-peering-connections gave nothing (denied)" in one for one in environment.warnings)


def test_missing_interfaces_leave_the_folder_open(tmp_path: Path) -> None:
    missing = [{"Call": "describe-network-interfaces", "Key": "NetworkInterfaces", "Reason": "denied"}]
    write(tmp_path, collection=collection("us-east-1", Missing=missing), groups=groups_file(group()))
    assert read_environment(tmp_path).closed == frozenset()


def test_warnings_name_what_is_missing(tmp_path: Path) -> None:
    write(tmp_path, a=groups_file(group()))
    assert any("no network interfaces" in one for one in read_environment(tmp_path).warnings)
    instance = {"InstanceId": "i-1", "PrivateIpAddress": "10.0.0.9", "State": {"Name": "running"}}
    nested = {"InstanceId": "i-2", "NetworkInterfaces": [interface(groups=["sg-web", "sg-unknown"])]}
    gone = {"InstanceId": "i-3", "PrivateIpAddress": "10.0.0.8", "State": {"Name": "terminated"}}
    write(tmp_path, b={"Reservations": [{"Instances": [instance, nested, gone]}]})
    warnings = "\n".join(read_environment(tmp_path).warnings)
    assert "known from instances alone" in warnings
    assert "1 instances have an address but no network interface" in warnings
    assert "1 security group (sg-unknown) is on network interfaces but not described" in warnings
