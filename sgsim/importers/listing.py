"""A listing: what one call printed, its key, its items and where they stand."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sgsim.importers.problems import BadFieldError

__all__ = ["Listing", "Origin", "convert_all", "folder_of"]


class Origin(NamedTuple):
    """Where a thing was described."""

    source: str
    where: str

    def __str__(self) -> str:
        return f"{self.source}: {self.where}"


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """Items of one kind from one file. `label` is the path of the list inside the file, empty for a bare list.

    `about` is the id that the call was asked about where its items do not say it: of a prefix list, an image …
    """

    source: str
    key: str
    label: str
    items: tuple[Any, ...]
    incomplete: bool = False
    about: str = ""

    @property
    def folder(self) -> str:
        """The directory of the file, which the notes of `sgsim collect` are about."""
        return folder_of(self.source)

    def origin(self, index: int) -> Origin:
        """Where the item with this index stands."""
        return Origin(self.source, f"{self.label}[{index}]")


def folder_of(source: str) -> str:
    """The directory part of a file's name as `Listing.source` has it."""
    return os.path.dirname(source)  # noqa: PTH120  a name for people, not a path to open


def convert_all(listing: Listing, convert: Callable[[Any, int], None]) -> None:
    """Call `convert(item, index)` for all items. A BadFieldError becomes an EnvironmentInputError with its place."""
    index = 0
    try:
        for index, item in enumerate(listing.items):
            convert(item, index)
    except BadFieldError as bad:
        raise bad.under(f"{listing.label}[{index}]").located(listing.source) from None
