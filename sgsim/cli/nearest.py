"""For the replay's report: the rule that came nearest to allowing what was rejected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from sgsim.analysis.explain import explain
from sgsim.analysis.notation import Flow
from sgsim.errors import NotationError
from sgsim.flows import INGRESS
from sgsim.model import TCP, UDP, Address, Environment, Semantics
from sgsim.report.labels import Labels
from sgsim.report.situations import Line, Situation
from sgsim.verdicts import Reason, Verdict

__all__ = ["NearestRules"]


class NearestRules:
    """Explains a sample of each line of a rejected situation.

    Interfaces are indexed by address once, so that each explanation looks at the few that matter: it costs less than a
    millisecond however large the environment is.
    """

    def __init__(self, environment: Environment, semantics: Semantics, labels: Labels) -> None:
        self._environment, self._semantics, self._labels = environment, semantics, labels
        self._holders: dict[Address, list[str]] = defaultdict(list)
        for interface in environment.interfaces.values():
            for address in interface.addresses:
                self._holders[address].append(interface.interface_id)
        self._delegated = [other.interface_id for other in environment.interfaces.values() if other.prefixes]

    def __call__(self, situation: Situation, line: Line) -> Sequence[str]:
        """One line of text, or none where no rule is near or the question makes no sense."""
        plain = len(line.services) == 1 and not line.key.answer and not line.key.fragment
        if (
            situation.interface < 0
            or situation.action != Verdict.REJECT
            or situation.reason != Reason.NO_RULE
            or not plain
        ):
            return ()
        ingress, sample = situation.direction == INGRESS, line.sample
        interface_id = self._labels.interface_ids[situation.interface]
        remote = Address(sample.family, sample.srcaddr if ingress else sample.dstaddr)
        ports = sample.protocol in (TCP, UDP)
        flow = Flow(
            sample.protocol,
            source=remote if ingress else interface_id,
            destination=interface_id if ingress else remote,
            srcport=sample.srcport if ports else None,
            dstport=sample.dstport if ports else None,
            icmp_type=sample.icmp_type if sample.icmp_type >= 0 else None,
            icmp_code=sample.icmp_code if sample.icmp_code >= 0 else None,
        )
        try:
            explanation = explain(self._around(interface_id, remote), self._semantics, flow, misses=1)
        except NotationError:  # the interface has no address of this family: nothing to compare with
            return ()
        end = explanation.ingress if ingress else explanation.egress
        return tuple(
            f"nearest: {self._labels.rule(rule.rule_id)}, all but the {rule.but_for[0]}"
            for rule in end.near_misses
            if len(rule.but_for) == 1  # one that misses more is no hint
        )

    def _around(self, interface_id: str, remote: Address) -> Environment:
        """The environment with only the interfaces that this question can touch."""
        names = {interface_id, *self._holders.get(remote, ()), *self._delegated}
        return replace(
            self._environment, interfaces={name: self._environment.interfaces[name] for name in sorted(names)}
        )
