"""Listings of principals, images and snapshots in one document; see `documents`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from sgsim.importers.directory_json import DIRECTORY_KEYS, SHAPES, DirectoryKeys
from sgsim.importers.listing import Listing
from sgsim.importers.problems import BadFieldError, wrong_type

__all__ = ["directory_listings", "without_id"]

#: What a call was asked about where its output does not say it: (the key beside, what it looks like in a file's name).
_ABOUT = {
    "PasswordPolicy": ("AccountId", re.compile(r"(?<![0-9])[0-9]{12}(?![0-9])")),
    "LaunchPermissions": ("ImageId", re.compile(r"ami-[0-9a-f]{8,17}")),
    "CreateVolumePermissions": ("SnapshotId", re.compile(r"snap-[0-9a-f]{8,17}")),
    "Targets": ("PolicyId", re.compile(r"(?<![0-9A-Za-z])p-[0-9A-Za-z_]{4,128}")),
    "OrganizationalUnits": ("ParentId", re.compile(r"(?<![0-9A-Za-z])(?:r-[0-9a-z]{4,32}|ou-[0-9a-z]+-[0-9a-z]+)")),
    "Accounts": ("ParentId", re.compile(r"(?<![0-9A-Za-z])(?:r-[0-9a-z]{4,32}|ou-[0-9a-z]+-[0-9a-z]+)")),
}
_ASKED = {
    "ImageId": "image_id",
    "SnapshotId": "snapshot_id",
    "PolicyId": "policy_id",
    "ParentId": "parent_id",
    "AccountId": "account_id",
}


def directory_listings(
    document: DirectoryKeys, source: str, path: Path, prefix: str, incomplete: bool
) -> list[Listing]:
    """What the document lists of principals, images and snapshots. Raises BadFieldError."""
    incomplete = incomplete or document.is_truncated is True
    listings = []
    for key, field in zip(DIRECTORY_KEYS, DirectoryKeys.__struct_fields__):
        raw: msgspec.Raw = getattr(document, field)
        if len(memoryview(raw)):
            items = _items(key, raw, prefix)
            if items is not None:
                about = _about(key, document, path)
                listings.append(Listing(source, key, prefix + key, items, incomplete, about))
    return listings


def _items(key: str, raw: msgspec.Raw, prefix: str) -> tuple[Any, ...] | None:
    """The items, None if they are another service's. A single object counts as a list of one."""
    shape, alone, marks = SHAPES[key]
    if not _meant(raw, alone, marks):
        return None
    try:
        if alone:
            return (msgspec.json.decode(raw, type=shape),)
        return msgspec.json.decode(raw, type=tuple[shape, ...])  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        raise wrong_type(error).under(prefix + key) from None


def _meant(raw: msgspec.Raw, alone: bool, marks: frozenset[str]) -> bool:
    """Whether the first item has the keys by which it is known."""
    if bytes(memoryview(raw)[:1]) != (b"{" if alone else b"["):
        return False
    if not marks:
        return True
    first: Any = raw
    if not alone:
        items = msgspec.json.decode(raw, type=tuple[msgspec.Raw, ...])
        if not items:
            return True
        first = items[0]
    found = msgspec.json.decode(first)
    return isinstance(found, dict) and marks <= found.keys()


def _about(key: str, document: DirectoryKeys, path: Path) -> str:
    """What the call was asked about: a key beside the listing, or an id in the file's name."""
    if key not in _ABOUT:
        return ""
    beside, pattern = _ABOUT[key]
    given = getattr(document, _ASKED[beside])
    if isinstance(given, str) and given:
        return given
    match = pattern.search(path.name)
    return match.group() if match else ""


def without_id(listing: Listing) -> BadFieldError:
    """The error for a listing whose subject is not told."""
    beside, _ = _ABOUT[listing.key]
    return BadFieldError(
        "", f"nothing tells which {beside} this is about", f'add "{beside}" to the document or name the file after it'
    )
