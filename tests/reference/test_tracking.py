"""Connections in time (§2, §9.1 to §9.3, §9.10 to §9.13), as packets and what is said of them.

Unless a test says otherwise: eni-a lets TCP and UDP port 80 in from 8.8.8.8 (r1) and out to it (r2), nothing else.
"""

import pytest

from sgsim.flows import AMBIGUOUS
from sgsim.model import Semantics
from sgsim.packets import FRAGMENT_FIRST, FRAGMENT_LATER
from tests.reference.scenes import SECOND, Scene, packet, told

RULES = "r1 in tcp 80 from 8.8.8.8/32; r2 in udp 80 from 8.8.8.8/32; r3 in icmp 8 from 8.8.8.8/32"
IN, BACK = "tcp 8.8.8.8:4000 > 10.0.0.5:80", "tcp 10.0.0.5:80 > 8.8.8.8:4000"
UDP_IN, UDP_BACK = "udp 8.8.8.8:4000 > 10.0.0.5:80", "udp 10.0.0.5:80 > 8.8.8.8:4000"
ACCEPTED, REPLY, REFUSED = "in ACCEPT RULE r1", "out ACCEPT TRACKED r1 reply", "out REJECT NO_RULE"
PAIR = {"eni-a": "10.0.0.5 sg-a", "eni-b": "10.0.0.6 sg-b"}


def scene(rules=RULES, interface="10.0.0.5 sg-a", **more):
    """One interface."""
    return Scene({"sg-a": rules}, {"eni-a": interface}, **more)


