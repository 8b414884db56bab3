"""Laws of reading: the order and the spelling of a description do not matter, nor which call it comes from."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from random import Random

import msgspec
from hypothesis import given, settings

from sgsim.importers import read_environment
from sgsim.model import Environment, SecurityGroup
from tests.importers.describe import describe
from tests.strategies import random_environment, seeds


def read_documents(documents: dict[str, dict]) -> Environment:
    with tempfile.TemporaryDirectory() as name:
        for stem, content in documents.items():
            Path(name, f"{stem}.json").write_text(json.dumps(content))
        return read_environment(name)


def contents(group: SecurityGroup) -> frozenset:
    """Rules without ids: what a rule is."""
    return frozenset((one.direction, one.protocol, one.ports, one.icmp, one.peer) for one in group.rules)


def nowhere(values: dict) -> dict:
    """The same things without the places where they were described."""
    return {key: msgspec.structs.replace(value, origin="") for key, value in values.items()}


def sample(seed: int) -> Environment:
    """A random environment in which no group has two rules with one content, as in AWS."""
    environment = random_environment(seed)
    groups = {}
    for group_id, group in environment.groups.items():
        unique = {(one.direction, one.service, str(one.peer)): one for one in group.rules}
        groups[group_id] = msgspec.structs.replace(group, rules=tuple(unique.values()), defined=True)
    return Environment(
        groups=groups,
        interfaces=environment.interfaces,
        prefix_lists=environment.prefix_lists,
        vpcs=environment.vpcs,
    )


@settings(max_examples=60, derandomize=True, deadline=None)
@given(seeds)
def test_what_is_described_is_read_back(seed: int) -> None:
    """Round trip of groups, rules with their ids, interfaces, prefix lists and VPCs."""
    expected = sample(seed)
    found = read_documents(describe(expected, Random(seed)))
    assert found.groups.keys() == expected.groups.keys()
    for group_id, group in expected.groups.items():
        twin = found.groups[group_id]
        assert {one.rule_id: one for one in twin.rules} == {one.rule_id: one for one in group.rules}
        assert (twin.name, twin.vpc_id, twin.defined) == (group.name, group.vpc_id, True)
    names = ("addresses", "prefixes", "public_addresses", "mac", "vpc_id", "subnet_id", "interface_type", "timeouts")
    for interface_id, interface in expected.interfaces.items():
        card = found.interfaces[interface_id]
        assert {name: getattr(card, name) for name in names} == {name: getattr(interface, name) for name in names}
        assert card.group_ids == interface.group_ids
    for list_id, prefix_list in expected.prefix_lists.items():
        entries = found.prefix_lists[list_id].entries
        assert (entries and set(entries)) == (prefix_list.entries and set(prefix_list.entries))
    assert {key: set(vpc.cidrs) for key, vpc in found.vpcs.items()} == {
        key: set(vpc.cidrs) for key, vpc in expected.vpcs.items()
    }
    assert all(found.vpcs[key].cidrs[0] == vpc.cidrs[0] for key, vpc in expected.vpcs.items())


@settings(max_examples=60, derandomize=True, deadline=None)
@given(seeds)
def test_order_and_spelling_do_not_matter(seed: int) -> None:
    """Two descriptions of one environment, shuffled and spelled differently, are one environment."""
    environment = sample(seed)
    first = read_documents(describe(environment, Random(seed)))
    second = read_documents(dict(reversed(describe(environment, Random(seed + 1)).items())))
    for name in ("groups", "interfaces", "prefix_lists", "vpcs"):
        assert nowhere(getattr(first, name)) == nowhere(getattr(second, name))
    assert first.closed == second.closed and set(first.warnings) == set(second.warnings)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(seeds)
def test_both_describe_shapes_tell_the_same_rules(seed: int) -> None:
    """describe-security-groups alone, describe-security-group-rules alone, and both: the same contents."""
    documents = describe(sample(seed), Random(seed))
    both = read_documents(documents).groups
    groups = read_documents({"groups": documents["groups"]}).groups
    assert {key: contents(one) for key, one in groups.items()} == {key: contents(one) for key, one in both.items()}
    assert all(rule.rule_id.startswith(f"{one.group_id}/") for one in groups.values() for rule in one.rules)
    if documents["rules"]["SecurityGroupRules"]:
        rules = read_documents({"rules": documents["rules"]}).groups
        assert {key: contents(one) for key, one in rules.items()} == {
            key: contents(one) for key, one in both.items() if one.rules
        }
        assert all(not one.defined for one in rules.values())


@settings(max_examples=30, derandomize=True, deadline=None)
@given(seeds)
def test_one_file_or_many(seed: int) -> None:
    """All listings in one document are the same environment as each in its own."""
    environment = sample(seed)
    documents = describe(environment, Random(seed))
    lists = {key: documents.pop(key) for key in list(documents) if key.startswith("pl-")}
    together = {key: value for document in documents.values() for key, value in document.items()}
    one, many = read_documents({"all": together, **lists}), read_documents({**documents, **lists})
    for name in ("groups", "interfaces", "prefix_lists", "vpcs"):
        left, right = nowhere(getattr(one, name)), nowhere(getattr(many, name))
        if name in ("groups", "interfaces", "vpcs"):  # a file of one account lends it to what tells none
            left, right = (
                {k: msgspec.structs.replace(v, account_id=None) for k, v in x.items()} for x in (left, right)
            )
        assert left == right
