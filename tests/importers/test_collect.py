"""`sgsim collect`: everything, every page, whole or not at all, and honest about what it could not have."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sgsim.cli.main import run
from sgsim.errors import CollectError, MissingExtraError, OutputError
from sgsim.importers import read_environment
from sgsim.importers.collect import CALLS, ENTRIES, collect, iam_policy
from tests.importers.fake_ec2 import answer, fake_ec2, group_xml, refusal, rule_xml

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed (extra: aws)")
REGION = "eu-west-1"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Invented ones, and no configuration of the person who runs the tests."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    server = pytest.importorskip("moto.server", reason="moto is not installed (extra: test)")
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    logging.getLogger("moto").setLevel(logging.CRITICAL)
    threaded = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    threaded.start()
    host, port = threaded.get_host_and_port()
    yield f"http://{host}:{port}"
    threaded.stop()


def build_account(ec2: Any) -> dict[str, str]:
    """A VPC with two groups, an interface, an instance, a prefix list and a peering; returns their ids."""
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
    other = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")["Subnet"]["SubnetId"]
    peering = ec2.create_vpc_peering_connection(VpcId=vpc, PeerVpcId=other)["VpcPeeringConnection"]
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering["VpcPeeringConnectionId"])
    web = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    app = ec2.create_security_group(GroupName="app", Description="app", VpcId=vpc)["GroupId"]
    entries = [{"Cidr": "192.0.2.0/24", "Description": "office"}, {"Cidr": "198.51.100.0/24"}]
    offices = ec2.create_managed_prefix_list(
        PrefixListName="offices", MaxEntries=5, AddressFamily="IPv4", Entries=entries
    )["PrefixList"]["PrefixListId"]
    ec2.authorize_security_group_ingress(
        GroupId=web,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "everyone"}],
                "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
            },
            {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "PrefixListIds": [{"PrefixListId": offices}]},
        ],
    )
    ec2.authorize_security_group_ingress(
        GroupId=app,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8090, "UserIdGroupPairs": [{"GroupId": web}]}],
    )
    card = ec2.create_network_interface(SubnetId=subnet, Groups=[web, app], PrivateIpAddress="10.7.1.20")
    instance = ec2.run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1, InstanceType="m5.large", SubnetId=subnet, SecurityGroupIds=[app]
    )["Instances"][0]
    return {
        "vpc": vpc,
        "subnet": subnet,
        "web": web,
        "app": app,
        "offices": offices,
        "peering": peering["VpcPeeringConnectionId"],
        "card": card["NetworkInterface"]["NetworkInterfaceId"],
        "instance": instance["InstanceId"],
        "instance_card": instance["NetworkInterfaces"][0]["NetworkInterfaceId"],
    }


def test_what_was_created_is_read_back(
    tmp_path: Path, moto_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An account played by moto, two Regions: collect, read, compare with what was created."""
    ec2 = boto3.client("ec2", region_name=REGION, endpoint_url=moto_url)
    ids = build_account(ec2)
    folder = tmp_path / "export"
    arguments = ["collect", "--endpoint-url", moto_url, "-o", str(folder), "--region", REGION, "--region", "us-east-1"]
    assert run(arguments) == 0
    printed = capsys.readouterr()
    assert not printed.out
    assert "describe-security-group-vpc-associations gave nothing" in printed.err  # moto has no such call
    assert {path.name for path in folder.iterdir()} == {REGION, "us-east-1"}
    for call in CALLS:
        if call.name != "describe-security-group-vpc-associations":
            listed = json.loads((folder / REGION / f"{call.stem}.json").read_text())
            assert len(listed[call.key]) == len(getattr(ec2, call.operation)()[call.key])

    environment = read_environment(folder)
    assert environment.collected_at is not None and environment.peerings_described
    assert environment.closed == {("123456789012", REGION), ("123456789012", "us-east-1")}
    web, app = environment.groups[ids["web"]], environment.groups[ids["app"]]
    assert (web.name, web.vpc_id, web.region) == ("web", ids["vpc"], REGION)
    assert {f"{one.service} {one.peer} {one.description}".strip() for one in web.rules if not one.direction} == {
        "tcp 443 0.0.0.0/0 everyone",
        "tcp 443 ::/0",
        f"icmp 8/* {ids['offices']}",
    }
    assert [f"{one.service} {one.peer}" for one in app.rules if not one.direction] == [f"tcp 8080-8090 {ids['web']}"]
    assert all(one.rule_id.startswith("sgr-") for group in environment.groups.values() for one in group.rules)
    card = environment.interfaces[ids["card"]]
    assert set(card.group_ids) == {ids["web"], ids["app"]} and str(card.addresses[0]) == "10.7.1.20"
    attached = environment.interfaces[ids["instance_card"]]
    assert (attached.instance_id, attached.instance_type) == (ids["instance"], "m5.large")
    offices = environment.prefix_lists[ids["offices"]]
    assert [str(cidr) for cidr in offices.entries or ()] == ["192.0.2.0/24", "198.51.100.0/24"]
    assert environment.peerings[ids["peering"]].status == "active"
    assert str(environment.vpcs[ids["vpc"]].cidrs[0]) == "10.7.0.0/16" and len(environment.vpcs[ids["vpc"]].cidrs) == 2
    assert str(environment.subnets[ids["subnet"]].cidrs[0]) == "10.7.1.0/24"


def two_pages(fields: dict[str, str]) -> tuple[int, str]:
    """sg-0 to sg-4 on the first page, sg-5 to sg-8 on the second."""
    first = "NextToken" not in fields
    groups = "".join(group_xml(f"sg-{n}") for n in (range(5) if first else range(5, 9)))
    token = "<nextToken>page-2</nextToken>" if first else ""
    return answer("DescribeSecurityGroups", f"<securityGroupInfo>{groups}</securityGroupInfo>{token}")


