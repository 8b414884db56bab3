"""Stores of answers that grow, on the Python side of `kernels.match_store`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.compiler.pages import PAGE_ROWS
from sgsim.kernels.match_context import Context
from sgsim.kernels.match_store import BY_LIST, merge, rehash
from sgsim.verdicts import MatchSets

__all__ = ["Store"]

_FIRST_ANSWERS, _FIRST_MEMBERS, _FIRST_SLOTS = 1 << 12, 1 << 15, 1 << 14


class Store:
    """Arrays of one store; lent to a context, enlarged when a kernel says that they are full.

    `largest` is the size of the largest set, `cells` the number of dense cells. Numbers of sets stay what they are.
    """

    def __init__(self, largest: int, cells: int = 0) -> None:
        self._largest = max(PAGE_ROWS, largest)
        info = np.zeros((_FIRST_ANSWERS, 4), np.int32)
        info[0, 1] = -1
        self._arrays: dict[str, npt.NDArray[Any]] = {
            "SLOTS": np.zeros(2 * _FIRST_SLOTS, np.uint64),
            "INFO": info,
            "ORDER": np.zeros(_FIRST_ANSWERS, np.uint64),
            "OFFSETS": np.zeros(_FIRST_ANSWERS + 1, np.int64),
            "MEMBERS": np.empty(max(_FIRST_MEMBERS, self._largest), np.int32),
            "CELLS": np.zeros(cells, np.int32),
            "MAYBES": np.empty(self._largest, np.int32),
        }
        self._used = {"USED_ANSWERS": 1, "USED_MEMBERS": 0, "USED_SLOTS": 0}
        self.looked_up = False  #: whether sets were interned by what led to them
        self.scanned = False  #: whether sets were interned by their content alone

    def run(self, context: Context, work: Callable[[], bool]) -> None:
        """Lend the store to a context and call `work` until it says that it is done, with more room each time."""
        context.set("LARGEST", self._largest)
        for name, value in self._used.items():
            context.set(name, value)
        self._lend(context)
        while not work():
            self._note(context)
            self._grow()
            self._lend(context)
        self._note(context)

    @property
    def info(self) -> npt.NDArray[np.int32]:
        """INFO, flat; another array once the store has grown."""
        return self._arrays["INFO"].reshape(-1)

    def add(self, sets: MatchSets) -> npt.NDArray[np.int32]:
        """Intern foreign sets (which may hold equal ones) by content; returns the number of each here."""
        self._expect(int(np.diff(sets.offsets).max(initial=0)))
        numbers = np.zeros(len(sets), np.int32)
        context, done = Context(), 0

        def work() -> bool:
            nonlocal done
            done = merge(context.numbers, done, sets.offsets, sets.members, numbers)
            return done == len(sets)

        self.run(context, work)
        return numbers

    def match_sets(self) -> MatchSets:
        """The sets interned so far."""
        answers, members = self._used["USED_ANSWERS"], self._used["USED_MEMBERS"]
        return MatchSets(self._arrays["OFFSETS"][: answers + 1].copy(), self._arrays["MEMBERS"][:members].copy())

    @property
    def repeated(self) -> bool:
        """Whether some sets may be equal: prefix lists give one set several answers, a scan knows content alone."""
        lists = self._arrays["INFO"][: self._used["USED_ANSWERS"], 0] & BY_LIST
        return (self.looked_up and self.scanned) or bool(lists.any())

    def _expect(self, size: int) -> None:
        """Be ready for sets of that size, which may be larger than any rule table gives."""
        if size > self._largest:
            self._largest = size
            self._arrays["MAYBES"] = np.empty(size, np.int32)

    def _lend(self, context: Context) -> None:
        arrays = self._arrays
        for name, array in arrays.items():
            context.set(name, array)
        context.set("MOST_SLOTS", len(arrays["SLOTS"]) // 2)
        context.set("MOST_ANSWERS", len(arrays["INFO"]))
        context.set("MOST_MEMBERS", len(arrays["MEMBERS"]))

    def _note(self, context: Context) -> None:
        self._used = {name: context[name] for name in self._used}

    def _grow(self) -> None:
        """Four times the room wherever it is short, so that one more answer surely fits."""
        arrays, used = self._arrays, self._used
        if 2 * used["USED_ANSWERS"] >= len(arrays["INFO"]):
            capacity = 4 * len(arrays["INFO"])
            for name in ("INFO", "ORDER"):
                arrays[name] = _extended(arrays[name], capacity)
            arrays["OFFSETS"] = _extended(arrays["OFFSETS"], capacity + 1)
        if used["USED_MEMBERS"] + 2 * self._largest > len(arrays["MEMBERS"]):
            arrays["MEMBERS"] = _extended(arrays["MEMBERS"], 4 * len(arrays["MEMBERS"]) + 2 * self._largest)
        if 4 * (used["USED_SLOTS"] + 2) >= len(arrays["SLOTS"]) // 2:
            slots = np.zeros(4 * len(arrays["SLOTS"]), np.uint64)
            rehash(arrays["SLOTS"], slots)
            arrays["SLOTS"] = slots


def _extended(values: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    longer = np.zeros((length, *values.shape[1:]), values.dtype)
    longer[: len(values)] = values
    return longer
