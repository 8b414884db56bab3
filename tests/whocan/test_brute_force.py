"""Who is named can, and nobody is left out: every call, every principal and every chain of roles, by the slow twins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from sgsim.access.calls import change_requests
from sgsim.access.enforcement import apply_as
from sgsim.access.principals import policy_set, principal_arns, trust_policy
from sgsim.access.requests import AccessRequest
from sgsim.analysis.helpful_calls import launched_by
from sgsim.analysis.whocan import WhoCan, who_can
from sgsim.errors import ChangeError
from sgsim.model import Direction, Environment, NetworkInterface, Semantics
from sgsim.model.apply import apply
from sgsim.model.changes import Change, ChangeSet, RunInstances
from sgsim.reference import Packet, judge
from sgsim.verdicts import Verdict
from tests.access.test_twin import expected
from tests.whocan.worlds import ACCOUNT, NET, PORT, every_call, question, world

WORLDS = 280
End = tuple[str, int]  # an interface ("" for none) and its address


def ends(text: str, environment: Environment) -> tuple[list[End], list[End]]:
    """Every sender and every receiver that a question means."""
    _, source, _, destination = text.split()
    return _hosts(source, environment), _hosts(destination.partition(":")[0], environment)


def _hosts(name: str, environment: Environment) -> list[End]:
    if name in environment.interfaces:
        return [(name, environment.interfaces[name].addresses[0].value)]
    numbers = [NET + n for n in range(8, 12)] if name.endswith("/30") else [NET + 9]
    return [("", number) for number in ([0xC0000201] if name == "192.0.2.1" else numbers)]


def accepted(environment: Environment, name: str, direction: Direction, packet: Packet) -> bool:
    return not name or judge(environment, Semantics(), name, direction, packet).action is Verdict.ACCEPT


class Brute:
    """Everything that could be done in one world about one question."""

    def __init__(self, environment: Environment, text: str) -> None:
        self.environment = environment
        senders, receivers = ends(text, environment)
        self.packets = [
            (one, other, Packet(4, one[1], other[1], 6, 40000, PORT))
            for one in senders
            for other in receivers
            if one != other
        ]
        self.before = self.halves(environment, ())
        self.calls = {call: after for call in every_call(environment) if (after := self._after((call,))) is not None}

    def _after(self, calls: tuple[Change, ...]) -> list[tuple[bool, bool]] | None:
        try:
            after = apply(self.environment, ChangeSet(calls))
        except ChangeError:
            return None
        return self.halves(after, tuple(one for call in calls for one in launched_by(call)))

    def halves(self, environment: Environment, new: tuple[NetworkInterface, ...]) -> list[tuple[bool, bool]]:
        """For every packet whether it passes the sender's end and the receiver's."""
        names = {one.addresses[0].value: one.interface_id for one in new}
        return [
            (
                accepted(environment, one or names.get(source, ""), Direction.EGRESS, packet),
                accepted(environment, other or names.get(target, ""), Direction.INGRESS, packet),
            )
            for (one, source), (other, target), packet in self.packets
        ]

    def opens(self, halves: list[tuple[bool, bool]]) -> bool:
        return any(all(now) and not all(was) for now, was in zip(halves, self.before))

    def gains(self, halves: list[tuple[bool, bool]], end: int) -> bool:
        return any(now[end] and not was[end] for now, was in zip(halves, self.before))

    def allowed(self, arn: str, call: Change) -> bool:
        """By the slow twin, and the image's owner."""
        if isinstance(call, RunInstances):
            image = self.environment.images[call.image_id]
            if image.owner_id != ACCOUNT and not image.permissions:
                return False
        policies = policy_set(self.environment, arn)
        requests = change_requests(self.environment, call, ACCOUNT)
        return bool(requests) and all(expected(policies, one).outcome == "allowed" for one in requests)

    def roles_of(self, arn: str) -> Iterator[str]:
        """The principal and every role that it can become."""
        found, pending = {arn}, [arn]
        while pending:
            one = pending.pop()
            yield one
            for role in self.environment.directory.roles.values():
                if role.arn in found:
                    continue
                request = AccessRequest(
                    action="sts:AssumeRole",
                    resource=role.arn,
                    resource_account=ACCOUNT,
                    resource_policy=trust_policy(role),
                )
                if expected(policy_set(self.environment, one), request).outcome == "allowed":
                    found.add(role.arn)
                    pending.append(role.arn)

    def able(self) -> set[str]:
        """Everybody who can, at once, by way of roles, or with one call for each end."""
        principals = principal_arns(self.environment)
        helping = [call for call, halves in self.calls.items() if self.opens(halves)]
        direct = {arn for arn in principals if any(self.allowed(arn, call) for call in helping)}
        actors = {arn: list(self.roles_of(arn)) for arn in principals}
        found = {arn for arn in principals if direct.intersection(actors[arn])}
        parts = [
            [call for call, halves in self.calls.items() if self.gains(halves, end) and not self.opens(halves)]
            for end in (0, 1)
        ]
        may = {
            arn: [[call for call in listed if self.allowed(arn, call)] for listed in parts] if all(parts) else [[], []]
            for arn in principals
        }
        tried: dict[tuple[Change, Change], bool] = {}
        for arn in principals:
            firsts, seconds = ({c: None for actor in actors[arn] for c in may[actor][end]} for end in (0, 1))
            for pair in ((one, other) for one in firsts for other in seconds) if arn not in found else ():
                if pair not in tried:
                    after = self._after(pair)
                    tried[pair] = after is not None and self.opens(after)
                if tried[pair]:
                    found.add(arn)
                    break
        return found

    def check_ways(self, answer: WhoCan) -> None:
        """Each way can be gone: roles by the twin, calls as the command makes them, packets by the twin."""
        for arn, ways in answer.ways.items():
            for way in ways:
                reach = set(self.roles_of(arn))
                assert {step.role for step in way.steps} | {made.principal for made in way.calls} <= reach
                environment = self.environment
                for made in way.calls:
                    assert self.allowed(made.principal, made.change)
                    done = apply_as(environment, ChangeSet((made.change,)), made.principal)
                    assert done.error is None, done.error
                    environment = done.environment
                new = tuple(one for made in way.calls for one in launched_by(made.change))
                after = self.halves(environment, new)
                assert self.opens(after)
                assert way.whole == all(all(one) for one in after)


@pytest.mark.parametrize("first", range(0, WORLDS, 40))
def test_exactly_those_who_can_are_named(first: int) -> None:
    """docs/iam.md W."""
    seen: Counter[str] = Counter()
    for seed in range(first, first + 40):
        environment = world(seed)
        text = question(seed, environment)
        brute, answer = Brute(environment, text), who_can(environment, text)
        passes = [all(one) for one in brute.before]
        assert (answer.passing is not None, answer.whole) == (any(passes), all(passes)), (seed, text)
        if answer.whole:
            seen["whole"] += 1
            continue
        assert set(answer.ways) == brute.able(), (seed, text)
        brute.check_ways(answer)
        for ways in answer.ways.values():
            seen.update(made.kind for way in ways for made in way.calls)
            seen["roles"] += any(way.steps for way in ways)
            seen["two calls"] += any(len(way.calls) > 1 for way in ways)
        seen["nobody"] += not answer.ways
    assert len(seen) >= 6, seen
