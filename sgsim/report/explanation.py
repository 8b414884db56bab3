"""An explanation of one flow, for people and as JSON (docs/output.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from sgsim.analysis.explanation import EndExplanation, Explanation, RuleExplanation
from sgsim.report.labels import Labels
from sgsim.report.schemas import EXPLANATION_SCHEMA
from sgsim.report.style import Style, clean, columns, counted
from sgsim.verdicts import Verdict

__all__ = ["explanation_json", "explanation_text"]

_REASONS = {
    "RULE": "a rule matches",
    "NO_RULE": "no rule matches",
    "EXEMPT": "security groups never see it",
    "UNFILTERED": "not filtered",
    "UNRESOLVED": "the input does not tell",
    "AMBIGUOUS_INTERFACE": "several interfaces could be meant",
}


def explanation_json(explanation: Explanation) -> bytes:
    """One document, indented; ends with a line feed."""
    document = {"schema": EXPLANATION_SCHEMA, **msgspec.to_builtins(explanation)}
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def explanation_text(explanation: Explanation, labels: Labels, style: Style) -> str:
    """Both ends, their groups and rules; ends with a line feed."""
    verdict = Verdict[explanation.path_action]
    lines = [f"{style.heading(explanation.flow)}  {style.verdict(verdict)}"]
    lines += [f"  {clean(note)}" for note in explanation.notes]
    lines += ["", *_end("sender", explanation.egress, labels, style)]
    lines += ["", *_end("receiver", explanation.ingress, labels, style)]
    return "\n".join(lines) + "\n"


def _missed(rule: RuleExplanation) -> str:
    """What keeps a rule from matching, `all but port and source`, and why where the rule does not show it."""
    if not rule.but_for:
        return clean(rule.note)
    note = f" ({clean(rule.note)})" if rule.note else ""
    return f"all but {_fields(rule)}{note}"


def _fields(rule: RuleExplanation) -> str:
    """`the port`, `port and source`, `protocol, port and source`."""
    *most, last = rule.but_for
    return f"{', '.join(most)} and {last}" if most else f"the {last}"


def _end(who: str, end: EndExplanation, labels: Labels, style: Style) -> Iterator[str]:
    place = f"{who} {clean(end.address)}"
    if end.interface_id is not None:
        about = (
            end.name
            or end.instance_id
            or end.description
            or (end.interface_type if end.interface_type != "interface" else "")
        )
        place += clean(f" at {end.interface_id}" + (f" ({about})" if about else ""))
    yield f"{style.heading(place)}: {_answer(end, style)}"
    if end.groups:
        yield f"  groups: {', '.join(_group(labels, end, index) for index in range(len(end.groups)))}"
    for heading, rules, detail in (
        ("matches", end.rules, _deciding(end)),
        ("may match", end.possible, [_undecided(rule) for rule in end.possible]),
        ("nearest", end.near_misses, [_missed(rule) for rule in end.near_misses]),
    ):
        if rules:
            yield f"  {heading}:"
            yield from _rules(labels, rules, detail)
    yield from (f"  {clean(note)}" for note in end.notes)


def _answer(end: EndExplanation, style: Style) -> str:
    if not end.action:
        return "not judged"
    verdict = Verdict[end.action]
    why = clean(end.exempt) or _REASONS.get(end.reason, end.reason)
    condition = "" if end.reached else "would be "
    tracking = f"; connections are {end.tracking}" if end.tracking else ""
    reached = "" if end.reached else "; not reached, since the sender's groups reject it"
    return f"{condition}{style.verdict(verdict)}, {why}{tracking}{reached}"


def _group(labels: Labels, end: EndExplanation, index: int) -> str:
    group = end.groups[index]
    if not group.described:
        return f"{clean(group.group_id)} (not in the input)"
    return f"{labels.group(group.group_id)} ({counted(group.rules, f'{end.direction} rule')})"


def _deciding(end: EndExplanation) -> list[str]:
    several = len(end.rules) > 1
    return ["decides" if several and rule.rule_id == end.deciding_rule_id else "" for rule in end.rules]


def _undecided(rule: RuleExplanation) -> str:
    return clean(rule.note) or (f"{_fields(rule)} cannot be decided" if rule.but_for else "")


def _rules(labels: Labels, rules: Sequence[RuleExplanation], details: Sequence[str]) -> list[str]:
    rows = []
    for rule, detail in zip(rules, details):
        known = labels.rules.get(rule.rule_id)
        preposition = "from" if rule.direction == "ingress" else "to"
        what = labels.what(known[0]) if known else clean(f"{rule.service} {preposition} {rule.peer}")
        rows.append((clean(rule.rule_id), labels.group(rule.group_id), what, detail))
    return columns(rows, "<<<<", indent="    ")
