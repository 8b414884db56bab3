"""py-radix: all blocks around an address, then each one's services in turn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from benchmarks.contest import Bench, Call, Contender, Needs, UnavailableError
from benchmarks.match.cases import Case
from benchmarks.match.rules import Answers, Flows, Rules
from sgsim.model import Cidr, format_address

__all__ = ["CONTENDER"]


def _tree(rules: Rules) -> Any:
    try:
        from radix import Radix
    except ImportError as problem:
        raise UnavailableError("py-radix is not installed (PyPI: py-radix)") from problem
    tree = Radix()
    for number, (network, length, service) in enumerate(zip(rules.networks(), rules.length.tolist(), rules.services())):
        node = tree.add(str(Cidr(rules.family, network, length)))
        node.data.setdefault("rules", []).append((number, service))
    return tree


def _match(flows: Flows, tree: Any, texts: list[str]) -> list[tuple[int, ...]]:
    answers = []
    for text, port, protocol in zip(texts, flows.port.tolist(), flows.protocol.tolist()):
        found: list[int] = []
        for node in tree.search_covering(text):
            for number, (of_protocol, first, last) in node.data["rules"]:
                if of_protocol < 0 or (of_protocol == protocol and first <= port <= last):
                    found.append(number)
        answers.append(tuple(sorted(found)))
    return answers


def _enter(case: Case, bench: Bench) -> Iterator[Call]:
    if case.rules is None:
        return
    begin = time.process_time()
    tree = _tree(case.rules)
    seconds = time.process_time() - begin
    n = min(len(case.table), bench.choose(5_000, 20_000))
    flows = Flows.of(case.block, n)
    texts = [format_address(case.rules.family, address) for address in flows.addresses()]
    yield Call(
        "py-radix",
        n,
        lambda: _match(flows, tree, texts),
        lambda: Answers(sets=_match(flows, tree, texts)),
        {"build_s": seconds},
    )


CONTENDER = Contender("py-radix", _enter, Needs(debian=("gcc", "libc6-dev"), pypi=("py-radix",)))
