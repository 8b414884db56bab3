"""Who talks on the wire: endless random traffic that keeps to what sgsim and conntrack can both express.

Everything that is kept out is listed in `test_linux.py`; the reasons stand where it is kept out.
"""

from __future__ import annotations

from random import Random
from typing import Protocol

from sgsim.model import ICMP, ICMPV6, TCP, UDP, Address
from sgsim.reference import Packet
from tests.kernel.accounts import OTHER_PROTOCOLS, OUTSIDERS, SERVICES, changed
from tests.kernel.wire import TICK_NS, Scene, Wire

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32

QUERY_PAIRS = {4: ((8, 0), (8, 0), (13, 14), (15, 16), (17, 18)), 6: ((128, 129),)}
ERRORS = {4: (3, 3, 3, 4, 5, 11, 12), 6: (1, 1, 2, 3, 4)}
MESSAGES = {4: (6, 9, 10, 30, 40), 6: (127, 138, 150, 200)}

#: What opens a connection in sgsim, if the rules accept it, and none in conntrack.
STRAYS = (SYN | ACK, FIN | ACK, RST, RST | ACK, 0, SYN | FIN, FIN, PSH)

Ends = tuple[Address, Address]


class Actor(Protocol):
    """Something that sends one packet at a time."""

    finished: bool

    def act(self) -> None:
        """Send one packet."""

    def quotable(self) -> Packet | None:
        """The head of a packet that an ICMP error may quote, None if none is comparable now."""


class Stage:
    """Where actors act: the wire, a clock and the addresses."""

    def __init__(self, random: Random, wire: Wire) -> None:
        self.random, self.wire, self.account = random, wire, wire.account
        self.act = 0
        self.actors: list[Actor] = []
        self._used: set[frozenset[tuple[Address, int]]] = set()

    def send(self, source: Address, destination: Address, protocol: int, **fields: object) -> bool:
        """Send a packet now; whether it was delivered."""
        now = (self.wire.packets + 1) * TICK_NS
        return self.wire.send(head(source, destination, protocol, time_ns=now, **fields))

    def ends(self) -> Ends:
        """Two addresses of one family, at least one of them known, not both of the same interface."""
        random, account = self.random, self.account
        known = list(account.owners)
        first = random.choice(known)
        while True:
            second = random.choice(known if random.random() < 0.6 else OUTSIDERS[first.family])
            if second.family == first.family and account.owner(first) != account.owner(second):
                return (first, second) if random.random() < 0.5 else (second, first)

    def tired(self, delivered: bool) -> bool:
        """Whether an actor gives up: soon if nobody hears it."""
        return self.random.random() < (0.03 if delivered else 0.5)

    def unused(self, ends: Ends, ports: tuple[int, int]) -> bool:
        """Whether no TCP conversation had these ends before, either way round; they are used from now on."""
        key = frozenset(zip(ends, ports))
        if key in self._used:
            return False
        self._used.add(key)
        return True


def head(source: Address, destination: Address, protocol: int, **fields: object) -> Packet:
    """A packet between two addresses."""
    return Packet(source.family, source.value, destination.value, protocol, **fields)  # type: ignore[arg-type]


def perform(random: Random, wire: Wire, acts: int, packets: int) -> Scene:
    """Let actors act for that many acts of that many packets, with other rules in each."""
    stage = Stage(random, wire)
    kinds = (Conversation, Conversation, Conversation, Datagrams, Datagrams, Queries, Queries, Others, Notices)
    while True:
        while wire.packets < packets * (stage.act + 1):
            if len(stage.actors) < 24:
                stage.actors.append(random.choice(kinds)(stage))
            actor = random.choice(stage.actors)
            actor.act()
            if actor.finished:
                stage.actors.remove(actor)
        stage.act += 1
        if stage.act == acts:
            return wire.finish()
        wire.change(changed(random, wire.account))


class Datagrams:
    """UDP between two ports, either side at any time. Other actors may well use the same ports."""

    def __init__(self, stage: Stage) -> None:
        self.stage, random = stage, stage.random
        self.ends, self.finished = stage.ends(), False
        self.ports = (random.choice((*SERVICES, 40000, 40001)), random.choice(SERVICES))

    def _fields(self) -> tuple[Address, Address, dict[str, int]]:
        way = self.stage.random.choice((0, 0, 1))
        return self.ends[way], self.ends[1 - way], {"srcport": self.ports[way], "dstport": self.ports[1 - way]}

    def act(self) -> None:
        source, destination, ports = self._fields()
        delivered = self.stage.send(source, destination, UDP, **ports)
        self.finished = self.stage.tired(delivered)

    def quotable(self) -> Packet | None:
        source, destination, ports = self._fields()
        return head(source, destination, UDP, **ports)


