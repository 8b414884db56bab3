"""Simulated verdicts against recorded actions: the rate, and one class with its evidence for every other record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from sgsim.analysis.acls import AclAnswer, NetworkAcls
from sgsim.analysis.agreement import Agreement, Cause
from sgsim.engine import Snapshot
from sgsim.engine.logs import LogOptions, replay_logs
from sgsim.model import (
    Address,
    Cidr,
    CidrPeer,
    Direction,
    Environment,
    IcmpType,
    NetworkInterface,
    PortRange,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    parse_address,
    parse_cidr,
)
from sgsim.model.acls import NetworkAcl, NetworkAclEntry
from sgsim.reference.flowlog import LogRecord
from tests.logs.support import batch_of

IN, OUT = Direction.INGRESS, Direction.EGRESS
REJECT, ACCEPT, ABSENT = 0, 1, 255
NEAR, BESIDE, FAR = (parse_address(text).value for text in ("10.0.1.5", "10.0.1.9", "198.51.100.7"))


def entry(number: int, direction: Direction, allow: bool, cidr: str, protocol: int | None = None, **fields: object):
    return NetworkAclEntry(number, direction, allow, protocol, parse_cidr(cidr), **fields)  # type: ignore[arg-type]


ACL = NetworkAcl(
    "acl-1",
    (
        entry(90, IN, False, "198.51.100.0/24", 6, ports=PortRange(0, 442)),
        entry(95, IN, False, "198.51.100.0/24", 1, icmp=IcmpType(8, None)),
        entry(100, IN, True, "0.0.0.0/0"),
        entry(32767, IN, False, "0.0.0.0/0"),
        entry(100, OUT, True, "0.0.0.0/0", 6, ports=PortRange(1024, 65535)),
        entry(32767, OUT, False, "0.0.0.0/0"),
    ),
    ("subnet-1",),
    "vpc-1",
)


def network(*rules: SecurityGroupRule, acls: Sequence[NetworkAcl] = (ACL,)) -> Environment:
    return Environment(
        {"sg-1": SecurityGroup("sg-1", rules, vpc_id="vpc-1")},
        {"eni-1": NetworkInterface("eni-1", (Address(4, NEAR),), ("sg-1",), vpc_id="vpc-1", subnet_id="subnet-1")},
        subnets={"subnet-1": Subnet("subnet-1", "vpc-1", (parse_cidr("10.0.1.0/24"),))},
        acls={acl.network_acl_id: acl for acl in acls},
        closed=frozenset({(None, None)}),
    )


def allow(direction: Direction, protocol: int | None, first: int = 0, last: int = 65535) -> SecurityGroupRule:
    ports = PortRange(first, last) if protocol in (6, 17) else None
    icmp = IcmpType(8, 0) if protocol == 1 else None
    return SecurityGroupRule(
        f"sgr-{protocol}-{first}", "sg-1", direction, protocol, CidrPeer(Cidr(4, 0, 1)), ports, icmp
    )


# 128.0.0.0/1 too: replies are tracked, since no rule is for all addresses
def both(direction: Direction, protocol: int | None, first: int = 0, last: int = 65535) -> list[SecurityGroupRule]:
    low = allow(direction, protocol, first, last)
    high = SecurityGroupRule(
        low.rule_id + "-high", "sg-1", direction, protocol, CidrPeer(Cidr(4, 1 << 31, 1)), low.ports, low.icmp
    )
    return [low, high]


def came(port: int, start: int = 100, *, src: int = FAR, protocol: int = 6, flags: int | None = 2) -> LogRecord:
    ports = (40000, port) if protocol in (6, 17) else (0, 0)
    return LogRecord(4, src, NEAR, protocol, *ports, start, start + 5, "eni-1", IN, flags)


def compared(environment: Environment, log: Sequence[tuple[LogRecord, int]]) -> Agreement:
    snapshot = Snapshot.of(environment)
    agreement = Agreement(snapshot)
    batch = batch_of([record for record, _ in log], [recorded for _, recorded in log])
    for answered in replay_logs(snapshot, [batch], LogOptions()):
        agreement.add(answered)
    return agreement


def causes(agreement: Agreement) -> dict[str, int]:
    return {cause.name: records for cause, records in agreement.causes().items()}


def test_rate_counts_what_has_a_verdict_and_an_action() -> None:
    web = network(*both(IN, 6, 443, 443))
    log = [(came(443), ACCEPT), (came(80), REJECT), (came(8443), ACCEPT), (came(22), ABSENT)]
    agreement = compared(web, log)
    assert (agreement.agreeing, agreement.contrary, agreement.undecided, agreement.without_action) == (2, 1, 0, 1)
    assert agreement.rate == pytest.approx(2 / 3)
    assert compared(web, []).rate is None


def test_network_acl_explains_a_rejection() -> None:
    """§4: what the groups accept and the subnet's ACL denies; the ACL and its entry are named."""
    agreement = compared(network(*both(IN, 6)), [(came(80), REJECT)])
    (group,) = agreement.groups.values()
    assert group.cause is Cause.NETWORK_ACL
    assert (agreement.acls.acls[group.key.detail >> 16].network_acl_id, group.key.detail & 0xFFFF) == ("acl-1", 90)


