"""Explanations in words: what a person reads about each end, and the same as JSON."""

from __future__ import annotations

import json

from sgsim.analysis.explanation import EndExplanation, Explanation, GroupExplanation, RuleExplanation
from sgsim.report.explanation import explanation_json, explanation_text
from sgsim.report.style import Style
from tests.report.made import LABELS

MATCH = RuleExplanation("sgr-0https", "sg-0web", "ingress", "tcp 443", "0.0.0.0/0", "yes")
WIDE = RuleExplanation("sgr-0wide", "sg-0web", "ingress", "tcp all ports", "192.0.2.0/24", "yes")
MISS = RuleExplanation(
    "sgr-0wide", "sg-0web", "ingress", "tcp all ports", "192.0.2.0/24", "no", ("protocol", "port", "source")
)
MAYBE = RuleExplanation("sgr-0db", "sg-0db", "ingress", "tcp 5432", "sg-0far", "maybe", ("source",))
NEAR = RuleExplanation("sgr-0x", "sg-0web", "egress", "tcp 1", "sg-0y", "no", ("port",), "because \x07")
NOT_REACHED = "not reached, since the sender's groups reject it"
GROUP = GroupExplanation("sg-0web", "web", described=True, classic=False, rules=2)


def end(**given: object) -> EndExplanation:
    known = {"interface_id": "eni-0web", "instance_id": "i-0web"}
    plain = {"direction": "ingress", "address": "10.0.1.5", "found_by": "address", **known}
    return EndExplanation(**{**plain, **given})  # type: ignore[arg-type]


def text(egress: EndExplanation, ingress: EndExplanation, action: str, notes: tuple[str, ...] = ()) -> list[str]:
    explanation = Explanation("tcp 192.0.2.7 > 10.0.1.5:443", action, egress, ingress, notes)
    return explanation_text(explanation, LABELS, Style(False)).splitlines()


NOBODY = EndExplanation("egress", "192.0.2.7", "none", notes=("no interface has it",))


def test_accepted_with_a_deciding_rule() -> None:
    ingress = end(
        action="ACCEPT", reason="RULE", tracking="tracked", deciding_rule_id="sgr-0wide", groups=(GROUP,),
        rules=(WIDE, MATCH),
    )  # fmt: skip
    assert text(NOBODY, ingress, "ACCEPT") == [
        "tcp 192.0.2.7 > 10.0.1.5:443  ACCEPT",
        "",
        "sender 192.0.2.7: not judged",
        "  no interface has it",
        "",
        "receiver 10.0.1.5 at eni-0web (i-0web): ACCEPT, a rule matches; connections are tracked",
        "  groups: web (2 ingress rules)",
        "  matches:",
        "    sgr-0wide   web  tcp all ports from 192.0.2.0/24  decides",
        "    sgr-0https  web  tcp 443 from 0.0.0.0/0",
    ]


def test_rejected_shows_what_misses_and_the_receiver_is_hypothetical() -> None:
    egress = end(direction="egress", action="REJECT", reason="NO_RULE", near_misses=(NEAR, MISS))
    ingress = end(action="ACCEPT", reason="RULE", reached=False, rules=(MATCH,), deciding_rule_id="sgr-0https")
    assert text(egress, ingress, "REJECT")[2:] == [
        "sender 10.0.1.5 at eni-0web (i-0web): REJECT, no rule matches",
        "  nearest:",
        "    sgr-0x     web  tcp 1 to sg-0y                   all but the port (because \\x07)",
        "    sgr-0wide  web  tcp all ports from 192.0.2.0/24  all but protocol, port and source",
        "",
        f"receiver 10.0.1.5 at eni-0web (i-0web): would be ACCEPT, a rule matches; {NOT_REACHED}",
        "  matches:",
        "    sgr-0https  web  tcp 443 from 0.0.0.0/0",
    ]  # fmt: skip


def test_unknown_and_exempt() -> None:
    missing = GroupExplanation("sg-0gone", "", described=False, classic=False, rules=0)
    unknown = end(action="UNKNOWN", reason="UNRESOLVED", possible=(MAYBE,), groups=(missing,))
    exempt = end(action="ACCEPT", reason="EXEMPT", exempt="Amazon DNS")
    lines = text(unknown, exempt, "UNKNOWN", ("a note",))
    assert lines[1] == "  a note"
    assert "  groups: sg-0gone (not in the input)" in lines
    assert "    sgr-0db  db  tcp 5432 from 444455556666/sg-0far  the source cannot be decided" in lines
    assert lines[-1] == "receiver 10.0.1.5 at eni-0web (i-0web): ACCEPT, Amazon DNS"


def test_json_is_the_explanation_with_its_schema() -> None:
    ingress = end(action="ACCEPT", reason="RULE", rules=(MATCH,), groups=(GROUP,))
    document = json.loads(explanation_json(Explanation("a flow", "ACCEPT", NOBODY, ingress)))
    assert (document["schema"], document["flow"], document["path_action"]) == (
        "sgsim.explanation/1",
        "a flow",
        "ACCEPT",
    )
    assert document["ingress"]["rules"][0]["rule_id"] == "sgr-0https"
    assert document["egress"]["interface_id"] is None
