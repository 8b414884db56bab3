"""Patterns of policies: `*`, `?` and policy variables, the values of variables always taken as plain text.

A pattern is cut at its `*` into segments, which are then sought from left to right: at most one pass over the text for
each, however many `*` there are. (A regular expression would do as well; one of each substituted pattern would have to
be compiled, 60 µs, and a value such as `sg-*` escaped.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import lru_cache

from sgsim.model.policy_values import variables

__all__ = ["Context", "Pattern", "compile_pattern"]


class _Wild(Enum):
    """What a pattern's special characters stand for."""

    MANY = "*"
    ONE = "?"


_WILD = {"*": _Wild.MANY, "?": _Wild.ONE}


class Context:
    """What a request knows while one decision is made: its keys in lower case, and which were sought in vain.

    `missing` holds keys as policies spell them.
    """

    __slots__ = ("keys", "missing")

    def __init__(self, keys: Mapping[str, tuple[str, ...]]) -> None:
        self.keys = keys
        self.missing: set[str] = set()


class _Variable:
    """A policy variable: the value of a key that has exactly one, or a default."""

    __slots__ = ("default", "key")

    def __init__(self, key: str, default: str | None) -> None:
        self.key, self.default = key, default

    def value(self, context: Context) -> str | None:
        values = context.keys.get(self.key.lower(), ())
        if len(values) == 1:
            return values[0]
        if self.default is None:
            context.missing.add(self.key)
        return self.default


_Token = str | _Wild | _Variable
#: Text between two `*`; with `?` in it, its characters one by one, "" for those that may be any.
_Segment = str | tuple[str, ...]
#: What lies between the `*` of one part; None for `*` alone, which is frequent and fits everything.
_Part = list[_Segment] | None


class Pattern:
    """One value of a policy, compared with values of requests.

    `colons` is the number of colons that part it (an ARN has five), each part being compared for itself.
    """

    __slots__ = ("_colons", "_parts", "_tokens")

    def __init__(self, tokens: tuple[_Token, ...], colons: int) -> None:
        self._tokens, self._colons = tokens, colons
        varies = any(isinstance(token, _Variable) for token in tokens)
        self._parts = None if varies else _parts(tokens, colons)

    def matches(self, text: str, context: Context) -> bool:
        """Whether the pattern fits the whole text; one with a variable that has no value fits none."""
        parts = self._parts
        if parts is None:
            tokens = self._substituted(context)
            if tokens is None:
                return False
            parts = _parts(tokens, self._colons)
        if not self._colons:
            return _fits(parts[0], text)
        texts = text.split(":", self._colons)
        return len(texts) == len(parts) and all(map(_fits, parts, texts))

    def text(self, context: Context) -> str | None:
        """The pattern with its variables' values, as plain text; None if one has no value."""
        tokens = self._substituted(context)
        if tokens is None:
            return None
        return "".join(token if isinstance(token, str) else token.value for token in tokens)

    def _substituted(self, context: Context) -> list[str | _Wild] | None:
        tokens: list[str | _Wild] = []
        complete = True
        for token in self._tokens:
            if isinstance(token, _Variable):
                value = token.value(context)
                if value is None:  # go on, so that all keys that are missing are named
                    complete = False
                elif value:
                    tokens.append(value)
            else:
                tokens.append(token)
        return tokens if complete else None


@lru_cache(maxsize=65536)
def compile_pattern(text: str, *, with_variables: bool, wildcards: bool = True, colons: int = 0) -> Pattern:
    """A pattern from a policy that was accepted; `with_variables` says that its version knows them."""
    tokens: list[_Token] = []
    for piece in (variables(text) if with_variables else None) or [text]:
        if isinstance(piece, re.Match):
            escape, key, default = piece.group("escape", "key", "default")
            tokens.append(escape or _Variable(key, default))
        elif wildcards:
            tokens += [_WILD.get(part, part) for part in re.split(r"([*?])", piece) if part]
        elif piece:
            tokens.append(piece)
    return Pattern(tuple(tokens), colons)


def _parts(tokens: Iterable[_Token], colons: int) -> list[_Part]:
    """The pattern's parts, each as its segments."""
    parts: list[list[_Token]] = [[]]
    for token in tokens:
        if isinstance(token, str) and len(parts) <= colons:
            first, *others = token.split(":", colons + 1 - len(parts))
            parts[-1] += [first] if first else []
            parts += [[one] if one else [] for one in others]
        else:
            parts[-1].append(token)
    return [None if part == [_Wild.MANY] else _segments(part) for part in parts]


def _segments(tokens: Iterable[_Token]) -> list[_Segment]:
    runs: list[list[_Token]] = [[]]
    for token in tokens:
        if token is _Wild.MANY:
            runs.append([])
        else:
            runs[-1].append(token)
    return [_segment(run) for run in runs]


def _segment(run: list[_Token]) -> _Segment:
    pieces = [piece if isinstance(piece, str) else "" for piece in run]
    if _Wild.ONE not in run:
        return "".join(pieces)
    return tuple(character for piece in pieces for character in (piece or ("",)))


def _fits(segments: _Part, text: str) -> bool:
    if segments is None:
        return True
    first, last = segments[0], segments[-1]
    if len(segments) == 1:
        return first == text if isinstance(first, str) else len(first) == len(text) and _at(first, text, 0)
    at, end = len(first), len(text) - len(last)
    if at > end or (first and not _at(first, text, 0)) or (last and not _at(last, text, end)):
        return False
    for segment in segments[1:-1]:
        at = _find(segment, text, at, end)
        if at < 0:
            return False
        at += len(segment)
    return True


def _at(segment: _Segment, text: str, at: int) -> bool:
    if isinstance(segment, str):
        return text.startswith(segment, at)
    return all(not one or one == text[at + i] for i, one in enumerate(segment))


def _find(segment: _Segment, text: str, start: int, end: int) -> int:
    """Where the segment first is in `text[start:end]`, -1 if nowhere."""
    if isinstance(segment, str):
        return text.find(segment, start, end)
    return next((at for at in range(start, end - len(segment) + 1) if _at(segment, text, at)), -1)
