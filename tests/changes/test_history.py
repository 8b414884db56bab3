"""An account's history (docs/changes.md, "Time travel"): taken back from what it is, made forward from there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from sgsim.errors import ChangeError, ChangeInputError
from sgsim.model import Address, Direction, Environment, NetworkInterface, Semantics, parse_cidr
from sgsim.model.apply import apply, named_rules, revoked_rules
from sgsim.model.changes import (
    AddInterface,
    Authorize,
    Change,
    ChangeOrigin,
    ChangeSet,
    CreateGroup,
    DeleteGroup,
    DescribeRule,
    ModifyRule,
    RemoveInterface,
    Revoke,
    SetEntries,
    SetGroups,
)
from sgsim.model.directory_changes import DeleteUser
from sgsim.model.history import History, is_stand_in
from sgsim.model.refusals import check_kind_of_peer
from sgsim.reference.packet import Packet, judge
from sgsim.verdicts import Verdict
from tests.changes.support import account, distinct, group, interface, rule
from tests.changes.test_laws import random_change
from tests.strategies import random_rows, seeds

BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)
SHARED = parse_cidr("100.64.0.0/10").network >> 22
laws = settings(max_examples=60, derandomize=True, deadline=None)


def at(change: Any, minute: float, event: str = "") -> Any:
    """The change, as CloudTrail would tell of it."""
    time = BEGIN + timedelta(minutes=minute)
    place = f"trail.json, Records[{minute:g}]"
    return msgspec.structs.replace(
        change, origin=ChangeOrigin(time, "ann", "192.0.2.1", event or type(change).__name__, place)
    )


def trail(*changes: Any) -> ChangeSet:
    return ChangeSet(tuple(changes), accepted=True)


def recorded(environment: Environment, change: Change, rng: Random) -> Change:
    """The change as a recording has it: mostly with the ids and contents that AWS answered with."""
    if isinstance(change, Authorize):
        return msgspec.structs.replace(change, rules=named_rules(change.group_id, change.rules))
    if isinstance(change, Revoke) and rng.random() < 0.8:
        return msgspec.structs.replace(change, rule_ids=(), rules=revoked_rules(environment, change))
    if isinstance(change, SetEntries):
        entries = environment.prefix_lists[change.prefix_list_id].entries or ()
        add = tuple(cidr for cidr in change.add if cidr not in entries and cidr not in change.remove)
        return msgspec.structs.replace(change, add=add, remove=tuple(c for c in change.remove if c in entries))
    return change


def keeps_kind(environment: Environment, change: ModifyRule) -> bool:
    """Whether AWS would let the rule become that one: the kind of its peer must stay (§1.6)."""
    (known,) = (one for one in environment.groups[change.group_id].rules if one.rule_id == change.rule_id)
    try:
        check_kind_of_peer(known, change.rule)
    except ChangeError:
        return False
    return True


def random_past(seed: int, count: int) -> tuple[list[Environment], ChangeSet]:
    """Environments as they followed each other, and the recording of what led from one to the next."""
    rng = Random(seed)
    environments, changes = [distinct(seed)], []
    while len(changes) < count:
        change = random_change(environments[-1], rng)
        try:
            after = apply(environments[-1], trail(change))
        except ChangeError:
            continue
        if isinstance(change, DeleteGroup) and any(
            change.group_id in one.group_ids for one in environments[-1].interfaces.values()
        ):
            continue  # AWS deletes no group that is in use
        if isinstance(change, ModifyRule) and not keeps_kind(environments[-1], change):
            continue
        known = recorded(environments[-1], change, rng)
        if isinstance(known, Revoke):
            gone = revoked_rules(environments[-1], change)
            known = msgspec.structs.replace(known, direction=gone[0].direction if gone else Direction.INGRESS)
            event = f"RevokeSecurityGroup{'Egress' if known.direction else 'Ingress'} e-{len(changes)}"
        else:
            event = f"{type(change).__name__} e-{len(changes)}"
        changes.append(at(known, len(changes) + 1, event))
        environments.append(after)
    return environments, ChangeSet(tuple(changes), accepted=True)


def taken_for_another(true: Environment, told: Environment, packet: Packet, direction: Direction) -> bool:
    """Whether the other end is an interface that is deleted later, in a place that does not show that.

    Its address is in the shared range (100.64.0.0/10), which may be private only if its VPC is described (§9.5);
    another VPC's interface has it, too; or it has groups of other VPCs, as none in AWS.
    """
    remote = packet.source if direction is Direction.INGRESS else packet.destination
    lost = [true.interfaces[name] for name in true.interfaces.keys() - told.interfaces.keys()]
    lost = [card for card in lost if holds(card, remote)]
    if not lost:
        return False
    homes = [true.groups[name].vpc_id for card in lost for name in card.group_ids if name in true.groups]
    if any(home not in (None, card.vpc_id) for card in lost for home in homes):
        return True
    return remote.value >> 22 == SHARED or any(holds(one, remote) for one in told.interfaces.values())


def holds(card: NetworkInterface, address: Address) -> bool:
    return address in card.addresses or any(cidr.contains(address) for cidr in card.prefixes)


@laws
@given(seeds)
def test_the_past_is_never_told_wrong(seed: int) -> None:
    """What the rules say under a version is what they said under the environment of that time, or UNKNOWN."""
    environments, changes = random_past(seed, 12)
    semantics, known = Semantics(), 0
    history = History.of(environments[-1], changes)
    assert history.present == len(history.versions) - 1 == 12
    for version, true in zip(history.versions, environments, strict=True):
        for packet, end, direction in random_rows(true, seed, 25):
            if not isinstance(end, str) or end not in version.environment.interfaces:
                continue
            if taken_for_another(true, version.environment, packet, direction):
                continue
            told = judge(version.environment, semantics, end, direction, packet)
            if told.action is not Verdict.UNKNOWN:
                expected = judge(true, semantics, end, direction, packet)
                assert told.action is expected.action, (version.number, packet, end, direction, told, expected)
                known += 1
    assert known or not history.versions[0].environment.interfaces


@laws
@given(seeds)
def test_forward_only_is_apply(seed: int) -> None:
    """With the environment of before all changes, each version is what `apply` makes of the one before."""
    environments, changes = random_past(seed, 8)
    history = History.of(environments[0], changes, BEGIN)
    assert [version.environment for version in history.versions] == environments
    assert history.present == 0 and history.unresolved == ()


@laws
@given(seeds)
def test_what_the_recording_tells_is_known(seed: int) -> None:
    """Groups, rules and lists that were only authorized and revoked with their contents come back as they were."""
    rng = Random(seed)
    environments, changes = [distinct(seed)], []
    while len(changes) < 8:
        change = random_change(environments[-1], rng)
        if not isinstance(change, Authorize | Revoke | CreateGroup | AddInterface):
            continue
        try:
            after = apply(environments[-1], trail(change))
        except ChangeError:
            continue
        rules = revoked_rules(environments[-1], change) if isinstance(change, Revoke) else ()
        known = Revoke(change.group_id, rules=rules) if isinstance(change, Revoke) else recorded(after, change, rng)
        changes.append(at(known, len(changes)))
        environments.append(after)
    history = History.of(environments[-1], trail(*changes))
    assert [version.environment for version in history.versions] == environments
    assert history.unresolved == ()


def test_between_past_and_future() -> None:
    """A change at the very moment of the environment is part of it; equal moments are one version."""
    new = rule("in tcp 22 192.0.2.0/24", "sg-web", "sgr-new")
    before = account()
    after = apply(before, Authorize("sg-web", (new,)))
    changes = trail(
        at(Authorize("sg-web", (new,)), 5), at(DeleteGroup("sg-idle"), 6), at(SetGroups("eni-db", ("sg-db",)), 6)
    )
    history = History.of(after, changes, BEGIN + timedelta(minutes=5))
    assert [version.number for version in history.versions] == [0, 1, 2] and history.present == 1
    assert history.versions[0].environment == before and history.versions[1].environment is after
    assert history.versions[2].environment.interfaces["eni-db"].group_ids == ("sg-db",)
    assert [len(version.changes) for version in history.versions] == [0, 1, 2]


def answer(environment: Environment, text_port: int, source: str, end: str = "eni-web") -> Verdict:
    from sgsim.model import TCP, parse_address

    packet = Packet(4, parse_address(source).value, parse_address("10.0.0.9").value, TCP, 40000, text_port, tcp_flags=2)
    return judge(environment, Semantics(), end, Direction.INGRESS, packet).action


def test_what_a_rule_was_before_it_was_modified() -> None:
    """Not known, of the same family; what other rules accept is accepted all the same."""
    today = account()
    modified = at(ModifyRule("sg-web", "sgr-web1", today.groups["sg-web"].rules[1]), 5, "ModifySecurityGroupRules e-1")
    history = History.of(today, trail(modified))
    past = history.versions[0].environment
    assert answer(past, 443, "192.0.2.1") is Verdict.ACCEPT
    assert answer(past, 22, "192.0.2.1") is Verdict.UNKNOWN and answer(today, 22, "192.0.2.1") is Verdict.REJECT
    (line,) = history.unresolved
    assert line.startswith("what sgr-web1 of sg-web allowed before 2026-03-02 09:05:00 UTC is not known: ")
    assert line.endswith("ModifySecurityGroupRules e-1 does not tell")
    made = at(Authorize("sg-web", (rule("in tcp 25 10.0.0.0/8", "sg-web", "sgr-web1"),)), 2)
    history = History.of(today, trail(made, modified))
    assert history.unresolved == ()
    first, between, _ = (version.environment for version in history.versions)
    assert [one.rule_id for one in first.groups["sg-web"].rules] == ["sgr-web0", "sgr-web2"]
    assert answer(between, 25, "10.1.1.1") is Verdict.ACCEPT and answer(between, 22, "192.0.2.1") is Verdict.REJECT


def test_descriptions_decide_nothing() -> None:
    history = History.of(account(), trail(at(DescribeRule("sg-web", "new", "sgr-web0"), 5, "Update… e-1")))
    assert history.versions[0].environment == account()
    assert history.unresolved[0].startswith("the description of sgr-web0 of sg-web before")


def test_deleted_things() -> None:
    """A group that is deleted later may have allowed anything to who carried it; an interface is a stranger."""
    changes = trail(
        at(SetGroups("eni-web", ("sg-web",)), 3), at(DeleteGroup("sg-old"), 4), at(RemoveInterface("eni-old"), 5)
    )
    history = History.of(account(), changes)
    first = history.versions[0].environment
    assert any(map(is_stand_in, first.interfaces["eni-web"].group_ids)) and first.closed == frozenset()
    assert answer(first, 443, "192.0.2.1") is Verdict.UNKNOWN
    assert answer(history.versions[1].environment, 443, "192.0.2.1") is Verdict.ACCEPT
    assert len(history.unresolved) == 3
    card, made = interface("eni-old", "sg-old"), group("sg-old", "in tcp 22 0.0.0.0/0")
    changes = trail(
        at(CreateGroup(made), 1),
        at(AddInterface(card), 2),
        at(RemoveInterface("eni-old"), 3),
        at(DeleteGroup("sg-old"), 4),
    )
    history = History.of(account(), changes)
    assert history.unresolved == () and history.versions[0].environment == account()
    assert history.versions[2].environment.interfaces["eni-old"] == card
    assert history.told.groups["sg-old"] == made and "eni-old" in history.told.interfaces


MISFITS = [
    (Authorize("sg-web", (rule("in tcp 1 10.0.0.0/8", "sg-web", "sgr-gone"),)), "sgr-gone is not in sg-web"),
    (Authorize("sg-web", (rule("in tcp 1 10.0.0.0/8", "sg-web"),)), "is not in sg-web"),
    (Authorize("sg-web", (rule("in tcp 1 10.0.0.0/8", "sg-web", "sgr-web0"),)), "another one"),
    (Authorize("sg-never", (rule("in tcp 1 10.0.0.0/8"),)), "sg-never is not in the environment"),
    (Revoke("sg-web", ("sgr-web0",)), "sgr-web0 is still in sg-web"),
    (Revoke("sg-web", (), (rule("in tcp 443 0.0.0.0/0", "sg-web"),)), "sgr-web0 is still in sg-web"),
    (ModifyRule("sg-web", "sgr-no", rule("in tcp 443 0.0.0.0/0", "sg-web")), "sgr-no is not in sg-web"),
    (ModifyRule("sg-web", "sgr-web0", rule("in tcp 1 0.0.0.0/0", "sg-web")), "sgr-web0 of sg-web is another one"),
    (CreateGroup(group("sg-never")), "sg-never is not in the environment"),
    (DeleteGroup("sg-web"), "sg-web is still in the environment"),
    (SetGroups("eni-web", ("sg-db",)), "eni-web has other groups"),
    (SetGroups("eni-never", ("sg-db",)), "eni-never is not in the environment"),
    (AddInterface(interface("eni-never")), "eni-never is not in the environment"),
    (RemoveInterface("eni-web"), "eni-web is still in the environment"),
    (SetEntries("pl-office", (parse_cidr("10.0.0.0/8"),)), "10.0.0.0/8 is not in pl-office"),
    (SetEntries("pl-office", (), (parse_cidr("192.0.2.0/24"),)), "192.0.2.0/24 is still in pl-office"),
]


@pytest.mark.parametrize(("change", "problem"), MISFITS, ids=range(len(MISFITS)))
def test_a_recording_that_does_not_fit(change: Change, problem: str) -> None:
    """One line: where the change stands, which event it is, what does not fit, what to look at."""
    with pytest.raises(ChangeInputError) as raised:
        History.of(account(), trail(at(change, 7)))
    text = str(raised.value)
    assert text.startswith(f"trail.json, Records[7]: {type(change).__name__} does not fit the environment: ")
    assert problem in text and "--env-time" in text


def test_changes_after_the_environment_must_be_possible() -> None:
    with pytest.raises(ChangeError, match=r"Records\[7\]: InvalidGroup.NotFound"):
        History.of(account(), trail(at(DeleteGroup("sg-never"), 7)), BEGIN)


def test_changes_without_time() -> None:
    with pytest.raises(ChangeInputError, match="tells no time; give CloudTrail"):
        History.of(account(), ChangeSet((DeleteGroup("sg-idle"),)))


def test_changes_of_users_make_no_version() -> None:
    """They decide no verdict."""
    assert len(History.of(account(), trail(at(DeleteUser("arn:aws:iam::111122223333:user/ann"), 3))).versions) == 1
