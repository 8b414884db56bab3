"""Damaged exports: an EnvironmentInputError of one line or an environment, never anything else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sgsim.errors import EnvironmentInputError
from sgsim.importers import read_environment
from tests.importers.exports import group, interface, permission, rule

EXPORT: dict[str, Any] = {
    "SecurityGroups": [
        group(
            "sg-1",
            ingress=[
                permission("tcp", (443, 443), v4=["0.0.0.0/0", "10.0.0.0/8"], v6=["::/0"], groups=["sg-2"]),
                permission("icmp", (8, -1), v4=["10.0.0.0/8"]),
            ],
            egress=[permission("-1", None, v4=["0.0.0.0/0"], lists=["pl-1"])],
        ),
        group("sg-2", ingress=[permission("udp", (53, 53), v4=["10.0.0.0/8"])]),
    ],
    "SecurityGroupRules": [rule("sgr-1", "sg-2", IpProtocol="udp", FromPort=53, ToPort=53, CidrIpv4="10.0.0.0/8")],
    "NetworkInterfaces": [
        interface("eni-1", groups=["sg-1", "sg-2"], Ipv6Addresses=[{"Ipv6Address": "2001:db8::1"}]),
        interface("eni-2", "10.0.0.6", Ipv4Prefixes=[{"Ipv4Prefix": "10.0.0.16/28"}]),
    ],
    "Reservations": [{"Instances": [{"InstanceId": "i-1", "NetworkInterfaces": [interface("eni-3", "10.0.0.7")]}]}],
    "PrefixLists": [{"PrefixListId": "pl-1", "AddressFamily": "IPv4", "MaxEntries": 5, "Cidrs": ["10.0.0.0/8"]}],
    "Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"}],
    "Subnets": [{"SubnetId": "subnet-1", "VpcId": "vpc-1", "CidrBlock": "10.0.0.0/24"}],
    "VpcPeeringConnections": [{"VpcPeeringConnectionId": "pcx-1", "RequesterVpcInfo": {"VpcId": "vpc-1"}}],
    "TransitGatewayVpcAttachments": [{"TransitGatewayAttachmentId": "tgw-attach-1", "VpcId": "vpc-1"}],
    "TrafficMirrorSessions": [
        {"TrafficMirrorSessionId": "tms-1", "NetworkInterfaceId": "eni-1", "VirtualNetworkId": 7}
    ],
}

ODD_VALUES: list[Any] = [
    None, True, -1, 0, 70000, 1 << 70, 1.5, "", " ", "x", "\x00", "\x1b[31m", "é" * 300, "-1", "10.0.0.0/33", "::1/1",
    [], [[]], {}, {"GroupId": None}, ["a"],
]  # fmt: skip


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The paths of all values inside a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for key, item in inner for place in places(item, (*path, key))]


def swapped(document: Any, chance: random.Random) -> Any:
    """A copy with a value replaced, removed, doubled or moved."""
    copy = json.loads(json.dumps(document))
    *outer, last = chance.choice(places(copy))
    holder = copy
    for key in outer:
        holder = holder[key]
    kind = chance.randrange(4)
    if kind == 0:
        holder[last] = chance.choice(ODD_VALUES)
    elif kind == 1:
        del holder[last]
    elif kind == 2 and isinstance(holder, list):
        holder.append(holder[last])
    else:
        source: Any = copy
        for key in chance.choice(places(copy)):
            source = source[key]
        holder[last] = json.loads(json.dumps(source))
    return copy


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Bytes flipped, cut, doubled or overwritten."""
    at, length = chance.randrange(len(data)), chance.randrange(1, 30)
    kind = chance.randrange(5)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + data[at + length :]
    if kind == 2:
        return data[:at] + data[at : at + length] * 2 + data[at + length :]
    if kind == 3:
        return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
    return data[:at] + chance.randbytes(length) + data[at + length :]


def run(path: Path, data: bytes) -> bool:
    """Whether the file could be read as an environment; any error must be one printable line with a place."""
    path.write_bytes(data)
    try:
        read_environment(path)
    except EnvironmentInputError as error:
        text = str(error)
        assert "\n" not in text and "\x1b" not in text and text.startswith(str(path)) and len(text) < 800
        text.encode()
        return False
    return True


def spoiled_values(chance: random.Random) -> bytes:
    document: Any = EXPORT
    for _ in range(chance.randrange(1, 4)):
        if places(document):
            document = swapped(document, chance)
    return json.dumps(document).encode()


def spoiled_bytes(chance: random.Random) -> bytes:
    data = json.dumps(EXPORT).encode()
    for _ in range(chance.randrange(1, 4)):
        data = damaged(data, chance) or b"{"
    return data


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spoil", [spoiled_values, spoiled_bytes])
def test_damaged_exports(tmp_path: Path, seed: int, spoil: Callable[[random.Random], bytes]) -> None:
    """Ten times 500 exports, each damaged in one to three places."""
    chance = random.Random(seed)
    outcomes = [run(tmp_path / "export.json", spoil(chance)) for _ in range(500)]
    assert 0 < sum(outcomes) < 500


def test_the_undamaged_export_is_fine(tmp_path: Path) -> None:
    assert run(tmp_path / "export.json", json.dumps(EXPORT).encode())
