"""Other ways to find the rules that match a flow. Each takes columns and returns what the benchmark checks.

Flows are (src uint32, dstport uint16, protocol uint8) columns, rules as in `networks.Rules`.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from pytricia import PyTricia

from benchmarks.match.networks import Rules

Flows = tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint16], npt.NDArray[np.uint8]]


def holds(protocol: int, port: int, rule: tuple[int, int, int]) -> bool:
    """Whether a rule's (protocol, first, last) holds a service."""
    return rule[0] < 0 or (rule[0] == protocol and rule[1] <= port <= rule[2])


def ipaddress_loop(flows: Flows, rules: Rules) -> list[tuple[int, ...]]:
    """Every rule for every flow, with the standard library's addresses."""
    networks = [ip_network((network, length)) for network, length in zip(rules.network.tolist(), rules.length.tolist())]
    services = list(zip(rules.protocol.tolist(), rules.first.tolist(), rules.last.tolist()))
    answers = []
    for src, port, protocol in zip(*(column.tolist() for column in flows)):
        address = ip_address(src)
        answers.append(
            tuple(
                number
                for number, network in enumerate(networks)
                if holds(protocol, port, services[number]) and address in network
            )
        )
    return answers


def pytricia_tree(rules: Rules) -> Any:
    """A trie of blocks, each with its [(rule, (protocol, first, last))]."""
    tree = PyTricia(32)
    services = zip(rules.protocol.tolist(), rules.first.tolist(), rules.last.tolist())
    for number, (network, length, service) in enumerate(zip(rules.network.tolist(), rules.length.tolist(), services)):
        key = str(ip_network((network, length)))
        if not tree.has_key(key):
            tree[key] = []
        tree[key].append((number, service))
    return tree


def pytricia_match(flows: Flows, tree: Any, texts: list[str]) -> list[tuple[int, ...]]:
    """The longest block of each source and those around it; `texts` are the sources as text, made beforehand."""
    answers = []
    for text, port, protocol in zip(texts, flows[1].tolist(), flows[2].tolist()):
        found: list[int] = []
        key = tree.get_key(text)
        while key is not None:
            found.extend(number for number, service in tree[key] if holds(protocol, port, service))
            key = tree.parent(key)
        answers.append(tuple(sorted(found)))
    return answers


def numpy_broadcast(flows: Flows, rules: Rules, rows: int = 2048) -> npt.NDArray[np.int64]:
    """How many rules match each flow, a block of flows against all rules at once."""
    network, shift = rules.network.astype(np.uint32), (32 - rules.length).astype(np.uint64)
    counts = np.empty(len(flows[0]), np.int64)
    for start in range(0, len(counts), rows):
        src, port, protocol = (column[start : start + rows, None] for column in flows)
        near = (src ^ network).astype(np.uint64) >> shift == 0
        service = (rules.protocol < 0) | ((protocol == rules.protocol) & (rules.first <= port) & (port <= rules.last))
        counts[start : start + rows] = (near & service).sum(axis=1)
    return counts


@numba.njit(nogil=True)
def _linear(src, port, protocol, network, mask, of_protocol, first, last, out):  # type: ignore[no-untyped-def]
    for i in range(len(src)):
        found = 0
        for rule in range(len(network)):
            if (src[i] ^ network[rule]) & mask[rule] != 0:
                continue
            if of_protocol[rule] < 0 or (protocol[i] == of_protocol[rule] and first[rule] <= port[i] <= last[rule]):
                found = rule + 1
                break
        out[i] = found


def linear_columns(rules: Rules) -> tuple[npt.NDArray[Any], ...]:
    """Rules in the narrowest types."""
    return (
        rules.network.astype(np.uint32),
        (0xFFFFFFFF << (32 - rules.length) & 0xFFFFFFFF).astype(np.uint32),
        rules.protocol.astype(np.int16),
        rules.first.astype(np.uint16),
        rules.last.astype(np.uint16),
    )


def numba_linear(flows: Flows, columns: tuple[npt.NDArray[Any], ...]) -> npt.NDArray[np.int32]:
    """The first rule that matches each flow, plus one; 0 for none."""
    out = np.empty(len(flows[0]), np.int32)
    _linear(*flows, *columns, out)
    return out
