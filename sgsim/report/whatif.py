"""Everything that a what-if says, gathered once for all formats; and what it finds in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from sgsim.analysis.space import format_services
from sgsim.analysis.whatif import KINDS, QuotaChange, SpaceRow, WhatIf
from sgsim.analysis.whatif_causes import RuleCause, Side, rule_causes
from sgsim.analysis.whatif_live import Fate, LiveChange
from sgsim.analysis.whatif_traffic import Answer, Count, Service, TrafficChange
from sgsim.model import ICMP, ICMPV6, TCP, UDP, Direction, protocol_name
from sgsim.report.labels import Labels
from sgsim.report.space import space_lines
from sgsim.report.style import clean, counted, listed, number
from sgsim.report.usage import Source, span_in_words
from sgsim.verdicts import Reason, Verdict

__all__ = [
    "Found",
    "WhatIfReport",
    "answer_words",
    "bucket_words",
    "count_sums",
    "count_words",
    "exposed_words",
    "live_words",
    "service_text",
]

_REASONS = {
    Reason.NO_RULE: "no rule matches",
    Reason.RULE: "a rule matches",
    Reason.TRACKED: "it belongs to a tracked connection",
    Reason.UNFILTERED: "an interface without groups is not filtered",
    Reason.EXEMPT: "security groups never see it",
    Reason.NO_INTERFACE: "neither end is in the environment",
    Reason.AMBIGUOUS_INTERFACE: "several interfaces could be meant",
    Reason.UNRESOLVED: "a rule may match; the input does not tell",
    Reason.UNDECODABLE: "it could not be decoded",
}
#: What became of a rule that passes traffic before, and not after.
_GONE = {
    "interface": "its interface is removed",
    "group": "its group is deleted",
    "detached": "its group is taken off the interface",
    "gone": "revoked",
    "list": "the prefix list has other entries now",
    "members": "the group that it refers to has other members now",
    "same": "still there",
}
#: Of one that passes traffic after, and not before.
_CAME = {
    "interface": "its interface is new",
    "group": "its group is new",
    "detached": "its group is put on the interface",
    "gone": "new",
    "list": "the prefix list had other entries before",
    "members": "the group that it refers to had other members before",
    "same": "there before",
}


class Found(NamedTuple):
    """One thing to report: kind (of KINDS), stable id, a sentence for somebody who sees nothing else, and what it is
    about: ids of groups and of an interface, each "" or empty where there is none."""

    kind: str
    finding_id: str
    sentence: str
    group_ids: tuple[str, ...]
    interface_id: str


@dataclass(frozen=True)
class WhatIfReport:
    """A finished what-if. `source` is where the environment was read from, `asked` where the changes were;
    `sources` are the files of traffic, `options` what the user chose beside it, `notes` remarks on the whole.
    """

    source: str
    asked: str
    answer: WhatIf
    sources: Sequence[Source] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @cached_property
    def before(self) -> Labels:
        """Names before the change."""
        return Labels(self.answer.before, (), ())

    @cached_property
    def after(self) -> Labels:
        """Names after it."""
        return Labels(self.answer.after, (), ())

    @cached_property
    def _sides(self) -> tuple[Side, Side]:
        return Side(self.answer.before), Side(self.answer.after)

    def rule(self, rule_id: str) -> str:
        """A rule of either side in words, as it was before if it was there."""
        return (self.before if rule_id in self.before.rules else self.after).rule(rule_id)

    def interface(self, interface_id: str | None) -> str:
        """An interface of either side with its names."""
        if not interface_id:
            return "one of several interfaces"
        return (self.before if interface_id in self.answer.before.interfaces else self.after).interface_named(
            interface_id
        )

    def group_of(self, rule_id: str) -> str:
        """The id of a rule's group, "" where the rule is on neither side."""
        for side in self._sides:
            if rule_id in side.rules:
                return side.rules[rule_id].group_id
        return ""

    def groups_of(self, change: TrafficChange) -> list[str]:
        """The ids of the groups whose rules pass the traffic on one side."""
        return list(dict.fromkeys(filter(None, map(self.group_of, change.rule_ids))))

    def causes(self, change: TrafficChange) -> list[tuple[str, str]]:
        """Each rule that passes the traffic on one side, in words, and what became of it, or where it came from."""
        here, there = self._sides
        gone = change.kind.endswith("rejected")
        if not gone:
            here, there = there, here
        labels = self.before if gone else self.after
        words = _GONE if gone else _CAME
        return [
            (labels.rule(cause.rule_id), self._cause(cause, words, gone, change.opening))
            for cause in rule_causes(change.rule_ids, change.interface_id, here, there)
        ]

    def _cause(self, cause: RuleCause, words: Mapping[str, str], gone: bool, opening: bool) -> str:
        if cause.what == "changed":
            assert cause.other is not None
            return f"{'now' if gone else 'was'} {(self.after if gone else self.before).what(cause.other)}"
        if cause.what == "same" and not opening:
            return "still there, but the connection is not opened" if gone else "there before, without a connection"
        return words[cause.what]

    # -- what there is to report ---------------------------------------------------------------------------------

    @cached_property
    def found(self) -> tuple[Found, ...]:
        """Everything, in the order of KINDS."""
        answer = self.answer
        listed_ = [*self._traffic(), *self._live(), *self._space(), *map(self._quota, answer.quota)]
        order = list(KINDS)
        return tuple(sorted((one for one in listed_ if one), key=lambda one: order.index(one.kind)))

    def _traffic(self) -> Iterator[Found]:
        for change in self.answer.traffic.changes if self.answer.traffic else ():
            groups, name = tuple(self.groups_of(change)), change.interface_id or ""
            yield Found(change.kind, change.change_id, self.traffic_sentence(change), groups, name)

    def traffic_sentence(self, change: TrafficChange) -> str:
        """`14 flows newly rejected at eni-… ingress: tcp 8080 from 10.20.0.80; …`"""
        what = change.kind.replace("-", " ")
        kind = counted(change.count.flows, "flow" if change.opening else "answering flow")
        services = listed([service_text(service) for service, _ in change.services])
        where = f"{self.interface(change.interface_id)} {change.direction.name.lower()}"
        rules = "; ".join(f"{rule}: {cause}" for rule, cause in self.causes(change)) or answer_words(change.before)
        return f"{kind} {what} at {where}: {services} {self.peers(change)}; {rules}"

    def peers(self, change: TrafficChange) -> str:
        """`from 10.20.0.80, 10.20.1.80 and 12 more`"""
        preposition = "from" if change.direction is Direction.INGRESS else "to"
        shown = listed([Labels.address(peer) for peer, _ in change.peers])
        return f"{preposition} {shown}{' and others' if change.more_peers else ''}"

    def _live(self) -> Iterator[Found]:
        live = self.answer.traffic.live if self.answer.traffic else None
        for change in live.changes if live else ():
            groups = tuple(dict.fromkeys(filter(None, map(self.group_of, change.opened_by))))
            yield Found(change.fate.value, change.change_id, self.live_sentence(change), groups, change.interface_id)

    def live_sentence(self, change: LiveChange) -> str:
        """`2 open connections cut now at eni-… ingress: tcp 443 from …; …`"""
        where = f"{self.interface(change.interface_id)} {change.direction.name.lower()}"
        count = counted(change.connections, "open connection")
        return f"{count} {live_words(change)}, at {where}: {service_text(change.service)} {self.live_peers(change)}"

    def live_peers(self, change: LiveChange) -> str:
        preposition = "from" if change.direction is Direction.INGRESS else "to"
        return f"{preposition} {listed([Labels.address(peer) for peer, _ in change.peers])}"

    def _space(self) -> Iterator[Found]:
        for row in self.answer.space:
            change, groups = row.change.change, self._groups_of(row)
            first = row.change.interface_ids[0]
            if row.exposed:
                yield Found("opens-internet", f"opens-internet/{row.key}", self.exposed_sentence(row), groups, first)
            for kind, space in (
                ("opened", change.opened | change.confirmed | change.may_open),
                ("closed", change.closed | change.refuted | change.may_close),
            ):
                if space:
                    text = "; ".join(space_lines(space, row.change.direction, 8))
                    yield Found(kind, f"{kind}/{row.key}", f"{kind} at {self.interfaces(row)}: {text}", groups, first)

    def interfaces(self, row: SpaceRow) -> str:
        """`eni-… (…) and 3 more interfaces, ingress`"""
        ids = row.change.interface_ids
        more = f" and {number(len(ids) - 1)} more" if len(ids) > 1 else ""
        return f"{self.interface(ids[0])}{more} {row.change.direction.name.lower()}"

    def exposed_sentence(self, row: SpaceRow) -> str:
        first = self.interface(row.exposed[0])
        more = f" and {counted(len(row.exposed) - 1, 'more interface')}" if len(row.exposed) > 1 else ""
        return f"{exposed_words(row)} opens to the internet at {first}{more}"

    def _groups_of(self, row: SpaceRow) -> tuple[str, ...]:
        """The groups that the change is about, as far as the interface has them: those whose rules differ."""
        sides = (self.answer.before, self.answer.after)
        carried = [
            one.group_ids for side in sides if (one := side.interfaces.get(row.change.interface_ids[0])) is not None
        ]
        ids = tuple(dict.fromkeys(name for names in carried for name in names))
        return tuple(name for name in ids if sides[0].groups.get(name) != sides[1].groups.get(name)) or ids

    def subject(self, change: QuotaChange) -> str:
        """A group's or interface's id with its name."""
        for labels in (self.after, self.before):
            group = labels.environment.groups.get(change.subject)
            if group is not None:
                return clean(f"{change.subject} ({group.name})" if group.name else change.subject)
        return self.interface(change.subject)

    def quota(self, change: QuotaChange) -> str:
        """`ingress rules for IPv4 of sg-… (shop-web): 58 → 61 of 60`"""
        counts = f"{number(change.before)} → {number(change.after)} of {number(change.limit)}"
        return f"{bucket_words(change)} of {self.subject(change)}: {counts}"

    def _quota(self, change: QuotaChange) -> Found | None:
        if not change.over:
            return None
        group = (change.subject,) if change.subject in self.answer.after.groups else ()
        interface = "" if group else change.subject
        key = f"quota/{change.subject}/{change.bucket}"
        return Found("quota", key, f"over quota: {self.quota(change)}", group, interface)


