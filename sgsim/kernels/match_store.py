"""Answers: sets of rules, each with the rule that decides, made once and found again by what led to them.

A key is exact, never a mere hash: a page with a mask of its rules, a part of a node's services, a rule that names a
group or prefix list, or two answers that are joined. The sources of one row are joined in a fixed order and share no
rules, so that different keys are different sets. Only where one node holds the same rules in several parts of
its services is an answer looked for by its content. Prefix lists alone give one set several answers: the rule that
decides depends on the entry that matched.

Arrays, by their names in `match_context`; answer 0 is the empty set:

    SLOTS    uint64 pairs: open addressing; (first word of the key << 32 | answer, second word), 0 for an empty slot
    INFO     int32[4] an answer: flags, deciding rule, size, unused
    ORDER    uint64: ranks the deciding rule (see `tables.columns`)
    OFFSETS  int64; the rules of answer i are MEMBERS[OFFSETS[i]:OFFSETS[i + 1]], int32, ascending
    CELLS    int32: answer + 1 of each dense cell, 0 where it is not known yet
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels._memory import (
    Number,
    address_of,
    get_i32,
    get_i64,
    get_u8,
    get_u32,
    get_u64,
    put_i32,
    put_i64,
    put_u64,
    trailing_zeros,
)
from sgsim.kernels.match_context import (
    INFO,
    MEMBERS,
    MOST_ANSWERS,
    MOST_MEMBERS,
    MOST_SLOTS,
    NODE_ROWS,
    NODES,
    OFFSETS,
    ORDER,
    PAGE_RULES,
    RANK,
    RULE,
    RULE_FIRST,
    RULE_LAST,
    RULE_LENGTH,
    RULE_ORDER,
    SLOTS,
    SUBJECT_ORDER,
    SUBJECT_RULE,
    USED_ANSWERS,
    USED_MEMBERS,
    USED_SLOTS,
)

__all__ = [
    "BY_LIST",
    "EVERYONE",
    "NO_ROOM",
    "OF_PAGE",
    "content_answer",
    "has_room",
    "is_before",
    "join",
    "join_by_content",
    "merge",
    "mix",
    "page_answer",
    "part_answer",
    "rehash",
    "subject_answer",
]

#: The first word of a key: its kind in two bits of 32, and its first part.
OF_PAGE, OF_PART, OF_JOIN, OF_CONTENT = 0, 1 << 30, 2 << 30, 3 << 30

EVERYONE, BY_LIST = 1, 2  #: flags of an answer: a rule for all addresses, or a prefix list, is in it
NO_ROOM = -1  #: instead of an answer: the store must grow first

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_WORST = np.uint64(0xFFFFFFFFFFFFFFFF)
_PAGE_ROWS = 64
_PREFIX_SHIFT, _FOR_ALL = np.uint64(56), np.uint64(128)  # of a rule's order: a block of length 0


@helper(inline=True)
def mix(first: Number, second: Number) -> Number:
    """A hash of two uint64."""
    code = first * np.uint64(0x9E3779B97F4A7C15) + second
    code = (code ^ (code >> _HALF)) * np.uint64(0xD6E8FEB86659FD93)
    return code ^ (code >> _HALF)


@helper(inline=True)
def find(c: Number, first: Number, second: Number) -> Number:
    """The answer of a key, 0 if it has none yet."""
    slots, mask = get_i64(c, SLOTS), np.uint64(get_i64(c, MOST_SLOTS) - 1)
    code = mix(first, second)
    while True:
        slot = np.int64(code & mask)
        word = get_u64(slots, 2 * slot)
        answer = np.int64(word & _LOW)
        if answer == 0 or (word >> _HALF == first and get_u64(slots, 2 * slot + 1) == second):
            return answer
        code += np.uint64(1)


@helper
def finish(
    c: Number, size: Number, order: Number, deciding: Number, flags: Number, first: Number, second: Number
) -> Number:
    """Number the answer whose members have been written behind the last one's, and give it to a key."""
    answer, members = get_i64(c, USED_ANSWERS), get_i64(c, USED_MEMBERS) + size
    info = get_i64(c, INFO)
    put_i32(info, 4 * answer, flags)
    put_i32(info, 4 * answer + 1, deciding)
    put_i32(info, 4 * answer + 2, size)
    put_u64(get_i64(c, ORDER), answer, order)
    put_i64(get_i64(c, OFFSETS), answer + 1, members)
    put_i64(c, USED_ANSWERS, answer + 1)
    put_i64(c, USED_MEMBERS, members)
    remember(c, first, second, answer)
    return answer