def test_network_acl_sees_nothing_within_the_subnet() -> None:
    """§4: not as it is routed within a subnet."""
    acl = replace_entries(ACL, entry(1, IN, False, "0.0.0.0/0"))
    inside, outside = came(80, src=BESIDE), came(80)
    agreement = compared(network(*both(IN, 6), acls=[acl]), [(inside, REJECT), (outside, REJECT)])
    assert causes(agreement) == {"NETWORK_ACL": 1, "UNEXPLAINED": 1}


def replace_entries(acl: NetworkAcl, *entries: NetworkAclEntry) -> NetworkAcl:
    return NetworkAcl(acl.network_acl_id, entries, acl.subnet_ids, acl.vpc_id)


def test_late_packet_after_close_is_no_evidence_of_a_rule() -> None:
    """§7.15: REJECT with tcp-flags 0 after FIN."""
    log = [(came(443, flags=3), ACCEPT), (came(443, 200, flags=0), REJECT), (came(443, 300, flags=2), REJECT)]
    assert causes(compared(network(*both(IN, 6)), log)) == {"AFTER_CLOSE": 1, "UNEXPLAINED": 1}


def test_end_and_syn_ack_in_one_second_are_an_end() -> None:
    """Records of one second come in any order; a reset connection's SYN-ACK does not open it again."""
    reset = came(443, flags=6)
    answer = LogRecord(4, NEAR, FAR, 6, 443, 40000, 100, 102, "eni-1", OUT, 18)
    late = replace(answer, start=130, end=130, tcp_flags=0)
    for first, second in ((reset, answer), (answer, reset)):
        log = [(first, ACCEPT), (second, ACCEPT), (late, REJECT)]
        assert causes(compared(network(*both(IN, 6), acls=[]), log)) == {"AFTER_CLOSE": 1}


def test_icmp_type_is_not_told() -> None:
    log = [(came(0, protocol=1, flags=0), ACCEPT)]
    assert causes(compared(network(*both(IN, 1)), log)) == {"ICMP_TYPE": 1}


def test_who_began_is_not_shown() -> None:
    back = LogRecord(4, FAR, NEAR, 6, 443, 40000, 100, 105, "eni-1", IN, None)
    assert causes(compared(network(*both(OUT, 6)), [(back, ACCEPT)])) == {"WHO_BEGAN": 1}


def test_interfaces_that_the_environment_does_not_have() -> None:
    strange = replace(came(443), interface_id="eni-9")
    agreement = compared(network(), [(strange, ACCEPT)])
    assert causes(agreement) == {"NO_INTERFACE": 1}
    (group,) = agreement.groups.values()
    assert group.key.detail == 0  # the first interface id that the log names


def test_a_group_that_is_not_described() -> None:
    environment = replace(network(), groups={})
    assert causes(compared(environment, [(came(443), ACCEPT)])) == {"NO_INTERFACE": 1}


def test_rule_changed_only_if_later_records_agree() -> None:
    before, after = [(came(22, t), ACCEPT) for t in (100, 200)], [(came(22, t), REJECT) for t in (1000, 1100)]
    assert causes(compared(network(acls=[]), before + after)) == {"RULE_CHANGED": 2}
    assert causes(compared(network(acls=[]), [*after[:1], (came(22, 5000), ACCEPT)])) == {"UNEXPLAINED": 1}


def test_what_nothing_speaks_for_is_unexplained() -> None:
    log = [(came(443), REJECT), (came(22), ACCEPT)]
    agreement = compared(network(*both(IN, 6, 443, 443), acls=[]), log)
    assert causes(agreement) == {"UNEXPLAINED": 2}
    accepted = next(group for group in agreement.groups.values() if group.key.action == ACCEPT)
    assert accepted.rules  # the rules that accept what the log rejects