class TestTcp:
    """§9.12."""

    def test_replies_pass_whatever_the_other_direction_says(self):
        scene().plays(f"0 {IN} S => {ACCEPTED}", f"1 {BACK} SA => {REPLY}", f"2 {IN} A => {ACCEPTED}")

    def test_replies_without_request_are_judged_by_rules(self):
        scene().plays(f"0 {BACK} SA => {REFUSED}", f"1 {IN} A => {ACCEPTED}", f"2 {BACK} A => {REPLY}")

    def test_a_reply_that_rules_match_too_is_tracked(self):
        both = scene("r1 in tcp 80 from 8.8.8.8/32; r4 out tcp to 8.8.8.8/32")
        both.plays(f"0 {IN} S => {ACCEPTED}", f"1 {BACK} SA => {REPLY}")

    def test_the_key_is_both_addresses_and_ports(self):
        one = scene()
        one.plays(
            f"0 {IN} S => {ACCEPTED}",
            f"1 tcp 10.0.0.5:80 > 8.8.8.8:4001 SA => {REFUSED}",
            f"1 tcp 10.0.0.5:81 > 8.8.8.8:4000 SA => {REFUSED}",
            f"1 tcp 10.0.0.5:80 > 8.8.8.9:4000 SA => {REFUSED}",
            f"1 udp 10.0.0.5:80 > 8.8.8.8:4000 => {REFUSED}",
        )

    @pytest.mark.parametrize(
        ("before", "limit"),
        [
            (("0 IN S",), 60),  # half-open
            (("0 IN S", "5 BACK SA"), 65),  # every packet starts the 60 s anew
            (("0 IN S", "5 IN S"), 65),
            (("0 IN S", "5 BACK SA", "6 IN A"), 432_006),  # established
            (("0 IN A",), 432_000),  # mid-stream counts as established
            (("0 IN SA",), 432_000),  # so does a SYN-ACK
            (("0 IN SF",), 432_000),  # and a SYN with anything but itself
            (("0 IN A", "100 BACK A"), 432_100),
            (("0 IN A", "5 IN R"), 15),  # closing
            (("0 IN A", "5 BACK RA"), 15),
            (("0 IN S", "5 BACK RA"), 15),
            (("0 IN R",), 10),
            (("0 IN A", "5 IN FA"), 432_005),  # one FIN is not the end
            (("0 IN A", "5 IN FA", "6 IN FA"), 432_006),
            (("0 IN A", "5 IN FA", "6 BACK FA"), 16),
            (("0 IN FA", "6 BACK FA"), 16),
            (("0 IN A", "5 IN FA", "6 BACK FA", "7 IN A", "8 BACK R", "9 IN FA"), 16),  # nothing prolongs it
            (("0 IN S", "1 BACK FA", "2 IN FA"), 12),
            (("0 IN A", "100 IN S"), 432_000),  # a SYN on an established connection changes nothing
            (("0 IN A", "100 BACK S"), 432_000),
        ],
    )
    def test_timeouts_are_inclusive(self, before, limit):
        for late, answer in ((0, REPLY), (1, REFUSED)):
            one = scene()
            for line in before:
                seconds, way, flags = line.split()
                one.says(f"{seconds} {IN if way == 'IN' else BACK} {flags}")
            last = packet(f"{BACK} A", time_ns=limit * SECOND + late)
            assert [told(found) for found in one.tracker.step(last, "eni-a", None)] == [answer]

    @pytest.mark.parametrize(
        ("interface", "seconds"),
        [
            ("10.0.0.5 sg-a", 432_000),
            ("10.0.0.5 sg-a itype=m5.large", 432_000),
            ("10.0.0.5 sg-a itype=m8i.large", 350),
            ("10.0.0.5 sg-a itype=c8i-flex.large", 350),
            ("10.0.0.5 sg-a itype=p6-b200.48xlarge", 350),
            ("10.0.0.5 sg-a itype=p6e-gb200.36xlarge", 432_000),
            ("10.0.0.5 sg-a itype=m8g.large", 432_000),
            ("10.0.0.5 sg-a tcp=600", 600),
            ("10.0.0.5 sg-a tcp=600 itype=m8i.large", 600),
        ],
    )
    def test_established_timeout_of_the_interface(self, interface, seconds):
        """§2.3."""
        for wait, answer in ((seconds, REPLY), (seconds + 1, REFUSED)):
            scene(interface=interface).plays(f"0 {IN} A => {ACCEPTED}", f"{wait} {BACK} A => {answer}")

    def test_syn_while_closing_is_a_new_connection_if_rules_accept_it(self):
        one = scene()
        one.plays(
            f"0 {IN} S => {ACCEPTED}",
            f"1 {BACK} SA => {REPLY}",
            f"2 {BACK} R => {REPLY}",
            f"3 {BACK} S => {REFUSED}",  # not accepted: the old one is left as it is
            f"4 {BACK} A => {REPLY}",
            f"5 {IN} S => {ACCEPTED}",
            f"65 {BACK} SA => {REPLY}",  # half-open for 60 s
        )

    def test_a_syn_the_other_way_while_closing_turns_the_connection_round(self):
        one = scene("r1 in tcp 80 from 8.8.8.8/32; r4 out tcp 4000 to 8.8.8.8/32")
        one.plays(
            f"0 {IN} S => {ACCEPTED}",
            f"1 {BACK} R => {REPLY}",
            f"2 {BACK} S => out ACCEPT RULE r4",
            f"3 {IN} SA => in ACCEPT TRACKED r4 reply",
        )

    def test_midstream_can_be_rejected(self):
        strict = scene(semantics=Semantics(tcp_midstream="reject"))
        strict.plays(
            f"0 {IN} A => in REJECT NO_RULE",
            f"1 {IN} SA => in REJECT NO_RULE",
            f"2 {IN} R => in REJECT NO_RULE",
            f"3 {IN} S => {ACCEPTED}",
            f"4 {BACK} SA => {REPLY}",
            f"5 {IN} R => {ACCEPTED}",
            f"15 {IN} A => {ACCEPTED}",
            f"16 {IN} A => in REJECT NO_RULE",
        )

    def test_midstream_rejection_spares_what_rules_do_not_judge(self):
        strict = scene(interface="10.0.0.5 type=natGateway", semantics=Semantics(tcp_midstream="reject"))
        strict.plays(f"0 {IN} A => in ACCEPT UNFILTERED", "1 tcp 10.0.0.5:1 > 10.0.0.1:2 A => out ACCEPT EXEMPT")

    def test_midstream_rejection_spares_the_open_egress_of_classic_groups(self):
        strict = scene("classic r1 in tcp 80 from 8.8.8.8/32", semantics=Semantics(tcp_midstream="reject"))
        strict.plays(f"0 {BACK} A => out ACCEPT UNFILTERED", f"1 {IN} A => in ACCEPT TRACKED reply")