class Queries:
    """ICMP requests and their replies, asked for or not, with few identifiers.

    Codes are 0, as in every RFC: conntrack keeps the code in the connection's key, sgsim does not.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage, self.ends, self.finished = stage, stage.ends(), False
        family = self.ends[0].family
        self.protocol = ICMP if family == 4 else ICMPV6
        self.types = stage.random.choice(QUERY_PAIRS[family])
        self.identifier = stage.random.choice((0, 7, 513))

    def _fields(self) -> tuple[Address, Address, dict[str, int]]:
        random = self.stage.random
        way, kind = random.choice(((0, 0), (0, 0), (1, 1), (1, 1), (1, 0), (0, 1)))
        fields = {"icmp_type": self.types[kind], "icmp_code": 0, "icmp_id": self.identifier}
        return self.ends[way], self.ends[1 - way], fields

    def act(self) -> None:
        source, destination, fields = self._fields()
        delivered = self.stage.send(source, destination, self.protocol, **fields)
        self.finished = self.stage.tired(delivered)

    def quotable(self) -> Packet | None:
        source, destination, fields = self._fields()
        return head(source, destination, self.protocol, **fields)


class Others:
    """Protocols without ports."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.ends, self.finished = stage, stage.ends(), False
        self.protocol = stage.random.choice(OTHER_PROTOCOLS[self.ends[0].family])

    def act(self) -> None:
        way = self.stage.random.choice((0, 0, 1))
        delivered = self.stage.send(self.ends[way], self.ends[1 - way], self.protocol)
        self.finished = self.stage.tired(delivered)

    def quotable(self) -> Packet | None:
        way = self.stage.random.choice((0, 1))
        return head(self.ends[way], self.ends[1 - way], self.protocol)


