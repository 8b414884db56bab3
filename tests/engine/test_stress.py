"""Law: while one thread makes 10 000 changes, every batch that others evaluate is judged by exactly one version.

Version v differs from the one before in one bit of its Gray code, and a batch has one row for each bit: what the rows
say names the version. Bits are rules, memberships, interfaces and entries of a prefix list.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from threading import Event, Thread

import pytest

from sgsim.engine import Engine, Snapshot, evaluate
from sgsim.model import Cidr, Direction, Environment, NetworkInterface, PrefixList, SecurityGroup, Vpc, parse_address
from sgsim.model.changes import (
    AddInterface,
    Authorize,
    Change,
    ChangeSet,
    RemoveInterface,
    Revoke,
    SetEntries,
    SetGroups,
)
from sgsim.reference import Packet, judge
from tests.changes.support import rule
from tests.generators.tables import flow_table

CHANGES, BITS = 10_000, 14
HERE = parse_address("10.0.0.1")
LIST_ENTRY = Cidr(4, 0x0A000209, 32)
NEVER = Cidr(4, 0x0A000A00, 32)


def environment() -> Environment:
    """Ports 1 to 14 of eni-0 are opened by bits; bits 1, 2 and 3 by references and a prefix list."""
    opened = SecurityGroup(
        "sg-0",
        (
            rule("in tcp 2 sg-member", "sg-0", "sgr-1"),
            rule("in tcp 3 sg-guest", "sg-0", "sgr-2"),
            rule("in tcp 4 pl-1", "sg-0", "sgr-3"),
        ),
        vpc_id="vpc-1",
    )
    groups = [opened, *(SecurityGroup(name, vpc_id="vpc-1") for name in ("sg-member", "sg-guest", "sg-1"))]
    interfaces = [
        NetworkInterface("eni-0", (HERE,), ("sg-0", "sg-1"), vpc_id="vpc-1"),
        NetworkInterface("eni-1", (parse_address("10.0.1.1"),), ("sg-1",), vpc_id="vpc-1"),
    ]
    return Environment(
        {each.group_id: each for each in groups},
        {each.interface_id: each for each in interfaces},
        prefix_lists={"pl-1": PrefixList("pl-1", (NEVER,), family=4)},
        vpcs={"vpc-1": Vpc("vpc-1", (Cidr(4, 0x0A000000, 16),))},
        closed=frozenset({(None, None)}),
        peerings_described=True,
        gateways_described=True,
    )


def remote(bit: int) -> int:
    return parse_address({1: "10.0.1.1", 2: "10.0.1.2", 3: "10.0.2.9"}.get(bit, "10.0.9.9")).value


PACKETS = [Packet(4, remote(bit), HERE.value, 6, 1024, bit + 1) for bit in range(BITS)]


def change(bit: int, on: bool) -> Change:
    """Open the port of a bit, or close it."""
    match bit, on:
        case 1, _:
            return SetGroups("eni-1", ("sg-member",) if on else ("sg-1",))
        case 2, True:
            return AddInterface(NetworkInterface("eni-2", (parse_address("10.0.1.2"),), ("sg-guest",), vpc_id="vpc-1"))
        case 2, False:
            return RemoveInterface("eni-2")
        case 3, True:
            return SetEntries("pl-1", add=(LIST_ENTRY,))
        case 3, False:
            return SetEntries("pl-1", remove=(LIST_ENTRY,))
        case _, True:
            return Authorize("sg-1", (rule(f"in tcp {bit + 1} 10.0.9.9/32", "sg-1", f"sgr-bit{bit}"),))
    return Revoke("sg-1", (f"sgr-bit{bit}",))


def gray(version: int) -> int:
    return version ^ version >> 1


def changes() -> Iterator[ChangeSet]:
    """From version 0 on."""
    for version in range(CHANGES):
        bit = (gray(version) ^ gray(version + 1)).bit_length() - 1
        yield ChangeSet((change(bit, bool(gray(version + 1) >> bit & 1)),), accepted=True)


@pytest.mark.slow
def test_two_readers_and_a_writer() -> None:
    engine = Engine(Snapshot.of(environment()))
    versions = [engine.snapshot.environment]
    done = Event()
    seen: list[dict[int, tuple[int, ...]]] = [{}, {}]
    failures: list[str] = []

    table = flow_table([(packet, "eni-0", Direction.INGRESS) for packet in PACKETS], ["eni-0"])
    for scan_only in (False, True):  # kernels are compiled before the race
        evaluate(engine.snapshot, table, scan_only=scan_only)

    def read(reader: int) -> None:
        while not done.is_set() or not seen[reader]:
            snapshot = engine.snapshot
            found = evaluate(snapshot, table, scan_only=bool(snapshot.version % 2)).action.tolist()
            code = sum((verdict == 1) << bit for bit, verdict in enumerate(found))
            if code != gray(snapshot.version):
                failures.append(f"version {snapshot.version}: {found}")
                return
            seen[reader][snapshot.version] = tuple(found)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(2e-4)  # threads take turns often
    readers = [Thread(target=read, args=(number,)) for number in range(2)]
    try:
        for reader in readers:
            reader.start()
        versions.extend(engine.apply(each).environment for each in changes())
    finally:
        done.set()
        for reader in readers:
            reader.join()
        sys.setswitchinterval(interval)
    assert not failures, failures
    assert engine.snapshot.version == CHANGES
    for answers in seen:
        assert len(answers) > 100
        for version, found in answers.items():
            expected = [
                judge(versions[version], engine.snapshot.semantics, "eni-0", Direction.INGRESS, packet).action
                for packet in PACKETS
            ]
            assert list(found) == expected, version