class TestUdp:
    """§2.3, §9.11."""

    ACCEPTED, REPLY = "in ACCEPT RULE r2", "out ACCEPT TRACKED r2 reply"

    @pytest.mark.parametrize(
        ("before", "limit"),
        [
            (("0 IN",), 30),
            (("0 IN", "10 IN"), 40),
            (("0 IN", "10 BACK"), 40),  # one request, one response
            (("0 IN", "10 BACK", "20 BACK"), 50),
            (("0 IN", "10 BACK", "20 IN"), 200),  # the initiator again: a stream
            (("0 IN", "10 BACK", "20 IN", "100 BACK"), 280),
        ],
    )
    def test_streams_begin_with_the_initiators_second_word(self, before, limit):
        for wait, answer in ((limit, self.REPLY), (limit + 1, REFUSED)):
            one = scene()
            for line in before:
                seconds, way = line.split()
                one.says(f"{seconds} {UDP_IN if way == 'IN' else UDP_BACK}")
            one.plays(f"{wait} {UDP_BACK} => {answer}")

    def test_timeouts_of_the_interface(self):
        own = scene(interface="10.0.0.5 sg-a udp=45 stream=60")
        own.plays(
            f"0 {UDP_IN} => {self.ACCEPTED}",
            f"45 {UDP_BACK} => {self.REPLY}",
            f"46 {UDP_IN} => {self.ACCEPTED}",
            f"106 {UDP_BACK} => {self.REPLY}",
            f"167 {UDP_BACK} => {REFUSED}",
        )


class TestOtherProtocols:
    """§9.10."""

    RULES = "r1 in 50 from 8.8.8.8/32"

    def test_any_packet_refreshes(self):
        scene(self.RULES).plays(
            "0 50 8.8.8.8 > 10.0.0.5 => in ACCEPT RULE r1",
            "600 50 10.0.0.5 > 8.8.8.8 => out ACCEPT TRACKED r1 reply",
            "1200 50 10.0.0.5 > 8.8.8.8 => out ACCEPT TRACKED r1 reply",
            "1801 50 10.0.0.5 > 8.8.8.8 => out REJECT NO_RULE",
        )

    def test_refreshing_is_an_option(self):
        scene(self.RULES, semantics=Semantics(other_protocol_refresh=False)).plays(
            "0 50 8.8.8.8 > 10.0.0.5 => in ACCEPT RULE r1",
            "600 50 10.0.0.5 > 8.8.8.8 => out ACCEPT TRACKED r1 reply",
            "601 50 10.0.0.5 > 8.8.8.8 => out REJECT NO_RULE",
        )

    def test_protocols_do_not_mix(self):
        scene(self.RULES).plays(
            "0 50 8.8.8.8 > 10.0.0.5 => in ACCEPT RULE r1", "1 51 10.0.0.5 > 8.8.8.8 => out REJECT NO_RULE"
        )


class TestIcmp:
    """§9.13."""

    REQUEST, REPLIED = "icmp 8.8.8.8 > 10.0.0.5 8/0 id=1", "icmp 10.0.0.5 > 8.8.8.8 0/0 id=1"

    def test_query_and_reply(self):
        scene().plays(
            f"0 {self.REQUEST} => in ACCEPT RULE r3",
            f"30 {self.REPLIED} => out ACCEPT TRACKED r3 reply",
            f"60 {self.REPLIED} => out ACCEPT TRACKED r3 reply",
            f"91 {self.REPLIED} => out REJECT NO_RULE",
        )

    def test_the_key_has_identifier_pair_and_direction(self):
        scene().plays(
            f"0 {self.REQUEST} => in ACCEPT RULE r3",
            "1 icmp 10.0.0.5 > 8.8.8.8 0/0 id=2 => out REJECT NO_RULE",
            "1 icmp 10.0.0.5 > 8.8.8.8 14/0 id=1 => out REJECT NO_RULE",
            "1 icmp 10.0.0.5 > 8.8.8.8 8/0 id=1 => out REJECT NO_RULE",
            "1 icmp 8.8.8.8 > 10.0.0.5 0/0 id=1 => in REJECT NO_RULE",
        )

    def test_two_hosts_may_ping_each_other_with_one_identifier(self):
        both = scene("r3 in icmp 8 from 8.8.8.8/32; r4 out icmp 8 to 8.8.8.8/32")
        both.plays(
            f"0 {self.REQUEST} => in ACCEPT RULE r3",
            "1 icmp 10.0.0.5 > 8.8.8.8 8/0 id=1 => out ACCEPT RULE r4",
            f"2 {self.REPLIED} => out ACCEPT TRACKED r3 reply",
            "3 icmp 8.8.8.8 > 10.0.0.5 0/0 id=1 => in ACCEPT TRACKED r4 reply",
        )

    def test_replies_and_errors_open_nothing(self):
        open_in = scene("r1 in icmp from 8.8.8.8/32")
        open_in.plays(
            "0 icmp 8.8.8.8 > 10.0.0.5 0/0 id=1 => in ACCEPT RULE r1",
            "1 icmp 10.0.0.5 > 8.8.8.8 8/0 id=1 => out REJECT NO_RULE",
            "2 icmp 8.8.8.8 > 10.0.0.5 3/1 => in ACCEPT RULE r1",
            "3 icmp 10.0.0.5 > 8.8.8.8 3/1 => out REJECT NO_RULE",
        )

    def test_icmp_is_always_tracked(self):
        """§2.1."""
        wide = scene("r1 in all from 0.0.0.0/0; r2 out all to 0.0.0.0/0")
        wide.plays(f"0 {self.REQUEST} => in ACCEPT RULE r1", f"1 {self.REPLIED} => out ACCEPT TRACKED r1 reply")


