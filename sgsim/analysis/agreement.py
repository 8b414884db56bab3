"""Simulated verdicts against the actions that a flow log recorded: how many agree, and why the others do not.

Every record with an action is either in agreement or in exactly one class. A class is only given where something in
the log or the environment speaks for it; what nothing speaks for is UNEXPLAINED.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sgsim.analysis.acls import AclAnswer, AclAnswers, NetworkAcls
from sgsim.engine.logs import LogVerdicts
from sgsim.engine.snapshot import Snapshot
from sgsim.flows import INGRESS
from sgsim.model import ICMP, ICMPV6, TCP, UDP
from sgsim.verdicts import Evidence, Reason, Verdict, Verdicts

__all__ = ["Agreement", "Cause", "Disagreement", "DisagreementKey"]

MAX_GROUPS = 10_000  #: from here on, new groups do not tell ports apart
MANY = -1  #: `DisagreementKey.service`: any port, since there are too many groups
ABSENT = 255  #: `LogVerdicts.recorded`: the log has no action

_NO_DIRECTION = 2


class Cause(IntEnum):
    """Why a simulated verdict is not the recorded action. Those from UNRESOLVED on are undecided, not contrary."""

    NETWORK_ACL = 0  #: the network ACL of the interface's subnet denies what the groups accept
    OTHER_FILTER = 1  #: the record itself names another reason, such as Block Public Access
    AFTER_CLOSE = 2  #: a packet of a connection that was closed before; says nothing about rules (§7.15)
    RULE_CHANGED = 3  #: later records of the same service agree: the rules were others before
    GUESSED = 4  #: the verdict rests on a guess about who opened the connection
    UNEXPLAINED = 5
    UNRESOLVED = 6  #: a rule that may match refers to what the input does not contain, or to a fragment's ports
    NO_INTERFACE = 7  #: the environment has no such interface or group: it is of another time or place
    ICMP_TYPE = 8  #: rules look at ICMP's type, which a flow log does not tell
    WHO_BEGAN = 9  #: the log does not show who opened the connection, or whether it was still open

    @property
    def undecided(self) -> bool:
        """Whether the simulated verdict is UNKNOWN rather than the contrary."""
        return self >= Cause.UNRESOLVED


class DisagreementKey(NamedTuple):
    """What the records of a group share.

    `interface` as in Verdicts; `direction` 2 where not known. `service` is the port of the side that was called (TCP,
    UDP), 0 for other protocols, or MANY; `answer` says that the records go from that side to the caller. `detail` is
    what the class is about: for NETWORK_ACL the ACL's index and entry number (`index << 16 | number`), for
    OTHER_FILTER the index of the reason, for NO_INTERFACE that of the interface id in the log (-1 for none), else -1.
    """

    cause: int
    action: int
    recorded: int
    reason: int
    interface: int
    direction: int
    family: int
    protocol: int
    service: int
    answer: bool
    detail: int


class Sample(NamedTuple):
    """One record of a group as numbers; addresses are integers; `order` is its number in the input, from 0."""

    family: int
    srcaddr: int
    dstaddr: int
    srcport: int
    dstport: int
    protocol: int
    tcp_flags: int
    order: int


@dataclass(slots=True)
class Disagreement:
    """A group of records; `acl` is what the network ACL says of its first record where that explains nothing.

    `agreed_since` counts records of the same service that agree and begin after the group's last.
    """

    key: DisagreementKey
    sample: Sample
    rules: tuple[int, ...]
    acl: AclAnswer = AclAnswer.NONE
    records: int = 0
    packets: int = 0
    bytes: int = 0
    start: int = 0
    end: int = 0
    agreed_since: int = 0

    @property
    def cause(self) -> Cause:
        """The class; a group becomes RULE_CHANGED when later records of its service agree."""
        cause = Cause(self.key.cause)
        return Cause.RULE_CHANGED if cause is Cause.UNEXPLAINED and self.agreed_since else cause


class Agreement:
    """Adds up batches of LogVerdicts; memory follows the number of groups.

    `counts[action, recorded]` counts records; `without_action` those of which the log has no action.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.acls = NetworkAcls(snapshot.environment, snapshot.tables.interface_ids)
        self.counts: npt.NDArray[np.int64] = np.zeros((len(Verdict), 2), np.int64)
        self.without_action = 0
        self.groups: dict[DisagreementKey, Disagreement] = {}
        self._services: dict[_Service, list[Disagreement]] = {}

    @property
    def compared(self) -> int:
        """Records that have an action."""
        return int(self.counts.sum())

    @property
    def agreeing(self) -> int:
        return int(self.counts[Verdict.ACCEPT, 1] + self.counts[Verdict.REJECT, 0])

    @property
    def contrary(self) -> int:
        return int(self.counts[Verdict.ACCEPT, 0] + self.counts[Verdict.REJECT, 1])

    @property
    def undecided(self) -> int:
        """Records whose simulated verdict is UNKNOWN."""
        return int(self.counts[Verdict.UNKNOWN].sum())

    @property
    def rate(self) -> float | None:
        """The share of agreeing records among those with a verdict, None if there is none."""
        decided = self.agreeing + self.contrary
        return self.agreeing / decided if decided else None

    def causes(self) -> dict[Cause, int]:
        """Records of each class, in the order of Cause."""
        found: dict[Cause, int] = {}
        for group in self.groups.values():
            found[group.cause] = found.get(group.cause, 0) + group.records
        return dict(sorted(found.items()))

    def add(self, batch: LogVerdicts) -> None:
        """Compare one batch."""
        verdicts, recorded = batch.verdicts, batch.recorded
        said = recorded != ABSENT
        self.without_action += int(np.count_nonzero(~said))
        pairs = verdicts.action[said].astype(np.int64) * 2 + recorded[said]
        self.counts += np.bincount(pairs, minlength=2 * len(Verdict)).reshape(len(Verdict), 2)
        differs = said & (verdicts.action != recorded)
        rows = np.flatnonzero(differs)
        if len(rows):
            self._add_groups(batch, rows)
        self._note_agreement(batch, np.flatnonzero(said & ~differs))

    def _add_groups(self, batch: LogVerdicts, rows: npt.NDArray[np.int64]) -> None:
        acl = self.acls.ask(batch.verdicts, rows)
        table = self._table(batch, rows, acl)
        keys = list(DisagreementKey._fields)
        merged = table.group_by(keys).aggregate(
            [("at", "min"), ("at", "count"), ("packets", "sum"), ("bytes", "sum"), ("start", "min"), ("start", "max"),
             ("end", "max")]
        )  # fmt: skip
        for line in merged.to_pylist():
            key = DisagreementKey(*(line[name] for name in keys))
            group = self.groups.get(key)
            if group is None:
                at = line["at_min"]
                row = int(rows[at])
                rules = batch.verdicts.sets[int(batch.verdicts.match_set[row])]
                rules = rules or batch.verdicts.sets[int(batch.verdicts.possible_set[row])]
                group = Disagreement(
                    key, _sample(batch, row), rules, AclAnswer(int(acl.answer[at])), start=line["start_min"]
                )
                self.groups[key] = group
                if key.cause == Cause.UNEXPLAINED:
                    self._services.setdefault(_service_of(key), []).append(group)
            group.records += line["at_count"]
            group.packets += line["packets_sum"]
            group.bytes += line["bytes_sum"]
            group.start, group.end = min(group.start, line["start_min"]), max(group.end, line["end_max"])
            group.agreed_since = 0

    def _table(self, batch: LogVerdicts, rows: npt.NDArray[np.int64], acl: AclAnswers) -> Any:
        """The rows as an Arrow table of the fields of DisagreementKey and what is summed up."""
        verdicts = batch.verdicts
        cause = _causes(batch, rows, acl)
        detail = np.full(len(rows), -1, np.int64)
        denied, other, nobody = (cause == one for one in (Cause.NETWORK_ACL, Cause.OTHER_FILTER, Cause.NO_INTERFACE))
        detail[denied] = acl.acl[denied].astype(np.int64) << 16 | acl.entry[denied]
        detail[other] = batch.refusal[rows[other]]
        unknown = nobody & (verdicts.interface[rows] < 0)
        detail[unknown] = batch.logged_interface[rows[unknown]]
        service, answer = _services(verdicts, rows)
        if len(self.groups) >= MAX_GROUPS:
            service = np.where(np.isin(verdicts.protocol[rows], (TCP, UDP)), MANY, service)
        return pa.table(
            {
                "cause": cause,
                "action": verdicts.action[rows],
                "recorded": batch.recorded[rows],
                "reason": verdicts.reason[rows],
                "interface": verdicts.interface[rows],
                "direction": verdicts.direction[rows],
                "family": verdicts.family[rows],
                "protocol": verdicts.protocol[rows],
                "service": service,
                "answer": pa.array(answer),
                "detail": detail,
                "at": np.arange(len(rows)),
                "packets": verdicts.packets[rows],
                "bytes": verdicts.bytes[rows],
                "start": verdicts.start[rows],
                "end": verdicts.end[rows],
            }
        )

    def _note_agreement(self, batch: LogVerdicts, rows: npt.NDArray[np.int64]) -> None:
        """Count agreeing records of services that have unexplained groups."""
        if not self._services or not len(rows):
            return
        verdicts = batch.verdicts
        wanted = np.array([_packed(*service) for service in self._services], np.int64)
        earliest = min(group.end for groups in self._services.values() for group in groups)
        service, answer = _services(verdicts, rows)
        packed = _packed(
            verdicts.interface[rows].astype(np.int64),
            verdicts.direction[rows].astype(np.int64),
            verdicts.protocol[rows].astype(np.int64),
            service.astype(np.int64),
            answer.astype(np.int64),
        )
        which = np.flatnonzero(np.isin(packed, wanted) & (verdicts.start[rows] > earliest))
        known = {_packed(*service): groups for service, groups in self._services.items()}
        peers, starts = _peers(verdicts, rows[which]), verdicts.start[rows[which]].tolist()
        for number, peer, start in zip(packed[which].tolist(), peers, starts):
            for group in known[number]:
                if start > group.end and peer == _peer_of(group):
                    group.agreed_since += 1


