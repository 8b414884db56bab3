"""Law: a snapshot that changes led to says of every row what a full compile says, and the plain-loop twin."""

from __future__ import annotations

import pickle
from dataclasses import replace
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from sgsim.compiler import growth, layout
from sgsim.compiler.ranks import Ranks
from sgsim.engine import Engine, Snapshot, evaluate
from sgsim.errors import ChangeError
from sgsim.model import Address, Environment, NetworkInterface, SecurityGroup
from sgsim.model.changes import (
    AddInterface,
    Authorize,
    Change,
    ChangeSet,
    CreateGroup,
    DeleteGroup,
    RemoveInterface,
    SetGroups,
)
from sgsim.reference import judge
from sgsim.verdicts import Reason, Verdict
from tests.changes.support import account, distinct, rule
from tests.changes.test_laws import random_change
from tests.engine.test_evaluate_twin import answer_of
from tests.strategies import flow_table, random_rows, random_semantics, seeds


def compare(snapshot: Snapshot, seed: int, n: int, *, scan_only: bool) -> None:
    """Rows at interfaces that exist with the twin; rows at one that is gone are UNKNOWN."""
    environment, ids = snapshot.environment, snapshot.tables.interface_ids
    rows = [row for row in random_rows(environment, seed=seed, n=n) if isinstance(row[1], str)]
    table = flow_table(rows, ids)
    verdicts = evaluate(snapshot, table, scan_only=scan_only)
    for row, (packet, end, direction) in enumerate(rows):
        expected = judge(environment, snapshot.semantics, str(end), direction, packet)
        assert answer_of(verdicts, row, snapshot.tables) == expected, f"seed {seed}, row {row}, {end} {packet}"
    assert len({verdicts.sets[number] for number in range(len(verdicts.sets))}) == len(verdicts.sets)
    gone = [number for number, name in enumerate(ids) if name not in environment.interfaces]
    if gone:
        for block in (table.v4, table.v6):
            block.interface[:] = gone[seed % len(gone)]
        there = evaluate(snapshot, table, scan_only=scan_only)
        assert (there.action == Verdict.UNKNOWN).all() and (there.reason == Reason.NO_INTERFACE).all()


def compare_finding(one: Snapshot, other: Snapshot) -> None:
    """Addresses and numbers lead to the same interfaces."""

    def named(snapshot: Snapshot, found: Any) -> list[str | int]:
        return [snapshot.tables.interface_ids[n] if n >= 0 else n for n in found.tolist()]

    interfaces = one.environment.interfaces.values()
    values = {(a.family, a.value + d) for i in interfaces for a in (*i.addresses, *i.public_addresses) for d in (0, 1)}
    values |= {(c.family, v) for i in interfaces for c in i.prefixes for v in (c.network, c.last, c.last + 1)}
    for family, highest in ((4, (1 << 32) - 1), (6, (1 << 128) - 1)):
        listed = sorted(value for each, value in values if each == family and value <= highest)
        hi = np.array([value >> 64 for value in listed], np.uint64)
        lo = np.array([value & (1 << 64) - 1 for value in listed], np.uint64)
        for vpc in (None, *one.environment.vpcs, "vpc-none"):
            for name in ("find_address", "find_public_address"):
                found = [named(each, getattr(each.tables, name)(family, hi, lo, vpc)) for each in (one, other)]
                assert found[0] == found[1], (family, vpc, name)
    macs = np.array(sorted({i.mac for i in interfaces if i.mac is not None}), np.uint64)
    assert named(one, one.tables.find_mac(macs)) == named(other, other.tables.find_mac(macs))
    vnis = np.array(sorted({each.vni for each in one.environment.mirror_sessions.values()}), np.int32)
    assert named(one, one.tables.find_vni(vnis)) == named(other, other.tables.find_vni(vnis))