def bucket_words(change: QuotaChange) -> str:
    """`ingress rules for IPv4`, `groups`."""
    direction, _, family = change.bucket.partition("/")
    return "groups" if change.bucket == "groups" else f"{direction} rules for {family.replace('ip', 'IP')}"


def exposed_words(row: SpaceRow) -> str:
    """The services that become open to the internet: `tcp 22 (IPv4), tcp 22 (IPv6)`."""
    parts = [
        f"{format_services(services)} ({family})"
        for family, services in zip(("IPv4", "IPv6"), row.services)
        if services
    ]
    return ", ".join(parts) or "several services together (none of them alone)"


def service_text(service: Service) -> str:
    """`tcp 443`, `icmp 8/0`, `esp`."""
    name = protocol_name(service.protocol)
    if service.protocol in (TCP, UDP):
        return f"{name} {service.port}"
    if service.protocol in (ICMP, ICMPV6):
        return name if service.port < 0 else f"{name} {service.port >> 8}/{service.port & 255}"
    return name


def count_words(count: Count, noun: str = "flow") -> str:
    """`14 flows, 84 packets, 9,856 bytes`."""
    return f"{counted(count.flows, noun)}, {counted(count.packets, 'packet')}, {number(count.bytes)} bytes"


def count_sums(changes: Iterable[TrafficChange], keys: Callable[[TrafficChange], list[str]]) -> dict[str, Count]:
    """Counts by key, most flows first; a flow counts for each of its keys, answers only where nothing else does."""
    listed_ = list(changes)
    found: dict[str, Count] = {}
    for change in [each for each in listed_ if each.opening] or listed_:
        for key in keys(change):
            known = found.get(key, Count(0, 0, 0))
            found[key] = Count(*(a + b for a, b in zip(known, change.count)))
    return dict(sorted(found.items(), key=lambda each: (-each[1].flows, -each[1].packets, each[0])))