class _Service(NamedTuple):
    interface: int
    direction: int
    protocol: int
    service: int
    answer: bool


def _packed(interface: Any, direction: Any, protocol: Any, service: Any, answer: Any) -> Any:
    """A service as one 64-bit number; all parts are small."""
    return (interface + 2) << 29 | direction << 27 | protocol << 19 | (service + 1) << 1 | answer


def _service_of(key: DisagreementKey) -> _Service:
    return _Service(key.interface, key.direction, key.protocol, key.service, key.answer)


def _peers(verdicts: Verdicts, rows: npt.NDArray[np.int64]) -> list[int]:
    """The other end's address of each row."""
    ingress = verdicts.direction[rows] == INGRESS
    hi = np.where(ingress, verdicts.src_hi[rows], verdicts.dst_hi[rows]).tolist()
    lo = np.where(ingress, verdicts.src_lo[rows], verdicts.dst_lo[rows]).tolist()
    return [high << 64 | low for high, low in zip(hi, lo)]


def _peer_of(group: Disagreement) -> int:
    return group.sample.srcaddr if group.key.direction == INGRESS else group.sample.dstaddr


def _causes(batch: LogVerdicts, rows: npt.NDArray[np.int64], acl: AclAnswers) -> npt.NDArray[np.uint8]:
    """The class of each row, the first that something speaks for."""
    verdicts = batch.verdicts
    action, reason = verdicts.action[rows], verdicts.reason[rows]
    rejected = batch.recorded[rows] == Verdict.REJECT
    unknown = action == Verdict.UNKNOWN
    icmp = np.isin(verdicts.protocol[rows], (ICMP, ICMPV6))
    nowhere = (reason == Reason.NO_INTERFACE) | (reason == Reason.AMBIGUOUS_INTERFACE)
    undirected = verdicts.direction[rows] == _NO_DIRECTION
    without_rules = unknown & (verdicts.possible_set[rows] == 0) & (verdicts.match_set[rows] == 0)
    closed = rejected & batch.after_close[rows] & (verdicts.protocol[rows] == TCP)
    evidence = batch.evidence[rows]
    guessed = (evidence == Evidence.PORTS) | (evidence == Evidence.NONE)
    choices: list[tuple[Any, Cause]] = [
        (rejected & (batch.refusal[rows] >= 0), Cause.OTHER_FILTER),
        (rejected & (acl.answer == AclAnswer.DENIES), Cause.NETWORK_ACL),
        (unknown & nowhere, Cause.NO_INTERFACE),
        (closed, Cause.AFTER_CLOSE),
        (unknown & undirected, Cause.WHO_BEGAN),
        (unknown & icmp, Cause.ICMP_TYPE),
        (unknown & batch.open_question[rows], Cause.WHO_BEGAN),
        (without_rules, Cause.NO_INTERFACE),
        (unknown, Cause.UNRESOLVED),
        (guessed & (verdicts.reason[rows] != Reason.RULE), Cause.GUESSED),
    ]
    conditions, causes = zip(*choices)
    return np.select(conditions, [int(cause) for cause in causes], int(Cause.UNEXPLAINED)).astype(np.uint8)


def _services(verdicts: Verdicts, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """The port of the side that was called, as far as it can be told, and whether it is the sender."""
    protocol = verdicts.protocol[rows]
    ports = (protocol == TCP) | (protocol == UDP)
    src, dst = verdicts.srcport[rows], verdicts.dstport[rows]
    serves = (src < dst) & ((src < 1024) | (dst >= 32768))
    answer = ports & (~verdicts.initiating[rows] | ((verdicts.action[rows] == Verdict.UNKNOWN) & serves))
    service = np.where(ports, np.where(answer, src, dst), 0).astype(np.int32)
    return service, answer


def _sample(batch: LogVerdicts, row: int) -> Sample:
    verdicts = batch.verdicts
    return Sample(
        family=int(verdicts.family[row]),
        srcaddr=int(verdicts.src_hi[row]) << 64 | int(verdicts.src_lo[row]),
        dstaddr=int(verdicts.dst_hi[row]) << 64 | int(verdicts.dst_lo[row]),
        srcport=int(verdicts.srcport[row]),
        dstport=int(verdicts.dstport[row]),
        protocol=int(verdicts.protocol[row]),
        tcp_flags=int(batch.tcp_flags[row]),
        order=int(batch.order[row]),
    )