def moving(first: Environment, now: Environment, rng: Random) -> tuple[Change, ...]:
    """What was comes back, elsewhere: interfaces with others' addresses and prefixes, groups that were deleted.

    Interfaces also carry groups that nobody described, more and more of them.
    """
    lost = [group for name, group in first.groups.items() if name not in now.groups]
    if lost and rng.random() < 0.5:
        return (CreateGroup(rng.choice(lost)),)
    known = sorted(first.interfaces)
    name = rng.choice(known) if known else "eni-new"
    leave = (RemoveInterface(name),) if name in now.interfaces else ()
    if leave and rng.random() < 0.5:
        return leave
    like = [first.interfaces[rng.choice(known)] for _ in range(4)] if known else [NetworkInterface("eni-new")] * 4
    groups = like[0].group_ids + ((f"sg-lost{rng.randrange(60)}",) if rng.random() < 0.3 else ())
    back = msgspec.structs.replace(
        first.interfaces.get(name, like[0]),
        addresses=like[0].addresses if rng.random() < 0.7 else first.interfaces.get(name, like[0]).addresses,
        prefixes=like[1].prefixes,
        public_addresses=like[2].public_addresses,
        vpc_id=like[3].vpc_id,
        mac=like[0].mac,
        group_ids=tuple(dict.fromkeys(groups)),
    )
    return (*leave, AddInterface(back))


