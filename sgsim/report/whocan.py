"""Who could make packets pass: for people, as JSON and as SARIF."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import msgspec

from sgsim.analysis.helpful_calls import KINDS
from sgsim.analysis.notation import Flow, format_flow
from sgsim.analysis.passing import Witness
from sgsim.analysis.whocan import Made, Way, WhoCan
from sgsim.model import ICMP, ICMPV6, TCP, UDP, Address, Direction, Environment, Semantics
from sgsim.model.apply import apply
from sgsim.model.arns import parse_arn
from sgsim.model.changes import Change, ChangeSet
from sgsim.reference import Packet, judge
from sgsim.report.changes import change_lines
from sgsim.report.decision import OUTCOMES, deciding_statement
from sgsim.report.labels import Labels
from sgsim.report.sarif import SCHEMA
from sgsim.report.schemas import WHO_CAN_SCHEMA
from sgsim.report.style import Style, clean, counted

__all__ = ["WhoCanReport"]

_LIMIT = "IAM has no condition key for port or address: who may add a rule to a group may add any rule to it"


class WhoCanReport:
    """An answer with the environment that it is about; `source` is the name of its files."""

    def __init__(self, answer: WhoCan, environment: Environment, semantics: Semantics, source: str) -> None:
        self.answer, self.source = answer, source
        self._environment, self._semantics = environment, semantics
        self._labels = Labels(environment, (), ())
        self._said: dict[Change, str] = {}

    # -- for people ----------------------------------------------------------------------------------------------------

    def text(self, style: Style) -> str:
        """The question, then everybody with a way to make it pass; ends with a line feed."""
        answer = self.answer
        lines = [f"{style.heading(clean(answer.question))}  {self._state(style)}"]
        if answer.passing is not None:
            lines += [f"  {line}" for line in self._by(answer.passing)]
        if answer.maybe:
            lines.append("  it may pass already: a rule refers to what the input does not contain")
        if not answer.whole:
            lines += ["", f"Who can make {'more of it' if answer.passing else 'it'} pass  {self._count()}"]
            for arn, ways in answer.ways.items():
                lines.append(f"  {clean(arn)}")
                lines += [f"    {clean(line)}" for way in ways for line in self._way(way)]
            lines += self._remarks()
        return "\n".join(lines) + "\n"

    def _state(self, style: Style) -> str:
        if self.answer.whole:
            return style("passes already", "green")
        return style("passes in part", "yellow") if self.answer.passing else style("does not pass", "red")

    def _count(self) -> str:
        if not self.answer.ways:
            return f"nobody of {counted(self.answer.asked, 'user or role').replace('user or roles', 'users and roles')}"
        return f"{len(self.answer.ways):,} of {self.answer.asked:,} users and roles"

    def _remarks(self) -> Iterator[str]:
        answer = self.answer
        for arn in answer.roots:
            yield f"  and the root user of {parse_arn(arn).account_id}"
        if answer.missing_keys:
            yield f"  refused for want of {', '.join(map(clean, answer.missing_keys))}: --context tells it"
        if answer.ways:
            yield f"  {_LIMIT}"

    def _way(self, way: Way) -> Iterator[str]:
        then = ""
        for step in way.steps:
            yield f"{then}sts:AssumeRole {step.role}"
            yield from (f"  by {one}" for one in step.decision.statements)
            then = "then "
        for made in way.calls:
            actor = f" as {made.principal}" if len(way.calls) > 1 and way.steps else ""
            yield f"{then}{made.decisions[0][0].action}{actor}: {self._change(made.change)}"
            yield from (f"  by {one}" for one in _statements(made))
            then = "then "
        if not way.whole:
            yield f"  part of it then passes, such as {format_flow(flow_of(way.witness))}"

    def _change(self, change: Change) -> str:
        """What a change does, in one line."""
        if change not in self._said:
            after = apply(self._environment, ChangeSet((change,), accepted=True))
            lines = change_lines(self._environment, after).items()
            self._said[change] = "; ".join(f"{thing} {', '.join(said)}" for thing, said in lines)
        return self._said[change]

    def _by(self, witness: Witness) -> Iterator[str]:
        """A packet that passes and what lets it at each end."""
        yield format_flow(flow_of(witness))
        for word, name, direction in (
            ("sender", witness.sender, Direction.EGRESS),
            ("receiver", witness.receiver, Direction.INGRESS),
        ):
            if name:
                said = judge(self._environment, self._semantics, name, direction, packet_of(witness))
                rule = said.deciding_rule_id
                by = self._labels.rule(rule) if rule is not None else said.reason.name
                yield f"  {word} {self._labels.interface_named(name)}: {by}"

    # -- for machines --------------------------------------------------------------------------------------------------

    def json(self) -> bytes:
        """One document, indented; ends with a line feed."""
        answer = self.answer
        document = {
            "schema": WHO_CAN_SCHEMA,
            "question": answer.question,
            "passes": "all" if answer.whole else "part" if answer.passing else "none",
            "may_pass": answer.maybe,
            "passing": None if answer.passing is None else format_flow(flow_of(answer.passing)),
            "asked": answer.asked,
            "principals": [
                {"principal": arn, "ways": [self._document(way) for way in ways]} for arn, ways in answer.ways.items()
            ],
            "roots": [
                {"principal": arn, "ways": [self._document(way) for way in ways]} for arn, ways in answer.roots.items()
            ],
            "missing_keys": answer.missing_keys,
            "limit": _LIMIT,
        }
        return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"

    def _document(self, way: Way) -> dict[str, Any]:
        return {
            "assume": [
                {
                    "principal": step.principal,
                    "role": step.role,
                    "statements": [deciding_statement(one) for one in step.decision.statements],
                }
                for step in way.steps
            ],
            "calls": [
                {
                    "kind": made.kind,
                    "principal": made.principal,
                    "action": made.decisions[0][0].action,
                    "change": self._change(made.change),
                    "requests": [
                        {
                            "action": request.action,
                            "resource": request.resource,
                            "outcome": OUTCOMES[decision.outcome],
                            "statements": [deciding_statement(one) for one in decision.statements],
                        }
                        for request, decision in made.decisions
                    ],
                }
                for made in way.calls
            ],
            "whole": way.whole,
            "witness": format_flow(flow_of(way.witness)),
        }

    def sarif(self, version: str) -> bytes:
        """A result for each user and role, for code scanning; ends with a line feed."""
        kinds = list(KINDS)
        rules = [
            {
                "id": f"who-can-{kind}",
                "name": "".join(word.capitalize() for word in f"who-can-{kind}".split("-")),
                "shortDescription": {"text": f"{meaning[0].upper()}{meaning[1:]}: who may, makes packets pass"},
                "defaultConfiguration": {"level": "warning"},
            }
            for kind, meaning in KINDS.items()
        ]
        results = [self._result(arn, ways[0], kinds) for arn, ways in self.answer.ways.items()]
        driver = {"name": "sgsim", "semanticVersion": version, "rules": rules}
        run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
        document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
        return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"

    def _result(self, arn: str, way: Way, kinds: list[str]) -> dict[str, Any]:
        kind = way.calls[0].kind
        steps = "; ".join(line.strip() for line in self._way(way) if not line.startswith("  "))
        identity = f"{self.answer.question}|{arn}|{kind}"
        file = self._origins.get(arn, "").partition(": ")[0].partition(", ")[0] or self.source
        return {
            "ruleId": f"who-can-{kind}",
            "ruleIndex": kinds.index(kind),
            "level": "warning",
            "message": {"text": clean(f"{arn} can make '{self.answer.question}' pass: {steps}")},
            "locations": [
                {
                    "physicalLocation": {"artifactLocation": {"uri": quote(file)}, "region": {"startLine": 1}},
                    "logicalLocations": [{"name": arn, "fullyQualifiedName": arn, "kind": "member"}],
                }
            ],
            "partialFingerprints": {"sgsimFindingId/v1": sha256(identity.encode()).hexdigest()[:16]},
        }

    @cached_property
    def _origins(self) -> dict[str, str]:
        directory = self._environment.directory
        return {one.arn: one.origin for one in (*directory.users.values(), *directory.roles.values())}


def _statements(made: Made) -> Iterator[str]:
    """The statements that allow, each once however many things it is asked about."""
    return iter(dict.fromkeys(str(one) for _, decision in made.decisions for one in decision.statements))


def flow_of(witness: Witness) -> Flow:
    """The packet without a source port."""
    protocol, low = witness.service >> 16, witness.service & 65535
    icmp = protocol in (ICMP, ICMPV6)
    return Flow(
        protocol,
        Address(witness.family, witness.source),
        Address(witness.family, witness.destination),
        None,
        low if protocol in (TCP, UDP) else None,
        low >> 8 if icmp else None,
        low & 255 if icmp else None,
    )


def packet_of(witness: Witness) -> Packet:
    """The packet as the twin takes it."""
    flow = flow_of(witness)
    return Packet(
        witness.family,
        witness.source,
        witness.destination,
        flow.protocol,
        40000 if flow.dstport is not None else 0,
        flow.dstport or 0,
        flow.icmp_type,
        flow.icmp_code,
    )