def answer_words(answer: Answer) -> str:
    """The reason at one end in words."""
    return "this end is not judged" if answer.reason is None else _REASONS[answer.reason]


def live_words(change: LiveChange) -> str:
    """What becomes of connections: `cut now; a new connection is rejected too`."""
    again = {
        0: "a new connection is rejected",
        1: "a new connection is accepted",
        2: "a new connection may be rejected",
    }
    if change.fate is Fate.CUT:
        return f"cut now; {again[change.reconnects]}{' too' if change.reconnects == Verdict.REJECT else ''}"
    if change.fate is Fate.UNDETERMINED:
        if change.by_path:
            path = "cut now, unless their path is one that AWS always tracks, which the input does not show"
            return f"{path}; {again[change.reconnects]}"
        if change.maybe:
            return f"it is not sure whether they are open; {again[change.reconnects]}"
        return f"a rule may match, the input does not tell; {again[change.reconnects]}"
    if change.fate is Fate.FAILS_ON_RECONNECT:
        return f"over but for the last packets; {again[change.reconnects]}"
    return f"tracked, so it goes on; without packets it times out in {_times(change)}, and {again[change.reconnects]}"


def _times(change: LiveChange) -> str:
    if change.least is None or change.most is None:
        return "due time"
    least, most = span_in_words(change.least), span_in_words(change.most)
    return least if least == most else f"{least} to {most}"