def walk(seed: int, changes: int, rows: int) -> tuple[int, int]:
    """Changes of all kinds one after the other, everything compared after each; (changes made, full compiles)."""
    rng = Random(seed)
    snapshot = Snapshot.of(distinct(seed), random_semantics(seed))
    first, made, compiled = snapshot.environment, 0, 0
    while made < changes:
        now = snapshot.environment
        change = moving(first, now, rng) if rng.random() < 0.4 else (random_change(now, rng),)
        try:
            after = snapshot.apply(ChangeSet(change, accepted=True))
        except ChangeError:
            continue
        made += 1
        compiled += after.tables.growth is not snapshot.tables.growth
        compare(after, seed + made, rows, scan_only=rng.random() < 0.3)
        compare(snapshot, seed + made, rows // 4, scan_only=False)
        compare_finding(after, Snapshot.of(after.environment, after.semantics))
        snapshot = after
    return made, compiled


@settings(max_examples=25, derandomize=True, deadline=None)
@given(seeds)
def test_after_every_change(seed: int) -> None:
    walk(seed, 12, 40)


def test_hardly_anything_is_compiled_again() -> None:
    """Only what makes or ends an EC2-Classic group is."""
    made, compiled = (sum(each) for each in zip(*(walk(seed, 20, 4) for seed in range(10))))
    assert made == 200 and compiled < 20


@pytest.mark.parametrize(("page_rows", "cells"), [(2, 1 << 20), (2, 0), (0, 0), (5, 60)])
def test_tables_too_large_for_a_page(monkeypatch: pytest.MonkeyPatch, page_rows: int, cells: int) -> None:
    """Every layout: dense, with pages below regions, walked."""
    monkeypatch.setattr(layout, "PAGE_ROWS", page_rows)
    monkeypatch.setattr(layout, "GROUP_CELLS", {4: cells, 6: cells})
    for seed in range(3000, 3006):
        walk(seed, 8, 60)


def test_versions_branch() -> None:
    """Two changes of one version know nothing of each other, nor does the version of them; pickled ones go on too."""
    for seed in range(40, 48):
        rng, base = Random(seed), Snapshot.of(distinct(seed))
        first = base.environment
        ends = []
        for _ in range(3):
            end = base
            for _ in range(6):
                try:
                    end = end.apply(ChangeSet((random_change(end.environment, rng),), accepted=True))
                    end = end.apply(ChangeSet(moving(first, end.environment, rng), accepted=True))
                except ChangeError:
                    continue
            ends.append(end)
        ends += [pickle.loads(pickle.dumps(end)) for end in ends[:1]]
        ends.append(ends[-1].apply(ChangeSet((AddInterface(NetworkInterface("eni-last")),), accepted=True)))
        for end in (base, *ends):
            compare(end, seed, 60, scan_only=False)
            compare_finding(end, Snapshot.of(end.environment))


def test_answers_are_those_of_a_full_compile() -> None:
    """The same sets and the same deciding rules, by their ids, whatever the order in which rules came."""
    snapshot = Snapshot.of(account())
    texts = ("in tcp 443 10.0.0.0/8", "in tcp 443 10.0.0.0/9", "in tcp 400-500 10.0.0.0/8", "in all 10.0.0.0/8")
    for number, text in enumerate(texts):
        for name in ("b", "a", "aa"):
            new = rule(text, "sg-web", f"sgr-{name}{number}")
            group = snapshot.environment.groups["sg-web"]
            groups = {
                **snapshot.environment.groups,
                "sg-web": msgspec.structs.replace(group, rules=(*group.rules, new)),
            }
            environment = replace(snapshot.environment, groups=groups)
            change = ChangeSet((CreateGroup(environment.groups["sg-web"]),), accepted=True)
            emptied = snapshot.apply(ChangeSet((DeleteGroup("sg-web"),), accepted=True))
            snapshot = emptied.apply(change)
            compare(snapshot, number, 200, scan_only=False)
            compare(snapshot, number, 200, scan_only=True)


def test_a_failed_change_leaves_the_version() -> None:
    engine = Engine(Snapshot.of(account()))
    before = engine.snapshot
    good = AddInterface(NetworkInterface("eni-new", (Address(4, 0x0A000010),), ("sg-web",)))
    with pytest.raises(ChangeError):
        engine.apply(ChangeSet((good, SetGroups("eni-none", ("sg-web",))), accepted=True))
    assert engine.snapshot is before and "eni-new" not in before.environment.interfaces
    after = engine.apply(ChangeSet((good,), accepted=True))
    assert engine.snapshot is after and after.version == before.version + 1
    assert after.tables.growth is before.tables.growth


def test_what_is_left_behind_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once more than half is garbage everything is compiled, and numbers start anew."""
    monkeypatch.setattr(growth, "_NEGLIGIBLE", 0)
    snapshot = Snapshot.of(account())
    largest, compiles = 0, 0
    for number in range(60):
        after = snapshot.apply(ChangeSet((SetGroups("eni-web", (("sg-web",), ("sg-db",))[number % 2]),), accepted=True))
        compiles += after.tables.growth is not snapshot.tables.growth
        largest = max(largest, after.tables.nbytes)
        snapshot = after
        compare(snapshot, number, 20, scan_only=False)
    assert 0 < compiles < 30
    assert largest < 4 * Snapshot.of(account()).tables.nbytes


def test_ranks_that_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """When no number is left between two ids everything is compiled."""
    monkeypatch.setattr(Ranks, "add", lambda self, rule_id: None)
    before = Snapshot.of(account())
    after = before.apply(Authorize("sg-web", (rule("in tcp 22 10.0.0.0/8", "sg-web", "sgr-web00"),)))
    assert after.tables.growth is not before.tables.growth
    compare(after, 1, 100, scan_only=False)


def test_more_groups_and_interfaces_than_a_chunk() -> None:
    """Numbers beyond the chunks of the full compile, and interfaces that carry groups described later or never."""
    snapshot = Snapshot.of(account())
    for number in range(70):
        name = f"eni-{number:02d}"
        card = NetworkInterface(name, (Address(4, 0x0A000100 + number),), (f"sg-{number:02d}", "sg-db"), vpc_id="vpc-1")
        snapshot = snapshot.apply(ChangeSet((AddInterface(card),), accepted=True))
        if number > 40 and number % 3 == 0:
            wide = rule("in tcp 0-65535 0.0.0.0/0", f"sg-{number:02d}", f"sgr-{number:02d}")
            group = SecurityGroup(f"sg-{number:02d}", (wide,), vpc_id="vpc-1")
            snapshot = snapshot.apply(ChangeSet((CreateGroup(group),), accepted=True))
        if number % 10 == 9:
            compare(snapshot, number, 300, scan_only=False)
            compare(snapshot, number, 100, scan_only=True)
            compare_finding(snapshot, Snapshot.of(snapshot.environment))