def test_every_record_is_in_agreement_or_in_one_class() -> None:
    rng = Random(7)
    log = []
    for n in range(2000):
        record = came(rng.choice((22, 80, 443)), 100 + n, flags=rng.choice((0, 1, 2, 3, None)))
        record = replace(record, protocol=rng.choice((6, 6, 17, 1)), srcport=rng.choice((40000, 443)))
        record = replace(record, interface_id=rng.choice(("eni-1", "eni-1", "eni-9")))
        log.append((record, rng.choice((ACCEPT, REJECT))))
    agreement = compared(network(*both(IN, 6, 443, 443), *both(IN, 1)), log)
    assert agreement.compared == 2000
    assert agreement.agreeing + sum(causes(agreement).values()) == 2000


def acl_twin(environment: Environment, record: LogRecord) -> tuple[AclAnswer, int]:
    """§4 in plain loops: ascending, the first match decides, the implicit entry denies."""
    interface = environment.interfaces["eni-1"]
    remote = Address(record.family, record.srcaddr if record.direction is IN else record.dstaddr)
    subnet = environment.subnets[interface.subnet_id or ""]
    if any(cidr.contains(remote) for cidr in subnet.cidrs):
        return AclAnswer.NONE, -1
    said: set[bool] = set()
    for one in environment.acls["acl-1"].entries:
        if one.direction is not record.direction or not one.cidr.contains(remote):
            continue
        if one.protocol not in (None, record.protocol):
            continue
        if (
            one.ports is not None
            and one.protocol in (6, 17)
            and not (one.ports.first <= record.dstport <= one.ports.last)
        ):
            continue
        if one.icmp is not None and one.protocol in (1, 58):
            said.add(one.allow)  # may match
            continue
        said.add(one.allow)
        if len(said) > 1:
            return AclAnswer.UNKNOWN, one.number
        return (AclAnswer.ALLOWS if one.allow else AclAnswer.DENIES), one.number
    said.add(False)
    return (AclAnswer.UNKNOWN if len(said) > 1 else AclAnswer.DENIES), 32767


def test_acls_equal_plain_loops() -> None:
    decided = set()
    for seed in range(60):
        rng = Random(seed)
        entries = sorted(
            (
                entry(
                    number,
                    rng.choice((IN, OUT)),
                    rng.random() < 0.5,
                    rng.choice(("0.0.0.0/0", "198.51.100.0/24", "198.51.100.7/32", "10.0.0.0/8", "::/0")),
                    protocol,
                    ports=PortRange(*sorted(rng.choices((0, 22, 443, 1024, 40000, 65535), k=2)))
                    if protocol in (6, 17)
                    else None,
                    icmp=IcmpType(8, None) if protocol == 1 and rng.random() < 0.7 else None,
                )
                for number in range(rng.randint(0, 8))
                for protocol in [rng.choice((None, 6, 17, 1, 50))]
            ),
            key=lambda one: (one.direction, one.number),
        )
        environment = network(acls=[replace_entries(ACL, *entries)])
        records = []
        for _ in range(60):
            protocol = rng.choice((6, 17, 1, 50))
            ends = [NEAR, rng.choice((FAR, BESIDE, 10 << 24 | 77))]
            direction = rng.choice((IN, OUT))
            src, dst = ends if direction is OUT else ends[::-1]
            ports = (rng.choice((443, 40000)), rng.choice((22, 443, 40000))) if protocol in (6, 17) else (0, 0)
            records.append(LogRecord(4, src, dst, protocol, *ports, 100, 100, "eni-1", direction, 0))
        snapshot = Snapshot.of(environment)
        acls = NetworkAcls(environment, snapshot.tables.interface_ids)
        for batch in replay_logs(snapshot, [batch_of(records)]):
            import numpy as np

            found = acls.ask(batch.verdicts, np.arange(len(batch)))
            for at, order in enumerate(batch.order.tolist()):
                expected, number = acl_twin(environment, records[order])
                assert found.answer[at] == expected, (seed, records[order])
                if expected in (AclAnswer.ALLOWS, AclAnswer.DENIES):
                    assert found.entry[at] == number
                decided.add(expected)
    assert decided == set(AclAnswer)
