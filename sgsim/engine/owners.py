"""Who is at the other end of a large job's rows, where no more than an address has to be looked up."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from sgsim.flows import FlowBlock
from sgsim.tables import RuleTables
from sgsim.tables.lookup import AddressIndex

__all__ = ["set_plain_peers"]

_LEAST_ROWS = 10_000  #: fewer are not worth a kernel
_POINTS_A_ROW = 16  #: nor is a table of more addresses for each row


def set_plain_peers(tables: RuleTables, block: FlowBlock, peer: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Set PEER (see `match_context`) in an array that holds NOT_MEMBER; returns the rows that are not so plain.

    Plain is an address that one interface has, in the VPC of the row's own interface; or one that nobody has, where no
    reference can mean anyone unknown. Nothing is plain where addresses are delegated by prefixes or hidden behind a
    middlebox, and after interfaces have come or gone.
    """
    index = _plain_index(tables, block)
    if index is None:
        return np.arange(len(block))
    from sgsim.kernels.match_owners import find_owners

    words, bits = _words_of(index)
    carriers, rest = tables.interfaces, np.empty(len(block), np.int64)
    closed = not tables.references.open.any()
    columns = (block.interface, block.direction, block.srcaddr, block.dstaddr)
    left = find_owners(*columns, words, bits, carriers.chunks, carriers.vpc, closed, peer, rest)
    return rest[:left].copy()


def _plain_index(tables: RuleTables, block: FlowBlock) -> AddressIndex | None:
    layers = tables.family(block.family).addresses.layers
    index = layers[0].index
    few = len(block) < max(_LEAST_ROWS, len(index.points) // _POINTS_A_ROW)
    if few or block.family != 4 or len(layers) > 1 or layers[0].gone or len(index.starts):
        return None
    return None if len(tables.references.behind_middlebox[0].first) else index


def _words_of(index: AddressIndex) -> tuple[npt.NDArray[np.uint64], int]:
    """The table of an index (see `kernels.match_owners`) and the binary logarithm of its length."""
    if index not in _tables:
        from sgsim.kernels.match_owners import index_owners

        bits = max(6, len(index.points).bit_length() + 1)
        words = np.zeros(1 << bits, np.uint64)
        owners = index.point_owners
        addresses: Any = index.points[owners.keys.astype(np.int64)]
        index_owners(addresses, owners.owners, words, bits)
        _tables[index] = words, bits
    return _tables[index]


#: Tables by what they were made from; they go when it goes.
_tables: WeakKeyDictionary[AddressIndex, tuple[npt.NDArray[np.uint64], int]] = WeakKeyDictionary()
