"""Records as named columns: numbers stay numbers, text is made once per distinct value."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.flows import NO_INTERFACE
from sgsim.model import Environment
from sgsim.verdicts import MatchSets, Reason, Verdict, Verdicts

__all__ = ["BLOCK", "FIELDS", "Coded", "Column", "Names", "Numbers", "address_texts", "blocks"]

#: Records are turned into text this many at a time, so that memory does not follow the size of a batch.
BLOCK = 131_072

#: The fields of a record in order; docs/output.md says what they mean.
FIELDS = (
    "account_id", "vpc_id", "interface_id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets",
    "bytes", "start", "end", "action", "tcp_flags", "flow_direction", "icmp_type", "icmp_code", "fragment",
    "reason", "deciding_rule_id", "rule_ids", "possible_rule_ids", "initiating", "flow_id", "path_action",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Numbers:
    """n integers or booleans; `absent` is the value that stands for none."""

    values: npt.NDArray[Any]
    absent: int | None = None


@dataclass(frozen=True, slots=True)
class Coded:
    """n values, each `values[code]`: text, a tuple of texts, or None. `codes` is int32."""

    codes: npt.NDArray[np.int32]
    values: Sequence[Any]


Column = Numbers | Coded

_VERDICTS = tuple(verdict.name for verdict in Verdict)
_REASONS = tuple(reason.name for reason in Reason)
_DIRECTIONS = ("ingress", "egress", None)


class Names:
    """Names what a batch of Verdicts refers to by number; `columns` gives the fields of its records."""

    fields: tuple[str, ...] = FIELDS

    def __init__(self, environment: Environment, interface_ids: Sequence[str], rule_ids: Sequence[str]) -> None:
        known = [environment.interfaces.get(name) for name in interface_ids]
        # the last entry is for records without an interface: code -1
        self._interfaces = [*interface_ids, None]
        self._accounts = [*(interface and interface.account_id for interface in known), None]
        self._vpcs = [*(interface and interface.vpc_id for interface in known), None]
        self._rules = [*rule_ids, None]

    def blocks(self, batch: Any) -> Iterator[Any]:
        """A batch in pieces of at most BLOCK rows."""
        return blocks(batch)

    def verdicts_of(self, batch: Any) -> Verdicts:
        """The verdicts of a batch."""
        verdicts: Verdicts = batch
        return verdicts

    def columns(self, verdicts: Any) -> dict[str, Column]:
        """The columns of `fields`, in that order."""
        known = verdicts.interface >= 0
        interface = np.where(known, verdicts.interface, len(self._interfaces) - 1).astype(np.int32)
        nowhere = verdicts.interface == NO_INTERFACE
        direction = np.where(nowhere, 2, verdicts.direction).astype(np.int32)
        deciding = np.where(verdicts.deciding_rule < 0, len(self._rules) - 1, verdicts.deciding_rule).astype(np.int32)
        made: dict[str, Column] = {
            "account_id": Coded(interface, self._accounts),
            "vpc_id": Coded(interface, self._vpcs),
            "interface_id": Coded(interface, self._interfaces),
            "srcaddr": _addresses(verdicts.family, verdicts.src_hi, verdicts.src_lo),
            "dstaddr": _addresses(verdicts.family, verdicts.dst_hi, verdicts.dst_lo),
            "action": Coded(verdicts.action.astype(np.int32), _VERDICTS),
            "flow_direction": Coded(direction, _DIRECTIONS),
            "icmp_type": Numbers(verdicts.icmp_type, absent=-1),
            "icmp_code": Numbers(verdicts.icmp_code, absent=-1),
            "reason": Coded(verdicts.reason.astype(np.int32), _REASONS),
            "deciding_rule_id": Coded(deciding, self._rules),
            "rule_ids": self._sets(verdicts.sets, verdicts.match_set),
            "possible_rule_ids": self._sets(verdicts.sets, verdicts.possible_set),
            "path_action": Coded(verdicts.path_action.astype(np.int32), _VERDICTS),
        }
        return {name: made.get(name) or Numbers(getattr(verdicts, name)) for name in FIELDS}

    def _sets(self, sets: MatchSets, indexes: npt.NDArray[np.int32]) -> Coded:
        distinct, codes = np.unique(indexes, return_inverse=True)
        named = [tuple(sorted(str(self._rules[rule]) for rule in sets[index])) for index in distinct.tolist()]
        return Coded(codes.astype(np.int32), named)


def _addresses(family: npt.NDArray[np.uint8], hi: npt.NDArray[np.uint64], lo: npt.NDArray[np.uint64]) -> Coded:
    """Addresses as text; each distinct one is formatted once."""
    order = np.lexsort((lo, hi, family))
    family, hi, lo = family[order], hi[order], lo[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (family[1:] != family[:-1]) | (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])
    codes = np.empty(len(order), np.int32)
    codes[order] = np.cumsum(first, dtype=np.int32) - 1
    return Coded(codes, address_texts(family[first], hi[first], lo[first]))


def address_texts(family: npt.NDArray[np.uint8], hi: npt.NDArray[np.uint64], lo: npt.NDArray[np.uint64]) -> list[str]:
    """The canonical text of each address."""
    packed = np.stack([hi, lo], axis=1).astype(">u8").tobytes()
    return [
        socket.inet_ntop(socket.AF_INET, packed[at + 12 : at + 16])
        if version == 4
        else socket.inet_ntop(socket.AF_INET6, packed[at : at + 16])
        for version, at in zip(family.tolist(), range(0, len(packed), 16))
    ]


def blocks(verdicts: Verdicts) -> Iterator[Verdicts]:
    """The same records in pieces of at most BLOCK rows, which share memory with the whole."""
    for start in range(0, len(verdicts), BLOCK):
        yield verdicts.at(slice(start, start + BLOCK))
