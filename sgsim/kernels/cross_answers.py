"""Answers of the classes of `tables.cross`: found by their content, as the scan's are, so that no set is made twice."""

from __future__ import annotations

import numpy as np

from sgsim.kernels._jit import helper
from sgsim.kernels._memory import Number, get_i32, get_i64, get_u32, get_u64, put_i32
from sgsim.kernels.match_context import (
    CROSS_FIRST,
    CROSS_LAST,
    CROSS_ORDER,
    CROSS_RULE,
    LARGEST,
    MEMBERS,
    USED_MEMBERS,
)
from sgsim.kernels.match_store import EVERYONE, NO_ROOM, content_answer, has_room, is_before

__all__ = ["class_answer"]

_WORST = np.uint64(0xFFFFFFFFFFFFFFFF)
_PREFIX_SHIFT, _FOR_ALL = np.uint64(56), np.uint64(128)  # of a rule's order: a block of length 0


@helper
def class_answer(c: Number, nodes: Number, node: Number, service: Number) -> Number:
    """The rules of a class and of those above it that hold a service; NO_ROOM if the store must grow first."""
    if not has_room(c, get_i64(c, LARGEST)):
        return NO_ROOM
    rules, orders = get_i64(c, CROSS_RULE), get_i64(c, CROSS_ORDER)
    firsts, lasts = get_i64(c, CROSS_FIRST), get_i64(c, CROSS_LAST)
    members = get_i64(c, MEMBERS) + 4 * get_i64(c, USED_MEMBERS)
    size, best, deciding, flags = 0, _WORST, 0, 0
    while node >= 0:
        for i in range(get_i32(nodes, 3 * node + 1), get_i32(nodes, 3 * node + 2)):
            if get_u32(firsts, i) <= service and service <= get_u32(lasts, i):
                rule, order = get_i32(rules, i), get_u64(orders, i)
                insert(members, size, rule)
                size += 1
                if is_before(c, order, rule, best, deciding):
                    best, deciding = order, rule
                if order >> _PREFIX_SHIFT == _FOR_ALL:
                    flags = EVERYONE
        node = get_i32(nodes, 3 * node)
    return content_answer(c, size, best, deciding, flags)


@helper
def insert(members: Number, size: Number, rule: Number) -> None:
    """Put a rule where it belongs among ascending ones."""
    place = size
    while place > 0 and get_i32(members, place - 1) > rule:
        put_i32(members, place, get_i32(members, place - 1))
        place -= 1
    put_i32(members, place, rule)