class TestIcmpErrors:
    """§2.5, §9.13: a router at 9.9.9.9 answers a reply of 10.0.0.5."""

    ERROR = "icmp 9.9.9.9 > 10.0.0.5 3/4"

    @pytest.mark.parametrize(
        ("related", "error", "quote", "expected"),
        [
            (False, ERROR, BACK, "in REJECT NO_RULE"),
            (True, ERROR, BACK, "in ACCEPT TRACKED r1 reply"),
            (True, "icmp 9.9.9.9 > 10.0.0.5 11/0", BACK, "in ACCEPT TRACKED r1 reply"),
            (True, "icmp 9.9.9.9 > 10.0.0.5 10/0", BACK, "in REJECT NO_RULE"),
            (True, ERROR, IN, "in REJECT NO_RULE"),  # about a packet of the other direction
            (True, ERROR, "tcp 10.0.0.5:80 > 8.8.8.8:4001", "in REJECT NO_RULE"),
            (True, ERROR, "tcp 10.0.0.6:80 > 8.8.8.8:4000", "in REJECT NO_RULE"),
            (True, "icmp 10.0.0.5 > 8.8.8.8 3/3", IN, "out ACCEPT TRACKED r1 reply"),
            (True, "icmp 10.0.0.5 > 9.9.9.9 3/3", IN, "out REJECT NO_RULE"),
        ],
    )
    def test_errors(self, related, error, quote, expected):
        semantics = Semantics(icmp_errors="related" if related else "rules")
        one = scene(semantics=semantics)
        one.plays(f"0 {IN} S => {ACCEPTED}", f"1 {BACK} SA => {REPLY}")
        assert one.says(f"2 {error}", quote=packet(quote)) == [expected]

    def test_errors_refresh_nothing(self):
        one = scene(semantics=Semantics(icmp_errors="related"))
        one.plays(f"0 {IN} S => {ACCEPTED}")
        assert one.says(f"50 {self.ERROR}", quote=packet(BACK)) == ["in ACCEPT TRACKED r1 reply"]
        one.plays(f"61 {BACK} SA => {REFUSED}")
        assert one.says(f"62 {self.ERROR}", quote=packet(BACK)) == ["in REJECT NO_RULE"]

    def test_errors_that_nothing_filters_need_no_connection(self):
        """§9.3: unfiltered comes before any connection."""
        one = scene("classic r1 in tcp 80 from 8.8.8.8/32", semantics=Semantics(icmp_errors="related"))
        one.plays(f"0 {IN} S => {ACCEPTED}")
        assert one.says("1 icmp 10.0.0.5 > 8.8.8.8 3/3", quote=packet(IN)) == ["out ACCEPT UNFILTERED"]

    def test_untracked_flows_have_nothing_to_relate_to(self):
        one = scene("r1 in tcp 80 from 0.0.0.0/0; r2 out tcp to 0.0.0.0/0", semantics=Semantics(icmp_errors="related"))
        one.plays(f"0 {IN} S => {ACCEPTED}")
        assert one.says(f"1 {self.ERROR}", quote=packet(BACK)) == ["in REJECT NO_RULE"]


