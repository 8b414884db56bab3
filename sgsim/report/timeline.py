"""What a report says of a configuration that changed while the traffic ran: versions, changes, verdicts' turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from sgsim.flows import EGRESS, INGRESS
from sgsim.model import ICMP, ICMPV6, TCP, UDP, protocol_name
from sgsim.model.history import History, Version
from sgsim.report.changes import change_lines
from sgsim.report.columns import Coded, Column, Names, Numbers
from sgsim.report.labels import Labels
from sgsim.report.situations import SCAN
from sgsim.report.style import Style, clean, columns, counted
from sgsim.report.tally import MANY, Count, group_table
from sgsim.verdicts import Reason, TimedVerdicts, Verdict

__all__ = ["TIME_FIELDS", "TimePart", "TimedNames", "TurnKey", "Turns", "timeline_json", "timeline_text"]

#: Fields that records have beside the others where the configuration changes.
TIME_FIELDS = ("snapshot", "changed_by", "rules_before")

MOST_TURNS, MOST_LINES, MOST_UNRESOLVED, MAX_TURNS, MOST_PEERS = 6, 8, 12, 10_000, 100
NOT_THERE = 255


class TurnKey(NamedTuple):
    """What the records of a turn share; `before` what rules said before version `change`, the others as in GroupKey."""

    change: int
    before: int
    action: int
    reason: int
    interface: int
    direction: int
    family: int
    protocol: int
    service: int
    answer: bool

    @property
    def survives(self) -> bool:
        """Whether a live connection lets through what the rules do not any more."""
        return self.action == Verdict.ACCEPT and self.reason == Reason.TRACKED


@dataclass(slots=True)
class Turn:
    """Records about which rules said something else before a change; `peers` counts records by (family, address)."""

    count: Count = field(default_factory=Count)
    peers: Counter[tuple[int, int]] = field(default_factory=Counter)


class Turns:
    """Adds up the turns in batches of TimedVerdicts; memory follows their kinds, up to a limit."""

    def __init__(self) -> None:
        self.found: dict[TurnKey, Turn] = {}
        self.versions: set[int] = set()  #: that judged something
        self.more = 0  #: records of kinds beyond the limit

    def add(self, verdicts: TimedVerdicts) -> None:
        self.versions.update(np.unique(verdicts.snapshot).tolist())
        rows = np.flatnonzero(verdicts.change > 0)
        if not len(rows):
            return
        table = group_table(verdicts, rows, collapse=len(self.found) >= MAX_TURNS)
        for name in ("change", "before"):
            table = table.append_column(name, [getattr(verdicts, name)[rows]])
        keys = [*TurnKey._fields, "peer_hi", "peer_lo"]
        sums = [("row", "count"), ("packets", "sum"), ("bytes", "sum")]
        for line in table.group_by(keys, use_threads=False).aggregate(sums).to_pylist():
            key = TurnKey(*(line[name] for name in TurnKey._fields))
            if key not in self.found and len(self.found) >= 2 * MAX_TURNS:
                self.more += line["row_count"]
                continue
            turn = self.found.setdefault(key, Turn())
            turn.count.add(line["row_count"], line["packets_sum"], line["bytes_sum"])
            peer = (key.family, line["peer_hi"] << 64 | line["peer_lo"])
            if peer in turn.peers or len(turn.peers) < MOST_PEERS:
                turn.peers[peer] += line["row_count"]

    def of(self, version: int) -> list[tuple[TurnKey, Turn]]:
        """The turns that the changes of a version decided, those with most records first."""
        chosen = [(key, turn) for key, turn in self.found.items() if key.change == version]
        return sorted(chosen, key=lambda each: (-each[1].count.records, each[0]))


@dataclass(frozen=True, slots=True)
class TimePart:
    """The part of a report that is about changes. `source` is their file, `at` the environment's time if it is known.

    `spanning`: flow-log records during which the configuration changed, so that two versions may both have judged.
    """

    history: History
    turns: Turns
    source: str
    at: datetime | None = None
    spanning: int | None = None


class TimedNames(Names):
    """The names of other records, with the fields that tell of time; `inner` names everything else."""

    def __init__(self, inner: Names, history: History) -> None:
        self._inner = inner
        self.fields = (*inner.fields, *TIME_FIELDS)
        self._events = [None, *(_events(version) for version in history.versions[1:])]

    def blocks(self, batch: Any) -> Iterator[Any]:
        return self._inner.blocks(batch)

    def verdicts_of(self, batch: Any) -> Any:
        return self._inner.verdicts_of(batch)

    def columns(self, batch: Any) -> dict[str, Column]:
        timed: TimedVerdicts = self.verdicts_of(batch)
        before = np.where(timed.change == 0, NOT_THERE, timed.before).astype(np.int32)
        return {
            **self._inner.columns(batch),
            "snapshot": Numbers(timed.snapshot),
            "changed_by": Coded(timed.change, self._events),
            "rules_before": Coded(np.minimum(before, 3), (*(verdict.name for verdict in Verdict), None)),
        }


def _events(version: Version) -> str:
    """The events behind a version, `RevokeSecurityGroupIngress e-1; …`."""
    return "; ".join(dict.fromkeys(change.origin.event for change in version.changes if change.origin is not None))


# -- text ------------------------------------------------------------------------------------------------------------


def timeline_text(part: TimePart, labels: Labels, style: Style) -> Iterator[str]:
    """The chapter on changes: each one that turned a verdict, or came while there was traffic, with what it turned."""
    versions = part.history.versions
    moment = "after the last of them" if part.at is None else _time(part.at)
    yield (
        style.heading("Changes")
        + "  "
        + style(
            f"{clean(part.source)}: {counted(sum(len(one.changes) for one in versions), 'change')}; "
            f"the environment is as of {moment}",
            "dim",
        )
    )
    seen = part.turns.versions
    yield f"  {_judged_by(seen, len(versions))}"
    first, last = min(seen, default=0), max(seen, default=0)
    for version in versions[1:]:
        turns = part.turns.of(version.number)
        if turns or first < version.number <= last:
            yield from _version(part, version, turns, labels, style)
    if part.spanning:
        yield f"  {counted(part.spanning, 'record')} during which something changed: UNKNOWN where the versions differ"
    if part.turns.more:
        yield f"  {counted(part.turns.more, 'more record')} of too many kinds to show"
    yield from _unresolved(part.history)


def _judged_by(seen: set[int], count: int) -> str:
    versions = counted(count, "version")
    if not seen or count == 1:
        return f"{versions} of the environment"
    numbers = sorted(seen)
    run = len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1
    shown = f"{numbers[0]} to {numbers[-1]}" if run else ", ".join(map(str, numbers[:12]))
    more = f" and {len(numbers) - 12} more" if not run and len(numbers) > 12 else ""
    return f"{versions} of the environment, numbered from 0; this traffic was judged by {shown}{more}"


def _version(
    part: TimePart, version: Version, turns: list[tuple[TurnKey, Turn]], labels: Labels, style: Style
) -> Iterator[str]:
    assert version.since is not None
    yield f"  {version.number}  {_time(version.since)}"
    told: set[str] = set()
    for change in version.changes:
        origin = change.origin
        assert origin is not None
        by = f" by {origin.principal}" if origin.principal else ""
        place = f" from {origin.source}" if origin.source else ""
        text = clean(f"{origin.event}{by}{place}")
        if text not in told:
            told.add(text)
            yield f"     {text}"
    before = part.history.versions[version.number - 1].environment
    lines = [(thing, line) for thing, each in change_lines(before, version.environment).items() for line in each]
    colors = {"-": "red", "+": "green", "~": "yellow"}
    for thing, line in lines[:MOST_LINES]:
        yield f"       {style(clean(f'{line[0]} {thing} {line[2:]}'), colors[line[0]])}"
    if len(lines) > MOST_LINES:
        yield f"       … {len(lines) - MOST_LINES} more"
    shown = _together(turns)
    rows = [_turn_row(ports, *each, labels) for ports, each in shown[:MOST_TURNS]]
    yield from columns(rows, "<<<>>", indent="     ")
    if len(shown) > MOST_TURNS:
        yield f"     … {len(shown) - MOST_TURNS} more; --format json has all"
    if not turns:
        yield "     no verdict of this traffic turned by it"


def _together(turns: list[tuple[TurnKey, Turn]]) -> list[tuple[list[int], tuple[TurnKey, Turn]]]:
    """Turns with the services of each; ports that differ in nothing else are one from SCAN on: a scan is one thing."""
    alike: dict[TurnKey, list[tuple[TurnKey, Turn]]] = {}
    for key, turn in turns:
        ports = key.protocol in (TCP, UDP) and len(turn.peers) == 1
        alike.setdefault(key._replace(service=MANY - 1 - next(iter(turn.peers))[1]) if ports else key, []).append(
            (key, turn)
        )
    found: list[tuple[list[int], tuple[TurnKey, Turn]]] = []
    for each in alike.values():
        if len(each) < SCAN:
            found += [([key.service], (key, turn)) for key, turn in each]
            continue
        total = Turn()
        for _, turn in each:
            total.count.add(turn.count.records, turn.count.packets, turn.count.bytes)
            total.peers.update(turn.peers)
        found.append((sorted(key.service for key, _ in each), (each[0][0], total)))
    return sorted(found, key=lambda one: -one[1][1].count.records)


def _turn_row(ports: list[int], key: TurnKey, turn: Turn, labels: Labels) -> tuple[str, ...]:
    names = [labels.address(peer) for peer, _ in turn.peers.most_common(2)]
    preposition = "from" if key.direction == INGRESS else "to"
    more = " and more" if len(turn.peers) > 2 else ""
    where = f"{labels.interface(key.interface)} {'egress' if key.direction == EGRESS else 'ingress'}"
    what = f"{_service(key, ports)} {preposition} {', '.join(names)}{more}"
    return (_turned(key), where, what, counted(turn.count.records, "record"), counted(turn.count.packets, "packet"))


def _turned(key: TurnKey) -> str:
    before = "no interface" if key.before == NOT_THERE else Verdict(key.before).name
    if key.survives:
        return f"{before}, still let through as tracked"
    return f"{before} → {Verdict(key.action).name}"


def _service(key: TurnKey, ports: list[int]) -> str:
    name = protocol_name(key.protocol)
    if len(ports) > 1:
        return f"{name} {len(ports)} ports ({', '.join(map(str, ports[:4]))} …)"
    if key.protocol in (ICMP, ICMPV6):
        return name if key.service == 0xFFFF else f"{name} {key.service >> 8}/{key.service & 0xFF}"
    text = name if key.service == 0 else f"{name} any port" if key.service == MANY else f"{name} {key.service}"
    return f"answers from {text}" if key.answer else text


def _unresolved(history: History) -> Iterator[str]:
    lines = history.unresolved
    if not lines:
        return
    yield "  not known of the past; where it may matter the verdict is UNKNOWN:"
    yield from (f"    {clean(line)}" for line in lines[:MOST_UNRESOLVED])
    if len(lines) > MOST_UNRESOLVED:
        yield f"    … {len(lines) - MOST_UNRESOLVED} more; --format json has all"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


# -- JSON ------------------------------------------------------------------------------------------------------------


def timeline_json(part: TimePart, labels: Labels) -> dict[str, Any]:
    """The `timeline` of the JSON document."""
    return {
        "source": part.source,
        "environment_time": None if part.at is None else part.at.astimezone(UTC).isoformat(),
        "present": part.history.present,
        "spanning_records": part.spanning,
        "unresolved": list(part.history.unresolved),
        "more_turns": part.turns.more,
        "snapshots": [_version_json(part, version, labels) for version in part.history.versions],
    }


def _version_json(part: TimePart, version: Version, labels: Labels) -> dict[str, Any]:
    before = part.history.versions[max(version.number - 1, 0)].environment
    return {
        "snapshot": version.number,
        "since": None if version.since is None else version.since.astimezone(UTC).isoformat(),
        "judged": version.number in part.turns.versions,
        "events": [
            {
                "time": None if origin.time is None else origin.time.astimezone(UTC).isoformat(),
                "event": origin.event,
                "principal": origin.principal,
                "source": origin.source,
                "place": origin.place,
            }
            for origin in dict.fromkeys(change.origin for change in version.changes)
            if origin is not None
        ],
        "changes": change_lines(before, version.environment),
        "turns": [_turn_json(key, turn, labels) for key, turn in part.turns.of(version.number)],
    }


def _turn_json(key: TurnKey, turn: Turn, labels: Labels) -> dict[str, Any]:
    icmp = key.protocol in (ICMP, ICMPV6)
    known = icmp and key.service != 0xFFFF
    return {
        "rules_before": None if key.before == NOT_THERE else Verdict(key.before).name,
        "action": Verdict(key.action).name,
        "reason": Reason(key.reason).name,
        "interface_id": labels.interface_ids[key.interface],
        "flow_direction": "egress" if key.direction == EGRESS else "ingress",
        "protocol": key.protocol,
        "port": None if icmp or key.service == MANY else key.service,
        "icmp_type": key.service >> 8 if known else None,
        "icmp_code": key.service & 0xFF if known else None,
        "answers": key.answer,
        "records": turn.count.records,
        "packets": turn.count.packets,
        "bytes": turn.count.bytes,
        "peers": [{"address": labels.address(peer), "records": n} for peer, n in turn.peers.most_common(20)],
    }
