"""A mapping with a few entries changed, which shares all others with its predecessor.

    base    {eni-1: a, eni-2: b, …, eni-1000000: z}     one dict, shared by every version
    patch   {eni-2: B, eni-3: GONE}                      copied by every change, so it is kept small

One change copies the patch, not the base: 1 µs for 256 entries, whatever the size of the base. A patch that outgrows
`1/1024` of the base (and 256 entries) is merged into a new base: 20 ms for a million entries, once in a thousand
changes. Persistent tries give an even cost, but every look-up of every reader would pay for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

__all__ = ["Overlay", "changed_keys"]

Value = TypeVar("Value")

#: What an index is made of: the keys under which a value is to be found.
KeysOf = Callable[[Any], Iterable[Any]]

_SMALL_PATCH, _FRACTION = 256, 1024


class _Gone:
    """Marks an entry that the patch removes; there is one, `_GONE`."""


_GONE = _Gone()


class _Base(Generic[Value]):
    """A dict that is never changed, and indexes over its values, each built when it is first asked for."""

    __slots__ = ("entries", "indexes")

    def __init__(self, entries: dict[str, Value], indexes: dict[KeysOf, dict[Any, list[str]]] | None = None) -> None:
        self.entries = entries
        self.indexes = {} if indexes is None else indexes

    def index(self, keys_of: KeysOf) -> dict[Any, list[str]]:
        """`{key: names of the entries whose values have it}`."""
        index = self.indexes.get(keys_of)
        if index is None:
            index = {}
            for name, value in self.entries.items():
                for key in keys_of(value):
                    index.setdefault(key, []).append(name)
            self.indexes[keys_of] = index  # complete before it is seen: two threads may both build it
        return index

    def merged(self, patch: dict[str, Value | _Gone]) -> _Base[Value]:
        """A new base with the patch in it; the indexes are corrected, not built again."""
        entries = self.entries.copy()
        for name, value in patch.items():
            if isinstance(value, _Gone):
                entries.pop(name, None)
            else:
                entries[name] = value
        return _Base(entries, {keys_of: self._corrected(keys_of, patch, entries) for keys_of in list(self.indexes)})

    def _corrected(
        self, keys_of: KeysOf, patch: dict[str, Value | _Gone], entries: dict[str, Value]
    ) -> dict[Any, list[str]]:
        index = dict(self.indexes[keys_of])
        touched: dict[Any, list[str]] = {}
        for name in patch:
            if name in self.entries:
                for key in keys_of(self.entries[name]):
                    touched.setdefault(key, [])
            if name in entries:
                for key in keys_of(entries[name]):
                    touched.setdefault(key, []).append(name)
        for key, added in touched.items():
            names = [name for name in index.get(key, ()) if name not in patch] + added
            if names:
                index[key] = names
            else:
                index.pop(key, None)
        return index


class Overlay(Mapping[str, Value]):
    """An immutable mapping to values that are never None; `changed` gives a new one.

    Order: as in the base, then what was added.

    Equal to any mapping with the same entries. Reading it is safe in any number of threads.
    """

    __slots__ = ("_base", "_length", "_patch")

    def __init__(self, entries: Mapping[str, Value]) -> None:
        self._base: _Base[Value] = _Base(entries if type(entries) is dict else dict(entries))
        self._patch: dict[str, Value | _Gone] = {}
        self._length = len(self._base.entries)

    @classmethod
    def of(cls, entries: Mapping[str, Value]) -> Overlay[Value]:
        """The mapping itself if it is an overlay, else one over it; a dict is shared and must not change any more."""
        return entries if isinstance(entries, Overlay) else cls(entries)

    def changed(self, put: Mapping[str, Value], remove: Iterable[str] = ()) -> Overlay[Value]:
        """The mapping with the entries of `put` set and those of `remove` gone."""
        patch, length, known = self._patch.copy(), self._length, self._base.entries
        for name in remove:
            old = patch.get(name)
            if name not in known:
                length -= patch.pop(name, None) is not None
            elif not isinstance(old, _Gone):
                patch[name] = _GONE
                length -= 1
        for name, value in put.items():
            old = patch.get(name)
            length += name not in known if old is None else isinstance(old, _Gone)
            patch[name] = value
        made: Overlay[Value] = Overlay.__new__(Overlay)
        made._base, made._patch, made._length = self._base, patch, length
        if len(patch) > _SMALL_PATCH and len(patch) * _FRACTION > len(known):
            made._base, made._patch = self._base.merged(patch), {}
        return made

    def having(self, keys_of: KeysOf, key: Any) -> Iterator[Value]:
        """The values with `key in keys_of(value)`.

        `keys_of` is a module's function: the index over it is built at the first question, for the base and all
        that come from it.
        """
        patch = self._patch
        for name in self._base.index(keys_of).get(key, ()):
            if name not in patch:
                yield self._base.entries[name]
        for value in patch.values():
            if not isinstance(value, _Gone) and key in keys_of(value):
                yield value

    def __getitem__(self, name: str) -> Value:
        value = self._patch.get(name)
        if value is None:
            return self._base.entries[name]
        if isinstance(value, _Gone):
            raise KeyError(name)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        value = self._patch.get(name)
        if value is None:
            return self._base.entries.get(name, default)
        return default if isinstance(value, _Gone) else value

    def __contains__(self, name: object) -> bool:
        value = self._patch.get(name)  # type: ignore[call-overload]
        return name in self._base.entries if value is None else not isinstance(value, _Gone)

    def __iter__(self) -> Iterator[str]:
        patch, known = self._patch, self._base.entries
        if not patch:
            yield from known
            return
        for name in known:
            if not isinstance(patch.get(name), _Gone):
                yield name
        for name, value in patch.items():
            if name not in known and not isinstance(value, _Gone):
                yield name

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"Overlay({dict(self)!r})"

    def __reduce__(self) -> tuple[type[Overlay[Value]], tuple[dict[str, Value]]]:
        return Overlay, (dict(self),)


def changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The keys under which the mappings differ, sorted; cheap where they share a base."""
    if before is after:
        return []
    if isinstance(before, Overlay) and isinstance(after, Overlay) and before._base is after._base:
        candidates: Iterable[str] = before._patch.keys() | after._patch.keys()
    else:
        candidates = before.keys() | after.keys()
    changed = []
    for name in candidates:
        old, new = before.get(name), after.get(name)
        if old is not new and old != new:
            changed.append(name)
    return sorted(changed)