class TestLiveConnections:
    """§2.2, §9.3."""

    def test_a_narrowed_rule_leaves_tracked_flows_alone(self):
        one = scene()
        one.plays(f"0 {IN} S => {ACCEPTED}", f"1 {BACK} SA => {REPLY}")
        one.swap(sg_a="r9 in tcp 80 from 8.8.8.0/24")
        one.plays(f"2 {IN} A => in ACCEPT RULE r9", f"3 {BACK} A => {REPLY}")
        one.swap(sg_a="")
        one.plays(f"4 {IN} A => in ACCEPT TRACKED r1", f"5 {BACK} A => {REPLY}")

    def test_untracked_replies_are_judged_by_rules_and_still_replies(self):
        wide = "r1 in tcp 80 from 0.0.0.0/0; r2 out all to 0.0.0.0/0"
        one = scene(wide)
        one.plays(f"0 {IN} S => {ACCEPTED}", f"1 {BACK} SA => out ACCEPT RULE r2 reply", f"2 {IN} A => {ACCEPTED}")
        one.swap(sg_a="r1 in tcp 80 from 0.0.0.0/0")
        one.plays(f"3 {BACK} A => out REJECT NO_RULE reply")

    def test_rules_that_only_may_match_now_leave_a_tracked_flow_alone(self):
        one = scene()
        one.plays(f"0 {IN} S => {ACCEPTED}")
        one.swap(sg_a="r9 in tcp 80 from pl-hidden")
        one.plays(f"1 {IN} A => in ACCEPT TRACKED r1")

    def test_an_untracked_flow_becomes_tracked_with_its_next_accepted_packet(self):
        one = scene("r1 in tcp 80 from 0.0.0.0/0; r2 out all to 0.0.0.0/0")
        one.plays(f"0 {IN} S => {ACCEPTED}")
        one.swap(sg_a="r3 in tcp 80 from 8.0.0.0/8")
        one.plays(
            f"1 {BACK} SA => out REJECT NO_RULE reply",
            f"2 {IN} A => in ACCEPT RULE r3",
            f"3 {BACK} A => out ACCEPT TRACKED r3 reply",
        )

    def test_a_tracked_flow_stays_tracked(self):
        one = scene()
        one.plays(f"0 {IN} S => {ACCEPTED}")
        one.swap(sg_a="r1 in tcp 80 from 0.0.0.0/0; r2 out all to 0.0.0.0/0")
        one.plays(f"1 {BACK} SA => {REPLY}")

    def test_the_deciding_rule_is_kept_with_the_connection(self):
        one = scene("r1 in tcp 80 from 8.0.0.0/8; r2 in tcp 80 from 8.8.8.8/32")
        assert one.step(f"0 {IN} S")[0].deciding_rule_id == "r2"
        answer = one.step(f"1 {BACK} SA")[0]
        assert (answer.deciding_rule_id, answer.rule_ids) == ("r2", {"r1", "r2"})

    def test_classic_egress_opens_connections_although_it_is_not_filtered(self):
        """§9.3, §9.17."""
        one = scene("classic r1 in tcp 80 from 8.8.8.8/32")
        one.plays(
            "0 udp 10.0.0.5:1 > 9.9.9.9:53 => out ACCEPT UNFILTERED",
            "1 udp 9.9.9.9:53 > 10.0.0.5:1 => in ACCEPT TRACKED reply",
            f"2 {IN} S => {ACCEPTED}",
            f"3 {BACK} SA => out ACCEPT UNFILTERED reply",
        )

    def test_interfaces_without_groups_keep_no_state(self):
        """§9.3."""
        one = scene(interface="10.0.0.5 type=natGateway")
        one.plays(f"0 {IN} S => in ACCEPT UNFILTERED", f"1 {BACK} SA => out ACCEPT UNFILTERED")