def test_every_page(tmp_path: Path) -> None:
    with fake_ec2(DescribeSecurityGroups=two_pages) as url:
        (collected,) = collect(tmp_path / "export", regions=[REGION], endpoint_url=url)
    assert collected.counts["describe-security-groups"] == 9 and not collected.missing
    environment = read_environment(tmp_path / "export")
    assert environment.groups.keys() == {f"sg-{n}" for n in range(9)}
    assert environment.peerings_described and environment.gateways_described
    content = (tmp_path / "export" / REGION / "security-groups.json").read_text()
    assert content.endswith("}\n") and "NextToken" not in content


def test_a_refused_call_is_missing_and_not_empty(tmp_path: Path) -> None:
    """Denied peerings: reported, noted in the export, unknown when read; the rest is there."""
    refused = refusal("UnauthorizedOperation", "You are not authorized\nto do this.")
    with fake_ec2(DescribeSecurityGroups=two_pages, DescribeVpcPeeringConnections=lambda _: refused) as url:
        said: list[str] = []
        collect(tmp_path / "export", regions=[REGION], endpoint_url=url, report=said.append)
    reason = "UnauthorizedOperation: You are not authorized to do this."
    assert said == [f"{REGION}: describe-vpc-peering-connections gave nothing ({reason}); it is noted as missing"]
    assert not (tmp_path / "export" / REGION / "vpc-peering-connections.json").exists()
    environment = read_environment(tmp_path / "export")
    assert not environment.peerings_described and environment.gateways_described
    assert any(reason in warning for warning in environment.warnings)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"DescribeInstances": ("AuthFailure", "AWS was not able to validate")}, "refuses the credentials"),
        ({"GetCallerIdentity": ("ExpiredToken", "The security token is expired")}, "refuses the credentials"),
        (
            {
                "DescribeSecurityGroups": ("UnauthorizedOperation", "no"),
                "DescribeSecurityGroupRules": ("UnauthorizedOperation", "no"),
            },
            "no security groups can be read",
        ),
    ],
)
def test_a_failure_leaves_nothing_behind(tmp_path: Path, answers: dict, words: str) -> None:
    refusals = {action: (lambda _, error=error: refusal(*error)) for action, error in answers.items()}
    with fake_ec2(**refusals) as url, pytest.raises(CollectError, match=words):
        collect(tmp_path / "export", regions=["us-east-1", REGION], endpoint_url=url)
    assert not list(tmp_path.iterdir())


def test_rules_that_change_meanwhile_are_asked_for_again(tmp_path: Path) -> None:
    """The two views of a group must be of one moment; the first time they are not."""
    asked: list[str] = []

    def groups(_: dict[str, str]) -> tuple[int, str]:
        asked.append("groups")
        listed = group_xml("sg-1", 80 if len(asked) < 3 else 81)
        return answer("DescribeSecurityGroups", f"<securityGroupInfo>{listed}</securityGroupInfo>")

    def rules(_: dict[str, str]) -> tuple[int, str]:
        asked.append("rules")
        listed = rule_xml("sgr-1", "sg-1", 81)
        return answer("DescribeSecurityGroupRules", f"<securityGroupRuleSet>{listed}</securityGroupRuleSet>")

    with fake_ec2(DescribeSecurityGroups=groups, DescribeSecurityGroupRules=rules) as url:
        collect(tmp_path / "export", regions=[REGION], endpoint_url=url)
    assert asked == ["groups", "rules"] * 2
    (rule,) = read_environment(tmp_path / "export").groups["sg-1"].rules
    assert str(rule) == "sgr-1 tcp 81 from 10.0.0.0/8"


def test_an_existing_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export/mine.json").write_text("{}")
    with pytest.raises(OutputError, match="exists already"):
        collect(tmp_path / "export", regions=[REGION], endpoint_url="http://127.0.0.1:9")
    with pytest.raises(OutputError, match="cannot be written"):
        collect(tmp_path / "no/where", regions=[REGION], endpoint_url="http://127.0.0.1:9")
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with fake_ec2() as url, pytest.raises(OutputError, match="No space left on device"):
        collect(tmp_path / "export", regions=[REGION], endpoint_url=url)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profile", "nobody", "--region", REGION], "could not be found"),
        ([], "no Region is given"),
        (["--region", "../../etc"], "AWS cannot be asked"),
        (["--region", REGION, "--endpoint-url", "nonsense"], "AWS cannot be asked"),
    ],
)
def test_wrong_requests(tmp_path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr, exit code 1, nothing written."""
    assert run(["collect", "-o", str(tmp_path / "export"), *arguments]) == 1
    printed = capsys.readouterr()
    assert words in printed.err and printed.err.count("\n") == 1 and not printed.out
    assert not list(tmp_path.iterdir())


def test_without_boto3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sgsim\[aws\]'"):
        collect(tmp_path / "export", regions=[REGION])
    assert not list(tmp_path.iterdir())


def test_the_policy_allows_what_is_asked_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["collect", "--policy"]) == 0
    policy = json.loads(capsys.readouterr().out)
    assert policy == iam_policy()
    (statement,) = policy["Statement"]
    assert len(statement["Action"]) == len(CALLS) + 1 and "ec2:GetManagedPrefixListEntries" in statement["Action"]
    client = boto3.client("ec2", region_name=REGION)
    known = {f"ec2:{client.meta.method_to_api_mapping[call.operation]}" for call in (*CALLS, ENTRIES)}
    assert set(statement["Action"]) == known
    assert all(action.startswith(("ec2:Describe", "ec2:Get")) for action in known)


def test_an_output_directory_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["collect", "--region", REGION]) == 64
    assert "-o DIR" in capsys.readouterr().err