@helper
def remember(c: Number, first: Number, second: Number, answer: Number) -> None:
    """Give a new key its answer."""
    slots, mask = get_i64(c, SLOTS), np.uint64(get_i64(c, MOST_SLOTS) - 1)
    code = mix(first, second)
    while get_u64(slots, 2 * np.int64(code & mask)) & _LOW != 0:
        code += np.uint64(1)
    slot = np.int64(code & mask)
    put_u64(slots, 2 * slot, first << _HALF | np.uint64(answer))
    put_u64(slots, 2 * slot + 1, second)
    put_i64(c, USED_SLOTS, get_i64(c, USED_SLOTS) + 1)


@helper
def has_room(c: Number, members: Number) -> Number:
    """Whether one more answer of so many members, with two keys, fits; slots are kept at most half full."""
    return (
        get_i64(c, USED_ANSWERS) < get_i64(c, MOST_ANSWERS)
        and get_i64(c, USED_MEMBERS) + members <= get_i64(c, MOST_MEMBERS)
        and 2 * (get_i64(c, USED_SLOTS) + 2) <= get_i64(c, MOST_SLOTS)
    )


@helper(inline=True)
def is_before(c: Number, order: Number, rule: Number, best: Number, deciding: Number) -> Number:
    """Whether a rule decides rather than the best one so far: by their orders, then by the ranks of their ids."""
    if order != best:
        return order < best
    rank = get_i64(c, RANK)
    return get_i64(rank, rule) < get_i64(rank, deciding)


@helper
def page_answer(c: Number, page: Number, first_row: Number, mask: Number) -> Number:
    """The answer of the rules of a page that a mask names; made if they meet for the first time."""
    first = np.uint64(OF_PAGE | page)
    answer = find(c, first, mask)
    if answer != 0:
        return answer
    if not has_room(c, _PAGE_ROWS):
        return NO_ROOM
    rules, members, at = get_i64(c, PAGE_RULES) + 16 * first_row, get_i64(c, MEMBERS), get_i64(c, USED_MEMBERS)
    size, best, deciding, flags = 0, _WORST, 0, 0
    left = mask
    while left != np.uint64(0):
        row = trailing_zeros(left)
        order, rule = get_u64(rules, 2 * row), get_i32(rules, 4 * row + 2)
        put_i32(members, at + size, rule)
        size += 1
        if is_before(c, order, rule, best, deciding):
            best, deciding = order, rule
        if order >> _PREFIX_SHIFT == _FOR_ALL:
            flags = EVERYONE
        left &= left - np.uint64(1)
    return finish(c, size, best, deciding, flags, first, mask)


@helper
def join(c: Number, one: Number, other: Number) -> Number:
    """Two disjoint sets together; made if they meet for the first time."""
    if one == 0 or other == 0:
        return one + other
    first, second = np.uint64(OF_JOIN | one), np.uint64(other)
    answer = find(c, first, second)
    return answer if answer != 0 else new_join(c, one, other, first, second)