class TestTwoEnds:
    """§9.1."""

    THERE, HERE = "tcp 10.0.0.5:1 > 10.0.0.6:80", "tcp 10.0.0.6:80 > 10.0.0.5:1"

    def pair(self, a, b, **more):
        return Scene({"sg-a": a, "sg-b": b}, PAIR, **more)

    def test_both_ends_must_accept(self):
        self.pair("a1 out all to sg-b", "b1 in tcp 80 from sg-a").plays(
            f"0 {self.THERE} S => out ACCEPT RULE a1; in ACCEPT RULE b1",
            f"1 {self.HERE} SA => out ACCEPT TRACKED b1 reply; in ACCEPT TRACKED a1 reply",
        )

    def test_the_receiver_of_a_rejected_packet_is_not_judged(self):
        self.pair("", "b1 in all from sg-a").plays(f"0 {self.THERE} S => out REJECT NO_RULE")

    def test_a_packet_that_the_receiver_rejects_opens_nothing_at_the_sender(self):
        two = self.pair("a1 out all to sg-b", "b2 out all to sg-a")
        two.plays(
            f"0 {self.THERE} S => out ACCEPT RULE a1; in REJECT NO_RULE",
            f"1 {self.HERE} SA => out ACCEPT RULE b2; in REJECT NO_RULE",
        )

    def test_a_packet_that_the_receiver_rejects_refreshes_and_closes_nothing(self):
        short = Scene(
            {"sg-a": "a1 out all to sg-b", "sg-b": "b1 in tcp 80 from sg-a"},
            {"eni-a": "10.0.0.5 sg-a tcp=100", "eni-b": "10.0.0.6 sg-b tcp=60"},
        )
        short.plays(f"0 {self.THERE} A => out ACCEPT RULE a1; in ACCEPT RULE b1")
        short.swap(sg_b="")
        short.plays(
            f"61 {self.THERE} R => out ACCEPT RULE a1; in REJECT NO_RULE",  # b has forgotten; a is not told
            f"90 {self.THERE} A => out ACCEPT RULE a1; in REJECT NO_RULE",
        )
        alone = packet(f"100 {self.HERE} A")
        assert told(short.tracker.step(alone, None, "eni-a")[0]) == "in ACCEPT TRACKED a1 reply"
        late = packet(f"{self.HERE} A", time_ns=201 * SECOND)
        assert told(short.tracker.step(late, None, "eni-a")[0]) == "in REJECT NO_RULE"

    def test_neither_end_known(self):
        """§9.16."""
        assert scene().says("tcp 8.8.8.8:1 > 9.9.9.9:2") == ["UNKNOWN NO_INTERFACE"]

    def test_ambiguous_end(self):
        """§9.1, §9.16: it answers UNKNOWN, the other end is judged, and what it remembers is a maybe."""
        one = scene("r1 in tcp 80 from 8.8.8.8/32; r2 out tcp to 8.8.8.8/32")
        ask = packet(f"0 {IN} S")
        answers = one.tracker.step(ask, AMBIGUOUS, "eni-a")
        assert [told(answer) for answer in answers] == ["out UNKNOWN AMBIGUOUS_INTERFACE", ACCEPTED]
        assert answers[0].interface_id is None
        one.swap(sg_a="r1 in tcp 80 from 8.8.8.8/32")
        one.plays(f"1 {BACK} SA => out UNKNOWN UNRESOLVED ?r1 reply")

    def test_both_ends_ambiguous(self):
        answers = scene().tracker.step(packet(IN), AMBIGUOUS, AMBIGUOUS)
        assert [told(answer) for answer in answers] == [
            "out UNKNOWN AMBIGUOUS_INTERFACE",
            "in UNKNOWN AMBIGUOUS_INTERFACE",
        ]


