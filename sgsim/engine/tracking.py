"""Packets in time: every packet's answer at both ends, with connections, replies and fragments.

The rules themselves (docs/semantics.md §2, §9) stand in `sgsim.reference.tracking`, in plain loops; this does the
same on columns, and is tested against it packet by packet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.engine.answers import Answers
from sgsim.engine.flowstore import Arrivals, FlowStore
from sgsim.engine.interner import Interner, grown
from sgsim.engine.keys import fragment_keys, quoted_keys, quotes_of_errors
from sgsim.engine.resolve import FindsEnds, Resolver
from sgsim.engine.snapshot import Snapshot
from sgsim.engine.spans import Span
from sgsim.engine.views import View
from sgsim.kernels.tracking_layout import (
    FRAGMENT_TIME,
    HOT_WORDS,
    LIMIT_FRAGMENT,
    OPTION_OTHER_REFRESH,
    OPTION_REJECT_MIDSTREAM,
    TOTALS_UNSEEN,
    Accounts,
    Packets,
    TrackingState,
)
from sgsim.packets import FRAGMENT_NONE, PacketBatch

__all__ = ["Prepared", "Tracked", "Tracker"]

_LONG_AGO = np.iinfo(np.int64).min // 2  #: a time that no packet is within any timeout of
_NONE = np.empty((0, 2), np.int32)
_NO_ACCOUNTS = Accounts(
    np.empty(0, np.int32),
    np.empty((0, HOT_WORDS), np.int64),
    np.zeros(3, np.int64),
    np.zeros(3, np.int64),
    np.zeros((TOTALS_UNSEEN + 1, 3), np.int64),
)


class Tracked(NamedTuple):
    """n packets judged: the micro-flow of each (row of the store) and its answers at both ends.

    `words` is int32[n, 2], egress end first; `Tracker.answers` reads them.
    """

    flow: npt.NDArray[np.int32]
    words: npt.NDArray[np.int32]


class Prepared(NamedTuple):
    """n packets whose micro-flows are judged, ready for the tracking kernel."""

    packets: Packets
    fragments: npt.NDArray[np.int32]
    quoted: npt.NDArray[np.int32]


class Tracker:
    """Judges packets batch by batch, in time order, remembering connections per interface.

    How packets are split into batches makes no difference. `resolver` takes the place of the usual one, where the
    ends are known from elsewhere.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        vantage: str | None = None,
        vpc_id: str | None = None,
        threads: int | None = None,
        resolver: FindsEnds | None = None,
    ) -> None:
        self._vantage, self._vpc_id = vantage, vpc_id
        self._view = self._next = View.first(snapshot, resolver or Resolver(snapshot, vantage, vpc_id))
        self.store = FlowStore(self._view, threads=threads)
        semantics = snapshot.semantics
        self._related = semantics.icmp_errors == "related"
        self._fragments_follow = semantics.fragments == "first"
        self._options = OPTION_OTHER_REFRESH if semantics.other_protocol_refresh else 0
        self._options |= OPTION_REJECT_MIDSTREAM if semantics.tcp_midstream == "reject" else 0
        self._fragment_keys = Interner()
        self._fragments: npt.NDArray[np.int64] = np.empty((0, 2), np.int64)

    @property
    def snapshot(self) -> Snapshot:
        """The one by which packets that are grouped now are judged."""
        return self._next.snapshot

    @property
    def interface_ids(self) -> list[str]:
        """What the numbers of interfaces in answers mean: the first snapshot's, then what later ones have beside it."""
        return self._view.interfaces.ids

    @property
    def rule_ids(self) -> list[str]:
        """What the numbers of rules in answers mean, likewise."""
        return self._view.rules.ids

    @property
    def view(self) -> View:
        """The snapshot that packets are judged by, in the numbers of answers."""
        return self._next

    def view_of(self, before: View, snapshot: Snapshot, resolver: FindsEnds | None = None) -> View:
        """The view of a snapshot; `before` is the one that was made last."""
        return before.next(snapshot, resolver or Resolver(snapshot, self._vantage, self._vpc_id))

    def swap(self, snapshot: Snapshot, *, resolver: FindsEnds | None = None) -> None:
        """Go on under another snapshot of the same semantics, from the next packets that are grouped on (§2.2).

        Tracked connections go on until they end, whatever the rules are now; all else is judged by the new rules.
        Takes effect in `prepare` for the packets that were grouped after it, so that those grouped before may wait.
        """
        self.look(self.view_of(self._next, snapshot, resolver))

    def look(self, view: View) -> None:
        """`swap` to a view that was made before."""
        self._next = view
        self.store.look(view)

    def step(self, batch: PacketBatch) -> Tracked:
        """Answer the packets of a batch."""
        return next(self.steps([Span(batch, 0, len(batch))]))

    def steps(self, spans: Sequence[Span]) -> Iterator[Tracked]:
        """Answer the packets of several spans, one span at a time; their new flows are judged together."""
        yield from self.answered(self.group(spans))

    def answered(self, arrivals: Arrivals) -> Iterator[Tracked]:
        """Answer packets that were grouped before, one span at a time; in the order of `group`."""
        for prepared in self.prepare(arrivals):
            yield Tracked(prepared.packets.flow, self.words(prepared))

    def group(self, spans: Sequence[Span]) -> Arrivals:
        """Judge the new flows of several spans together; may be ahead of `prepare`, in another thread."""
        return self.store.group(spans)

    def prepare(self, arrivals: Arrivals) -> Iterator[Prepared]:
        """Make each span ready for tracking; `run` them in this order."""
        self._turn_to(arrivals.view)
        self.store.admit(arrivals)
        for span, flow in zip(arrivals.spans, arrivals.rows, strict=True):
            batch, start, stop = span
            packets = Packets(
                flow,
                batch.time[start:stop],
                batch.length[start:stop],
                batch.tcp_flags[start:stop],
                batch.fragment[start:stop],
            )
            yield Prepared(packets, self._fragment_rows(span, flow), self._quoted_rows(span, flow))

    def words(self, prepared: Prepared) -> npt.NDArray[np.int32]:
        """Answer packets without accounts: int32[n, 2], egress end first."""
        words = np.empty((len(prepared.packets.flow), 2), np.int32)
        if len(words):
            self.run(prepared, 0, words, _NO_ACCOUNTS)
        return words

    def run(self, prepared: Prepared, first: int, words: npt.NDArray[np.int32], accounts: Accounts) -> int:
        """Answer packets `first` … into `words`, or if that is empty into `accounts`; returns how many are done."""
        from sgsim.kernels.tracking import track

        store = self.store
        state = TrackingState(
            store.hot, store.halves, store.connections, self._fragments, store.rules.codes, self._view.limits
        )
        done: int = track(
            prepared.packets, state, prepared.fragments, prepared.quoted, self._options, first, words, accounts
        )
        return done

    def answers(self, words: npt.NDArray[Any]) -> Answers:
        """The answers in `Tracked.words`, or some of them, as columns."""
        return Answers(words, self.store.rules)

    def forget(self, now: int) -> npt.NDArray[np.int32]:
        """Drop what cannot matter any more at `now` (ns), see `FlowStore.forget`."""
        self.forget_fragments(now)
        return self.store.forget(now)

    def forget_fragments(self, now: int) -> None:
        """Drop first fragments whose later ones are not waited for any more at `now` (ns)."""
        rows = self._fragments[: self._fragment_keys.count]
        kept = rows[:, FRAGMENT_TIME] >= now - self._view.limits[0, LIMIT_FRAGMENT]
        self._fragment_keys.keep(kept)
        self._fragments = rows[kept]

    def _turn_to(self, view: View) -> None:
        """Let connections time out as the view says."""
        old, new = self._view.limits, view.limits
        self._view = view
        if old is not new:
            changed = np.flatnonzero((old != new[: len(old)]).any(axis=1))
            if len(changed):
                self.store.retime(old, new, changed)

    def _fragment_rows(self, span: Span, flow: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Where first fragments are remembered for each end: addresses, protocol, IP id (§9.15); -1 for none."""
        batch, start, stop = span
        fragment = batch.fragment[start:stop]
        which = np.flatnonzero(fragment != FRAGMENT_NONE)
        if not len(which):
            return _NONE
        rows = np.full((stop - start, 2), -1, np.int32)
        if not self._fragments_follow:
            return rows
        for end in (0, 1):
            interface = self.store.interfaces(flow[which], end)
            known = np.flatnonzero(interface >= 0)
            before = self._fragment_keys.count
            keys = fragment_keys(batch, start + which[known], end, interface[known])
            rows[which[known], end] = self._fragment_keys.intern(keys)
            self._fragments = grown(self._fragments, self._fragment_keys.count)
            self._fragments[before : self._fragment_keys.count, FRAGMENT_TIME] = _LONG_AGO
        return rows

    def _quoted_rows(self, span: Span, flow: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The connection that each ICMP error is about, at each end where it is seen (§9.13); -1 for none."""
        from sgsim.kernels.tracking_admission import quoted_connection_keys

        batch, start, stop = span
        if not self._related or not len(batch.quotes.packet):
            return _NONE
        of = quotes_of_errors(batch, start, stop)
        if not len(of):
            return _NONE
        packet = batch.quotes.packet[of] - start
        quoted = quoted_keys(batch, of)
        keys = np.empty_like(quoted)
        rows = np.full((stop - start, 2), -1, np.int32)
        for end in (0, 1):
            interface = self.store.interfaces(flow[packet], end)
            which = np.flatnonzero(quoted_connection_keys(quoted, end, interface, keys))
            rows[packet[which], end] = self.store.connection_rows(keys[which], interface[which])
        return rows