class Notices:
    """ICMP messages that are neither request nor reply.

    Errors about others' packets, from the other end or from a router on the way, sometimes to somebody whom they do
    not concern; and messages that quote nothing, such as router advertisements.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage, self.finished = stage, False

    def act(self) -> None:
        stage, random = self.stage, self.stage.random
        self.finished = random.random() < 0.3
        quoted = random.choice(stage.actors).quotable()
        if quoted is None:
            return
        source, destination = quoted.destination, quoted.source
        if random.random() < 0.5:
            source = random.choice(OUTSIDERS[quoted.family])
        if random.random() < 0.1:
            source, destination = stage.ends()
            if source.family != quoted.family:
                return
        owner = stage.account.owner
        if owner(source) == owner(destination):
            return
        kinds = ERRORS if random.random() < 0.9 else MESSAGES
        protocol = ICMP if quoted.family == 4 else ICMPV6
        fields = {"icmp_type": random.choice(kinds[quoted.family]), "icmp_code": random.choice((0, 1, 4))}
        if kinds is ERRORS:
            fields["quote"] = quoted
        stage.send(source, destination, protocol, **fields)

    def quotable(self) -> Packet | None:
        return None


class Conversation:
    """TCP between two hosts that answer only what reached them, but in any order, again and again, and half deaf.

    `opener` is the end that opened the connection, `opened_in` the act in which it did. Phases:

    idle        no connection
    half        a SYN was delivered, and no SYN-ACK
    crossed     both ends sent a SYN
    open        anything later, closing included
    reopened    the opener sent a SYN after the connection closed: conntrack may or may not have begun anew
    refused     the first answer was a RST: conntrack forgets at once, sgsim after 10 s
    """

    def __init__(self, stage: Stage) -> None:
        self.stage, self.finished = stage, False
        while True:
            self.ends = stage.ends()
            self.ports = (stage.random.randint(40000, 40020), stage.random.choice(SERVICES))
            if stage.unused(self.ends, self.ports):
                break
        self.phase, self.opener, self.opened_in = "idle", 0, 0
        self.answered, self.reset, self.fins = False, False, 0

    def act(self) -> None:
        getattr(self, f"_{self.phase}")()
        self.finished = self.finished or self.stage.random.random() < 0.03

    def quotable(self) -> Packet | None:
        if self.phase == "refused" or self.finished:
            return None
        way = self.stage.random.choice((0, 1))
        return head(self.ends[way], self.ends[1 - way], TCP, srcport=self.ports[way], dstport=self.ports[1 - way])

    def _send(self, way: int, flags: int) -> bool:
        ports = {"srcport": self.ports[way], "dstport": self.ports[1 - way]}
        return self.stage.send(self.ends[way], self.ends[1 - way], TCP, tcp_flags=flags, **ports)

    def _idle(self) -> None:
        random = self.stage.random
        way = random.choice((0, 0, 0, 0, 1))
        kind = random.random()
        if kind < 0.1:
            # Conntrack opens no connection with these, sgsim with any packet that is accepted: so the conversation
            # ends if it was.
            self.finished = self._send(way, random.choice(STRAYS))
            return
        flags = random.choice((SYN, SYN, SYN | 0xC0)) if kind < 0.75 else random.choice((ACK, PSH | ACK, ACK | URG))
        if self._send(way, flags):
            self.opener, self.opened_in, self.phase = way, self.stage.act, "half" if flags & SYN else "open"
        elif random.random() < 0.4:
            self.finished = True

    def _opener_may(self, *flags: int) -> tuple[int, ...]:
        """Flags from the opener that conntrack calls invalid, or takes for the end of one connection and the start
        of another only sometimes. Then the rules decide: the same while they are those that let the opener in."""
        return flags if self.opened_in == self.stage.act else ()

    def _half(self) -> None:
        random, opener = self.stage.random, self.opener
        if random.random() < 0.35:
            again = (SYN, SYN) if self.phase == "half" else self._opener_may(SYN, SYN)
            flags = random.choice((RST, *again, *self._opener_may(ACK, PSH | ACK, FIN | ACK, SYN | ACK)))
            self._do(opener, flags)
            return
        # No FIN in answer to a bare SYN: conntrack calls it invalid.
        choices = [SYN | ACK, SYN | ACK, SYN | ACK, ACK, RST | ACK]
        if self.phase == "half" and not self.answered:
            choices.append(SYN)
        flags = random.choice(choices)
        self._do(1 - opener, flags)
        if flags == SYN:
            self.phase = "crossed"
        elif flags == SYN | ACK:
            self.phase = "open"

    _reopened = _half

    def _crossed(self) -> None:
        way = self.stage.random.choice((0, 1))
        more = self._opener_may(ACK) if way == self.opener else (ACK,)
        flags = self.stage.random.choice((SYN, SYN | ACK, SYN | ACK, RST | ACK, *more))
        self._do(way, flags)
        if flags == SYN | ACK:
            self.phase = "open"

    def _open(self) -> None:
        random = self.stage.random
        way = random.choice((0, 1))
        flags = [ACK, ACK, ACK, PSH | ACK, PSH | ACK, PSH | ACK, FIN | ACK, FIN | ACK, RST, RST | ACK]
        if way != self.opener:
            # No SYN against the connection's direction: conntrack calls it invalid, or deletes the connection.
            self._do(way, random.choice((*flags, SYN | ACK)))
            return
        closed = self.reset or self.fins > 1
        syn = self._opener_may(SYN, SYN) if closed else (SYN, SYN)
        flag = random.choice((*flags, *syn, *self._opener_may(SYN | ACK)))
        self._do(way, flag)
        if flag == SYN and closed:
            self.answered, self.phase = False, "reopened"

    def _refused(self) -> None:
        flags = self._opener_may(SYN, SYN, ACK)
        if not flags:
            self.finished = True
            return
        flag = self.stage.random.choice(flags)
        self._do(self.opener, flag)
        self.answered, self.phase = False, "reopened" if flag == SYN else "open"

    def _do(self, way: int, flags: int) -> None:
        """Send a packet of a connection, and remember what it did to it."""
        self._send(way, flags)
        if flags & RST:
            self.reset, self.phase = True, "open" if self.answered else "refused"
        # Conntrack takes a FIN sent again for the other side's; sgsim wants one from each.
        self.fins += flags & FIN
        self.answered = self.answered or way != self.opener