class TestMaybe:
    """§9.1, §9.2."""

    HIDDEN = "r1 in tcp 80 from pl-hidden"

    def test_a_reply_that_rests_on_a_maybe_is_unknown(self):
        scene(self.HIDDEN).plays(
            f"0 {IN} S => in UNKNOWN UNRESOLVED ?r1",
            f"1 {BACK} SA => out UNKNOWN UNRESOLVED ?r1 reply",
            f"2 {IN} A => in UNKNOWN UNRESOLVED ?r1",
        )

    def test_an_answer_that_its_own_rules_accept_opens_a_sure_connection(self):
        one = scene(f"{self.HIDDEN}; r2 out tcp to 8.8.8.8/32")
        one.plays(
            f"0 {IN} S => in UNKNOWN UNRESOLVED ?r1",
            f"1 {BACK} SA => out ACCEPT RULE r2",
            f"2 {IN} A => in ACCEPT TRACKED r2 reply",
            f"3 {BACK} A => out ACCEPT RULE r2",
        )

    def test_a_sure_connection_stays_sure_and_unknown_packets_refresh_it(self):
        one = scene()
        one.plays(f"0 {IN} S => {ACCEPTED}")
        for time in (50, 100):
            one.tracker.step(packet(f"{time} {BACK} SA"), "eni-a", AMBIGUOUS)
        one.plays(f"150 {BACK} SA => {REPLY}")

    def test_rst_counts_even_if_unknown(self):
        one = scene(self.HIDDEN)
        one.plays(
            f"0 {IN} S => in UNKNOWN UNRESOLVED ?r1",
            f"1 {BACK} RA => out UNKNOWN UNRESOLVED ?r1 reply",
            f"11 {BACK} A => out UNKNOWN UNRESOLVED ?r1 reply",
            f"12 {BACK} A => out REJECT NO_RULE",
        )

    def test_rst_on_a_sure_connection_counts_even_if_the_other_end_is_unknown(self):
        one = scene()
        one.plays(f"0 {IN} S => {ACCEPTED}", f"1 {BACK} SA => {REPLY}")
        one.tracker.step(packet(f"2 {BACK} R"), "eni-a", AMBIGUOUS)
        one.plays(f"12 {BACK} A => {REPLY}", f"13 {BACK} A => {REFUSED}")

    def test_a_maybe_becomes_sure_when_rules_accept_the_initiator(self):
        one = scene(self.HIDDEN)
        one.plays(f"0 {IN} S => in UNKNOWN UNRESOLVED ?r1")
        one.swap(sg_a="r5 in tcp 80 from 8.8.8.8/32")
        one.plays(f"1 {IN} S => in ACCEPT RULE r5", f"2 {BACK} SA => out ACCEPT TRACKED r5 reply")

    def test_a_maybe_that_rules_now_reject_stays_a_maybe(self):
        one = scene(self.HIDDEN)
        one.plays(f"0 {IN} S => in UNKNOWN UNRESOLVED ?r1")
        one.swap(sg_a="")
        one.plays(f"1 {IN} S => in UNKNOWN UNRESOLVED ?r1", f"2 {BACK} SA => out UNKNOWN UNRESOLVED ?r1 reply")

    def test_it_stays_a_maybe_while_the_other_end_is_unknown(self):
        one = scene(self.HIDDEN)
        one.plays(f"0 {IN} S => in UNKNOWN UNRESOLVED ?r1")
        one.swap(sg_a="r5 in tcp 80 from 8.8.8.8/32")
        answers = one.tracker.step(packet(f"1 {IN} A"), AMBIGUOUS, "eni-a")
        assert told(answers[1]) == "in ACCEPT RULE r5"
        one.plays(f"2 {BACK} A => out UNKNOWN UNRESOLVED ?r1 reply")

    def test_an_answer_does_not_make_it_sure_while_the_other_end_is_unknown(self):
        one = scene(f"{self.HIDDEN}; r2 out tcp to 8.8.8.8/32")
        one.plays(f"0 {IN} S => in UNKNOWN UNRESOLVED ?r1")
        answers = one.tracker.step(packet(f"1 {BACK} SA"), "eni-a", AMBIGUOUS)
        assert told(answers[0]) == "out ACCEPT RULE r2"
        one.swap(sg_a=self.HIDDEN)
        one.plays(f"2 {BACK} A => out UNKNOWN UNRESOLVED ?r1 reply")

    def test_an_answer_while_closing_opens_nothing(self):
        one = scene(f"{self.HIDDEN}; r2 out tcp to 8.8.8.8/32")
        one.plays(
            f"0 {IN} S => in UNKNOWN UNRESOLVED ?r1",
            f"1 {IN} R => in UNKNOWN UNRESOLVED ?r1",
            f"2 {BACK} A => out ACCEPT RULE r2",
            f"3 {BACK} A => out ACCEPT RULE r2",
        )
        one.swap(sg_a="")
        one.plays(f"4 {IN} A => in UNKNOWN UNRESOLVED ?r1", f"12 {IN} A => in REJECT NO_RULE")

    def test_icmp_replies_open_no_sure_connection(self):
        one = scene("r1 in icmp 8 from pl-hidden; r2 out icmp 0 to 8.8.8.8/32")
        one.plays(f"0 {TestIcmp.REQUEST} => in UNKNOWN UNRESOLVED ?r1", f"1 {TestIcmp.REPLIED} => out ACCEPT RULE r2")
        one.swap(sg_a="")
        one.plays(f"2 {TestIcmp.REPLIED} => out UNKNOWN UNRESOLVED ?r1 reply")

    def test_both_ends_are_maybe_if_one_is_unknown(self):
        two = Scene({"sg-a": "a1 out tcp to pl-hidden", "sg-b": "b1 in tcp 80 from 10.0.0.5/32"}, PAIR)
        two.plays(
            f"0 {TestTwoEnds.THERE} S => out UNKNOWN UNRESOLVED ?a1; in ACCEPT RULE b1",
            f"1 {TestTwoEnds.HERE} SA => out UNKNOWN UNRESOLVED ?b1 reply; in UNKNOWN UNRESOLVED ?a1 reply",
        )