@helper
def new_join(c: Number, one: Number, other: Number, first: Number, second: Number) -> Number:
    """Merge two sets."""
    size = put_union(c, one, other)
    if size == NO_ROOM:
        return NO_ROOM
    better, flags = better_of(c, one, other), flags_of(c, one) | flags_of(c, other)
    deciding = get_i32(get_i64(c, INFO), 4 * better + 1)
    return finish(c, size, get_u64(get_i64(c, ORDER), better), deciding, flags, first, second)


@helper
def join_by_content(c: Number, one: Number, other: Number) -> Number:
    """As `join`, for two sets that are not empty, where other sources may have made the same set already."""
    first, second = np.uint64(OF_JOIN | one), np.uint64(other)
    answer = find(c, first, second)
    if answer != 0:
        return answer
    size = put_union(c, one, other)
    if size == NO_ROOM:
        return NO_ROOM
    better, flags = better_of(c, one, other), flags_of(c, one) | flags_of(c, other)
    deciding = get_i32(get_i64(c, INFO), 4 * better + 1)
    answer = content_answer(c, size, get_u64(get_i64(c, ORDER), better), deciding, flags)
    remember(c, first, second, answer)
    return answer


@helper
def better_of(c: Number, one: Number, other: Number) -> Number:
    """Which of two answers has the rule that decides."""
    order, info = get_i64(c, ORDER), get_i64(c, INFO)
    first, second = get_i32(info, 4 * one + 1), get_i32(info, 4 * other + 1)
    return other if is_before(c, get_u64(order, other), second, get_u64(order, one), first) else one


@helper
def flags_of(c: Number, answer: Number) -> Number:
    return get_i32(get_i64(c, INFO), 4 * answer)


@helper
def put_union(c: Number, one: Number, other: Number) -> Number:
    """Write the members of two disjoint sets behind the last member; returns how many they are."""
    offsets, members = get_i64(c, OFFSETS), get_i64(c, MEMBERS)
    i, end_i = get_i64(offsets, one), get_i64(offsets, one + 1)
    j, end_j = get_i64(offsets, other), get_i64(offsets, other + 1)
    size = end_i - i + end_j - j
    if not has_room(c, size):
        return NO_ROOM
    at = get_i64(c, USED_MEMBERS)
    for k in range(at, at + size):
        if j == end_j or (i < end_i and get_i32(members, i) < get_i32(members, j)):
            put_i32(members, k, get_i32(members, i))
            i += 1
        else:
            put_i32(members, k, get_i32(members, j))
            j += 1
    return size


@helper
def subject_answer(c: Number, row: Number, length: Number) -> Number:
    """The answer of one rule that names a group (length -1) or a prefix list (length of the matched entry)."""
    first, second = np.uint64(OF_PART | row), np.uint64(length + 2)
    answer = find(c, first, second)
    if answer != 0:
        return answer
    if not has_room(c, 1):
        return NO_ROOM
    rule = get_i32(get_i64(c, SUBJECT_RULE), row)
    put_i32(get_i64(c, MEMBERS), get_i64(c, USED_MEMBERS), rule)
    order, flags = get_u64(get_i64(c, SUBJECT_ORDER), row), 0
    if length >= 0:
        order |= np.uint64(128 - length) << np.uint64(56)
        flags = BY_LIST
    return finish(c, 1, order, rule, flags, first, second)


