"""What `match` works on: one int64 array of addresses and numbers, by name.

The kernel and its helpers share this instead of thirty arguments (see `_memory`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BLOCK", "PAIRS", "Context"]

#: Rows: addresses of the columns of a FlowBlock. `SRC`, `DST`: uint32 (IPv4) or two uint64. PEER int32, or 0 where no
#: rule asks: the known interface that has the remote address, -1 for one that no group reference matches, or -2 - k for
#: entry k of TRUTHS. INTERFACES and ROWS: how many there are, so that no row leads outside.
(
    FAMILY, SRC, DST, SRCPORT, DSTPORT, PROTOCOL, ICMP_TYPE, ICMP_CODE, LATER, INTERFACE, DIRECTION, ROW,
    PEER, INTERFACES, ROWS,
) = range(15)  # fmt: skip
#: Tables: see `tables.layout.Layout`, `tables.columns`, `tables.FamilyTables.records`. Remote
#: addresses whose membership takes more than one interface to tell: entry k has the references
#: TRUTH_REFERENCES[TRUTH_OFFSETS[k]:TRUTH_OFFSETS[k + 1]], int32, with TRUTHS uint8: 1 may match, 2 surely matches; all
#: others do not match.
(
    INTERFACE_CHUNKS, RECORDS, GROUPS, EXEMPT, UNTRACKED, TABLE_CHUNKS, DIRECTORY, REGIONS, NODES, LINES, COVERED,
    PAGE_RULES, NODE_ROWS, KEYS_HI, KEYS_LO, RULE_HI, RULE_LO, RULE_LENGTH, RULE_FIRST, RULE_LAST, RULE,
    RULE_ORDER, RANK, SUBJECT, SUBJECT_FIRST, SUBJECT_LAST, SUBJECT_RULE, SUBJECT_ORDER, LIST_BOUNDS, LIST_HI,
    LIST_LO, LIST_LENGTH, LIST_UNRESOLVED, TARGET, TRUTH_OFFSETS, TRUTH_REFERENCES, TRUTHS,
) = range(15, 52)  # fmt: skip
#: Exempt traffic: see `tables.exempt`.
(
    SPECIAL_HI, SPECIAL_LO, SPECIAL_LAST_HI, SPECIAL_LAST_LO, SPECIAL_KIND, SERVICES_USED, SERVICES_HI,
    SERVICES_LO, SERVICES_PROTOCOL, SERVICES_PORT, LINK_LOCAL, DHCP,
) = range(52, 64)  # fmt: skip
#: The store of answers (see `match_store`): arrays, how many are used, and how many fit. LARGEST: no row matches more
#: rules; MAYBES: scratch for so many, int32.
(
    SLOTS, INFO, ORDER, OFFSETS, MEMBERS, CELLS, USED_SLOTS, USED_ANSWERS, USED_MEMBERS, MOST_SLOTS,
    MOST_ANSWERS, MOST_MEMBERS, LARGEST, MAYBES,
) = range(64, 78)  # fmt: skip
#: Results by ROW; REST int64: positions of rows that only the scan can answer, REST_USED of them.
(
    ACTION, REASON, MATCH_SET, POSSIBLE_SET, DECIDING, UNTRACKED_OUT, REST, REST_USED, START, STOP,
) = range(78, 88)  # fmt: skip
#: Scratch, per row of the block: LOW uint32 (last 32 bits of the remote address), HI, LO uint64, SERVICE uint32,
#: STATE uint8, ANSWER int32, RECORD int32 (the slot of its interface's record). Lists, int32 each, with their lengths:
#: (row, table) pairs; pages, first by their place in the directory; nodes; subjects; WORD uint64 for masks. Tables are
#: named by their slots here. SAME_TABLE: the table of all pairs, -1 if they differ.
(
    LOW, HI, LO, SERVICE, STATE, ANSWER, RECORD, PAIR_ROW, PAIR_TABLE, PAGE_ROW, PAGE_AT, ADDRESS_AT,
    SERVICE_AT, NODE_ROW, NODE_TABLE, NODE, SUBJECT_ROW, SUBJECT_TABLE, WORD, PAIRS_USED, PAGES_USED,
    NODES_USED, SUBJECTS_USED, SAME_TABLE,
) = range(88, 112)  # fmt: skip
#: Tables for one interface: see `tables.cross` and `match_cross`; addresses, but for DEPTH, RANKS (how many `line_of`
#: has in each direction) and FOR_ALL.
(
    CROSS_KEYS, CROSS_KEY_COLUMNS, CROSS_SHAPE, CROSS_NODES, CROSS_LINE_NODES, CROSS_TREE, CROSS_DEPTH, CROSS_LINE_OF,
    CROSS_RANKS, CROSS_LINES, CROSS_RULE, CROSS_FIRST, CROSS_LAST, CROSS_ORDER, CROSS_FOR_ALL, CROSS_WIDE,
    CROSS_NARROW, CROSS_NUMBERS, CROSS_REMOTE, CROSS_SERVICE,
) = range(112, 132)  # fmt: skip

FIELDS = {name: value for name, value in globals().items() if name.isupper() and value.__class__ is int}

BLOCK = 512  #: rows that take each step together
PAIRS = 4096  #: (row, group) pairs of a block

_SCRATCH_SIZES = {
    **dict.fromkeys(("LOW", "SERVICE", "ANSWER", "RECORD"), (BLOCK, np.uint32)),
    **dict.fromkeys(("HI", "LO"), (BLOCK, np.uint64)),
    "STATE": (BLOCK, np.uint8),
    "WORD": (PAIRS, np.uint64),
}


def _scratch_places() -> npt.NDArray[np.int64]:
    """Where each scratch array begins, and where the last one ends, in bytes."""
    names = {index: name for name, index in FIELDS.items()}
    sizes = [_SCRATCH_SIZES.get(names[index], (PAIRS, np.int32)) for index in range(LOW, PAIRS_USED)]
    return np.cumsum([0, *(size * np.dtype(dtype).itemsize for size, dtype in sizes)])


_SCRATCH_PLACES = _scratch_places()


class Context:
    """The array, and whatever its addresses point into."""

    def __init__(self) -> None:
        self.numbers = np.zeros(len(FIELDS), np.int64)
        # One array for all scratch: asking numpy for an address takes longer than a row does.
        scratch = np.empty(_SCRATCH_PLACES[-1], np.uint8)
        self.numbers[LOW:PAIRS_USED] = scratch.ctypes.data + _SCRATCH_PLACES[:-1]
        self._kept: dict[str, npt.NDArray[Any]] = {"": scratch}

    def set(self, name: str, value: npt.NDArray[Any] | int) -> None:
        """Give a number or a C-contiguous array its place."""
        index = FIELDS[name]
        if isinstance(value, np.ndarray):
            assert value.flags.c_contiguous, name
            self._kept[name] = value
            self.numbers[index] = value.ctypes.data if value.size else 0
        else:
            self.numbers[index] = value

    def __getitem__(self, name: str) -> int:
        return int(self.numbers[FIELDS[name]])