class TestFragments:
    """§9.15."""

    FIRST, LATER = {"fragment": FRAGMENT_FIRST, "ip_id": 9}, {"fragment": FRAGMENT_LATER, "ip_id": 9}
    REST_IN, REST_BACK = "udp 8.8.8.8:0 > 10.0.0.5:0", "udp 10.0.0.5:0 > 8.8.8.8:0"

    def test_later_fragments_take_the_first_ones_answer(self):
        one = scene()
        assert one.says(f"0 {UDP_IN}", **self.FIRST) == ["in ACCEPT RULE r2"]
        assert one.says(f"30 {self.REST_IN}", **self.LATER) == ["in ACCEPT RULE r2"]
        assert one.says(f"31 {self.REST_IN}", **self.LATER) == ["in UNKNOWN UNRESOLVED ?r2"]

    def test_so_they_do_of_tracked_and_rejected_ones(self):
        one = scene()
        assert one.says("0 udp 8.8.8.8:1 > 10.0.0.5:81", **self.FIRST) == ["in REJECT NO_RULE"]
        assert one.says(f"1 {self.REST_IN}", **self.LATER) == ["in REJECT NO_RULE"]
        one.says(f"2 {UDP_IN}")
        assert one.says(f"3 {UDP_BACK}", **self.FIRST) == ["out ACCEPT TRACKED r2 reply"]
        assert one.says(f"4 {self.REST_BACK}", **self.LATER) == ["out ACCEPT TRACKED r2 reply"]

    def test_and_of_exempt_ones(self):
        one = scene("")
        assert one.says("0 udp 10.0.0.2:53 > 10.0.0.5:9", **self.FIRST) == ["in ACCEPT EXEMPT"]
        assert one.says("1 udp 10.0.0.2:0 > 10.0.0.5:0", **self.LATER) == ["in ACCEPT EXEMPT"]

    @pytest.mark.parametrize("other", [{"ip_id": 8}, {"srcaddr": packet("udp 8.8.8.9:0 > 8.8.8.8:0").srcaddr}])
    def test_the_key_is_addresses_protocol_and_identification(self, other):
        one = scene("r2 in udp 80 from 8.0.0.0/8")
        one.says(f"0 {UDP_IN}", **self.FIRST)
        assert one.says(f"1 {self.REST_IN}", **{**self.LATER, **other}) == ["in UNKNOWN UNRESOLVED ?r2"]

    def test_they_touch_no_state(self):
        one = scene("r2 in udp from 8.8.8.8/32")
        one.says(f"0 {self.REST_IN}", **self.LATER)
        assert one.says(f"1 {self.REST_BACK}") == [REFUSED]
        one.says(f"2 {UDP_IN}")
        one.says(f"30 {self.REST_IN}", **self.LATER)
        one.plays(f"33 {UDP_BACK} => {REFUSED}")

    def test_memory_of_first_fragments_is_an_option(self):
        one = scene(semantics=Semantics(fragments="rules"))
        one.says(f"0 {UDP_IN}", **self.FIRST)
        assert one.says(f"1 {self.REST_IN}", **self.LATER) == ["in UNKNOWN UNRESOLVED ?r2"]

    def test_first_fragments_touch_state_like_any_packet(self):
        one = scene()
        one.says(f"0 {UDP_IN}", **self.FIRST)
        one.plays(f"1 {UDP_BACK} => out ACCEPT TRACKED r2 reply")
