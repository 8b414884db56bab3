"""The text report: what a person must be able to read from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from sgsim.flows import AMBIGUOUS, NO_INTERFACE
from sgsim.model import SecurityGroup
from sgsim.report.labels import Labels
from sgsim.report.replay import ReplayReport
from sgsim.report.replay_text import replay_text
from sgsim.report.style import Style, span
from sgsim.report.tally import Tally, rule_hits
from sgsim.verdicts import Reason, Verdict
from tests.report.made import ENVIRONMENT, INTERFACE_IDS, LABELS, RULE_IDS, SETS, batch, nowhere, rejected, row, unknown


@dataclass
class File:
    source: str = "a.pcap"
    decoded: int = 10
    not_ip: int = 0
    truncated: int = 0
    damaged: int = 0
    unsupported: int = 0
    duplicate: int = 0
    causes: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.decoded + self.not_ip + self.truncated + self.damaged + self.unsupported + self.duplicate


@dataclass
class Counted:
    packets: int = 10
    neighbour_discovery: int = 0
    backwards: int = 0
    flows: int = 3
    disagreements: int = 0
    paths: dict[Verdict, int] = field(default_factory=lambda: {Verdict.ACCEPT: 7, Verdict.REJECT: 3})
    public_addresses: dict[str, int] = field(default_factory=dict)


def report(*rows: dict[str, Any], **given: Any) -> ReplayReport:
    tally = Tally()
    if rows:
        tally.add(batch(*rows))
    hits = rule_hits(np.array([0, 2, 1, 0]), SETS, len(RULE_IDS))
    made = ReplayReport("env", LABELS, [File()], tally, hits, Counted(), {"aggregation": 600})
    return replace(made, **given)


def lines(*rows: dict[str, Any], **given: Any) -> list[str]:
    text = replay_text(report(*rows, **given), Style(False))
    assert text.endswith("\n")
    assert not any(line != line.rstrip() for line in text.splitlines())
    return text.splitlines()


def test_whole_report() -> None:
    assert lines(row(), rejected(dstport=22), unknown(), nowhere()) == [
        "Traffic",
        "  a.pcap: 10 packets, all decoded",
        "  2026-03-02 09:00:00 to 09:01:00 UTC",
        "",
        "Verdicts  one record per interface, direction, flow and 600 seconds",
        "                  records  packets  bytes",
        "  ACCEPT                1       10  1,000",
        "    RULE                1       10  1,000  a rule matches",
        "  REJECT                1        1     44",
        "    NO_RULE             1        1     44  no rule matches",
        "  UNKNOWN               2       20  2,000",
        "    NO_INTERFACE        1       10  1,000  neither end is in the environment",
        "    UNRESOLVED          1       10  1,000  a rule may match; the input does not tell",
        "  3 flows; packets by their whole path, both ends: 7 ACCEPT, 3 REJECT, 0 UNKNOWN",
        "",
        "Rejected",
        "  eni-0web (i-0web) ingress: no ingress rule of web matches",
        "    tcp 22  1 record  1 packet  from 203.0.113.66",
        "",
        "Unknown",
        "  at no known interface: neither end is in the environment",
        "    tcp 5432  1 record  10 packets  such as 172.31.5.20 > 10.0.1.5",
        "    advice: is the export complete (describe-network-interfaces of every account and Region involved)?",
        "  eni-0db (rds) ingress: a rule may match; the input does not tell (db)",
        "    tcp 5432  1 record  10 packets  from 172.31.5.20",
        "    may match: sgr-0db tcp 5432 from 444455556666/sg-0far in db",
        "    advice: add what these rules refer to (the other account's interfaces, the prefix list's entries)",
        "",
        "Rules  hits: flows that open a connection, at this end; sole: no other rule allows them",
        "  hits  sole  rule        group",
        "     3     2  sgr-0https  web    tcp 443 from 0.0.0.0/0",
        "     1     0  sgr-0wide   web    tcp all ports from 192.0.2.0/24",
        "  no hits in this traffic: 1 rule of groups that an interface has",
        "    sgr-0db  db  tcp 5432 from 444455556666/sg-0far",
    ]


def test_no_packets() -> None:
    text = lines(files=[File(decoded=0, notes=["the file holds no packets"])])
    assert text[:3] == ["Traffic", "  a.pcap: 0 packets, all decoded", "    the file holds no packets"]
    assert "  none: no packet could be judged" in text


def test_what_was_not_used_and_why() -> None:
    file = File(not_ip=3, truncated=2, causes={"captured only up to the IP header": 2, "ARP": 3})
    text = lines(row(), files=[file], summary=Counted(neighbour_discovery=1, backwards=2))
    assert "  a.pcap: 15 packets, 10 decoded; not used: 3 ARP; 2 captured only up to the IP header" in text
    assert "  1 packet of neighbour discovery: counted, not judged" in text
    assert "  2 packets earlier than the one before: judged in the order of the file" in text


def test_of_many_files_the_odd_ones_are_shown() -> None:
    files = [File(source=f"{n}.pcap") for n in range(30)]
    files[7] = File(source="7.pcap", not_ip=1, causes={"ARP": 1})
    text = lines(row(), files=files)
    assert text[1:3] == [
        "  7.pcap: 11 packets, 10 decoded; not used: 1 ARP",
        "  29 more files: 290 packets, all decoded",
    ]


def test_vantage_speaks_of_disagreement_never_of_rejection() -> None:
    """AWS delivers only what the groups let through: a capture at an interface cannot show rejected ingress."""
    text = lines(rejected(dstport=22), rejected("10.0.1.5", "203.0.113.66", direction=1), vantage="eni-0web")
    rejection, disagreement = text.index("Rejected"), next(n for n, line in enumerate(text) if "Disagreements" in line)
    assert text[rejection + 1] == "  eni-0web (i-0web) egress: no egress rule of web matches"
    assert text[disagreement].startswith("Disagreements  arrived, though these rules would reject it")
    assert text[disagreement + 2] == "    tcp 22  1 record  1 packet  from 203.0.113.66"


def test_traffic_of_others_at_a_vantage_is_no_gap_of_the_export() -> None:
    text = lines(unknown(interface=NO_INTERFACE, reason=Reason.NO_INTERFACE, possible_set=0), vantage="eni-0web")
    assert "  not at the vantage: neither end is eni-0web" in text
    assert not any("export" in line for line in text)


def test_mirrored_packets_that_arrived_are_remarked_on() -> None:
    text = lines(rejected(dstport=22), summary=Counted(disagreements=3))
    assert text[-1].startswith(
        "  3 mirrored packets counted above as rejected ingress did arrive: the rules were others"
    )


def test_ambiguous_interface_asks_for_the_vpc() -> None:
    text = lines(unknown(interface=AMBIGUOUS, reason=Reason.AMBIGUOUS_INTERFACE, possible_set=0))
    assert "  one of several interfaces ingress: several interfaces could be meant" in text
    assert "    advice: say which VPC is meant with --vpc, or where the capture was taken with --vantage" in text


def test_public_addresses_and_warnings_are_remarks() -> None:
    environment = replace(ENVIRONMENT, warnings=("a \x1b[31mlisting is incomplete",))
    text = lines(
        row(),
        labels=Labels(environment, INTERFACE_IDS, RULE_IDS),
        summary=Counted(public_addresses={"eni-0web": 4}),
    )
    warning, public = text[text.index("Remarks") + 1 :]
    assert warning == "  a \\x1b[31mlisting is incomplete"
    assert public.startswith("  4 packets with a public address of eni-0web (i-0web): captured before translation;")


def test_a_vpc_without_ranges_is_remarked_on() -> None:
    """Without them DNS at VPC+2 cannot be told from any other traffic (docs/semantics.md §9.8)."""
    labels = Labels(replace(ENVIRONMENT, vpcs={}), INTERFACE_IDS, RULE_IDS)
    text = lines(row(), labels=labels)
    assert text[-1].startswith("  the ranges of vpc-0a are not in the input: DNS at a VPC's second address is judged")


def test_groups_of_one_name_show_their_ids() -> None:
    twins = {**ENVIRONMENT.groups, "sg-0old": SecurityGroup("sg-0old", name="web")}
    labels = Labels(replace(ENVIRONMENT, groups=twins), INTERFACE_IDS, RULE_IDS)
    assert [labels.group(name) for name in ("sg-0web", "sg-0db", "sg-0none")] == ["web (sg-0web)", "db", "sg-0none"]


def test_of_a_flood_of_addresses_a_few_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sgsim.report.tally.MAX_PEERS", 4)
    text = lines(*(rejected(f"203.0.113.{n}", dstport=22) for n in range(9)))
    assert any(line.endswith("from 203.0.113.0, 203.0.113.1, 203.0.113.2 and many more") for line in text)


def test_long_lists_are_cut_and_say_so() -> None:
    rows = [rejected(f"203.0.113.{n}", dstport=1000 + n, interface=n % 2) for n in range(100)]
    text = lines(*rows)
    assert sum(line.startswith("    tcp ") for line in text) == 24
    assert sum("… 38 more services (38 records)" in line for line in text) == 2


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (0, 0, "1970-01-01 00:00:00 UTC"),
        (0, 59, "1970-01-01 00:00:00 to 00:00:59 UTC"),
        (0, 86400, "1970-01-01 00:00:00 to 1970-01-02 00:00:00 UTC"),
        (0, 1 << 62, f"1970-01-01 00:00:00 to {1 << 62} UTC"),
    ],
)
def test_spans_of_time(start: int, end: int, text: str) -> None:
    assert span(start, end) == text