@helper
def part_answer(c: Number, node: Number, part: Number, service: Number) -> Number:
    """The answer of a node's own rules for one part of the services, some of which hold it."""
    first, second = np.uint64(OF_PART | part), np.uint64(0)
    answer = find(c, first, second)
    if answer != 0:
        return answer
    nodes, rows, rules = get_i64(c, NODES), get_i64(c, NODE_ROWS), get_i64(c, RULE)
    firsts, lasts, orders = get_i64(c, RULE_FIRST), get_i64(c, RULE_LAST), get_i64(c, RULE_ORDER)
    begin, end = get_i32(nodes, 8 * node + 4), get_i32(nodes, 8 * node + 5)
    if not has_room(c, end - begin):
        return NO_ROOM
    members, at = get_i64(c, MEMBERS), get_i64(c, USED_MEMBERS)
    size, best, deciding = 0, _WORST, 0
    for i in range(begin, end):
        row = get_i32(rows, i)
        if get_u32(firsts, row) <= service and service <= get_u32(lasts, row):
            rule, order = get_i32(rules, row), get_u64(orders, row)
            put_i32(members, at + size, rule)
            size += 1
            if is_before(c, order, rule, best, deciding):
                best, deciding = order, rule
    flags = EVERYONE if get_u8(get_i64(c, RULE_LENGTH), get_i32(rows, begin)) == 0 else 0
    answer = content_answer(c, size, best, deciding, flags)
    remember(c, first, second, answer)
    return answer


@helper
def content_answer(c: Number, size: Number, best: Number, deciding: Number, flags: Number) -> Number:
    """The answer, new or not, with the `size` rules that stand behind the last member; there must be room."""
    if size == 0:
        return 0
    members, at = get_i64(c, MEMBERS), get_i64(c, USED_MEMBERS)
    code = np.uint64(size)
    for i in range(size):
        code = mix(code, np.uint64(get_i32(members, at + i)))
    answer = find_content(c, code, size)
    return answer if answer != 0 else finish(c, size, best, deciding, flags, np.uint64(OF_CONTENT), code)


@helper
def find_content(c: Number, code: Number, size: Number) -> Number:
    """The answer with the `size` rules that stand behind the last member, 0 if there is none; `code` is their hash."""
    slots, mask = get_i64(c, SLOTS), np.uint64(get_i64(c, MOST_SLOTS) - 1)
    offsets, members, info = get_i64(c, OFFSETS), get_i64(c, MEMBERS), get_i64(c, INFO)
    at, first = get_i64(c, USED_MEMBERS), np.uint64(OF_CONTENT)
    place = mix(first, code)
    while True:
        slot = np.int64(place & mask)
        word = get_u64(slots, 2 * slot)
        answer = np.int64(word & _LOW)
        if answer == 0:
            return answer
        if word >> _HALF == first and get_u64(slots, 2 * slot + 1) == code and get_i32(info, 4 * answer + 2) == size:
            start, same = get_i64(offsets, answer), True
            for i in range(size):
                same &= get_i32(members, start + i) == get_i32(members, at + i)
            if same:
                return answer
        place += np.uint64(1)


@kernel
def merge(
    context: npt.NDArray[np.int64],
    start: int,
    offsets: npt.NDArray[np.int64],
    members: npt.NDArray[np.int32],
    numbers: npt.NDArray[np.int32],
) -> int:
    """Put foreign sets from `start` on into a store; `numbers[i]` is what set i becomes.

    Returns how far it came, short of the end if the store is full.
    """
    c = address_of(context)
    for number in range(start, len(offsets) - 1):
        first, size = offsets[number], offsets[number + 1] - offsets[number]
        if not has_room(c, size):
            return number
        at = get_i64(c, USED_MEMBERS)
        for i in range(size):
            put_i32(get_i64(c, MEMBERS), at + i, np.int64(members[first + i]))
        numbers[number] = content_answer(c, size, _WORST, -1, 0)
    return len(offsets) - 1


@kernel
def rehash(old: npt.NDArray[np.uint64], new: npt.NDArray[np.uint64]) -> None:
    """Move all keys to a larger, empty table."""
    mask = np.uint64((len(new) >> 1) - 1)
    for i in range(0, len(old), 2):
        if old[i] & _LOW != np.uint64(0):
            code = mix(old[i] >> _HALF, old[i + 1])
            while new[2 * np.int64(code & mask)] & _LOW != np.uint64(0):
                code += np.uint64(1)
            new[2 * np.int64(code & mask)] = old[i]
            new[2 * np.int64(code & mask) + 1] = old[i + 1]
