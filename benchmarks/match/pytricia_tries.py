"""pytricia: the longest block around an address and those around it, then each one's services in turn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from benchmarks.contest import Bench, Call, Contender, Needs, UnavailableError
from benchmarks.match.cases import Case
from benchmarks.match.rules import Answers, Flows, Rules
from sgsim.model import Cidr, format_address

__all__ = ["CONTENDER", "pytricia_match", "pytricia_tree"]


def pytricia_tree(rules: Rules) -> Any:
    """A trie of blocks, each with its [(rule, (protocol, first, last))]."""
    try:
        from pytricia import PyTricia
    except ImportError as problem:
        raise UnavailableError("pytricia is not installed (PyPI: pytricia)") from problem
    tree = PyTricia(rules.bits)
    for number, (network, length, service) in enumerate(zip(rules.networks(), rules.length.tolist(), rules.services())):
        key = str(Cidr(rules.family, network, length))
        if not tree.has_key(key):
            tree[key] = []
        tree[key].append((number, service))
    return tree


def pytricia_match(flows: Flows, tree: Any, texts: list[str]) -> list[tuple[int, ...]]:
    """All rules that match each flow; `texts` are the remote addresses as text, made beforehand."""
    answers = []
    for text, port, protocol in zip(texts, flows.port.tolist(), flows.protocol.tolist()):
        found: list[int] = []
        key = tree.get_key(text)
        while key is not None:
            for number, (of_protocol, first, last) in tree[key]:
                if of_protocol < 0 or (of_protocol == protocol and first <= port <= last):
                    found.append(number)
            key = tree.parent(key)
        answers.append(tuple(sorted(found)))
    return answers


def _enter(case: Case, bench: Bench) -> Iterator[Call]:
    if case.rules is None:
        return
    begin = time.process_time()
    tree = pytricia_tree(case.rules)
    seconds = time.process_time() - begin
    n = min(len(case.table), bench.choose(5_000, 20_000))
    flows = Flows.of(case.block, n)
    texts = [format_address(case.rules.family, address) for address in flows.addresses()]
    yield Call(
        "pytricia",
        n,
        lambda: pytricia_match(flows, tree, texts),
        lambda: Answers(sets=pytricia_match(flows, tree, texts)),
        {"build_s": seconds},
    )


CONTENDER = Contender("pytricia", _enter, Needs(debian=("gcc", "libc6-dev"), pypi=("pytricia",)))
