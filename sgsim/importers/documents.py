"""Finding the files of an environment and decoding them into listings.

A listing is what one describe call printed: its key, its items and where they stand. Nothing here knows what a group
or an interface means.
"""

from __future__ import annotations

import codecs
import gzip
import json
import os
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sgsim.errors import EnvironmentInputError
from sgsim.importers import aws_json
from sgsim.importers.directory_documents import directory_listings
from sgsim.importers.listing import Listing, Origin, convert_all, folder_of
from sgsim.importers.problems import EXPORT_AGAIN, BadFieldError, shown, wrong_type

__all__ = [
    "Listing",
    "Origin",
    "broken_json",
    "content_of",
    "convert_all",
    "find_files",
    "folder_of",
    "read_listings",
    "wrong_type",
]

_SUFFIXES = (".json", ".json.gz")
_LIST_ID = re.compile(r"(?<![0-9A-Za-z])pl-[0-9a-f]{8,17}(?![0-9A-Za-z])")
_NEWLINE = b"\n"


def find_files(paths: tuple[str | os.PathLike[str], ...]) -> tuple[list[Path], list[Path]]:
    """The files named by `paths`, and the *.json and *.json.gz below the directories among them, each file once.

    Raises EnvironmentInputError for a path that does not exist or a directory that cannot be listed.
    """
    named: list[Path] = []
    found: list[Path] = []
    for path in map(Path, paths):
        try:
            is_directory = stat.S_ISDIR(path.stat().st_mode)
            found_here = sorted(_walk(path)) if is_directory else []
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from None
        if is_directory and not found_here:
            raise EnvironmentInputError(
                "the directory holds no *.json file",
                source=_name(path),
                advice="put the output of 'aws ec2 describe-security-groups' and its like there",
            )
        named.extend([] if is_directory else [path])
        found.extend(found_here)
    seen: set[str] = set()
    return _first_only(named, seen), _first_only(found, seen)


def _walk(top: Path) -> Iterator[Path]:
    """Files below a directory; linked directories are followed once."""

    def fail(error: OSError) -> None:
        raise error

    visited: set[tuple[int, int]] = set()
    for directory, subdirectories, names in os.walk(top, onerror=fail, followlinks=True):
        status = Path(directory).stat()
        if (status.st_dev, status.st_ino) in visited:
            subdirectories.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        for name in names:
            path = Path(directory, name)
            # A dangling link counts as a file, so that it is reported and not passed over.
            if name.endswith(_SUFFIXES) and (path.is_symlink() or path.is_file()):
                yield path


def _first_only(files: list[Path], seen: set[str]) -> list[Path]:
    """The files without those that `seen` has already."""
    result = []
    for path in files:
        real = os.path.realpath(path)
        if real not in seen:
            seen.add(real)
            result.append(path)
    return result


def read_listings(path: Path, *, named: bool) -> list[Listing]:
    """The listings in one file; none if it is JSON of another kind, which is an error for a file that was `named`.

    Raises EnvironmentInputError for a file that cannot be read or is not what its keys promise.
    """
    source, data = _name(path), content_of(path)
    try:
        start = data.lstrip()[:1]
        if start == b"{":
            listings = _document(data, source, path, "")
        elif start == b"[":
            listings = _bare_list(data, source, path)
        else:
            msgspec.json.decode(data)  # a lone string or number is JSON, too, of another kind
            listings = []
    except BadFieldError as bad:
        raise bad.located(source) from None
    except msgspec.ValidationError as error:
        raise wrong_type(error).located(source) from None
    except RecursionError:
        raise EnvironmentInputError("JSON is nested too deeply", source=source, advice=EXPORT_AGAIN) from None
    except ValueError as error:
        raise broken_json(data, source, error) from None
    if named and not listings:
        raise EnvironmentInputError(
            "this is JSON, but none of the listings that sgsim knows",
            source=source,
            advice="give the output of 'aws ec2 describe-security-groups' or a directory of such files",
        )
    return listings


def _document(data: bytes | msgspec.Raw, source: str, path: Path, prefix: str) -> list[Listing]:
    document = msgspec.json.decode(data, type=aws_json.Document)
    incomplete = document.next_token not in (None, "")
    listings = [
        Listing(source, key, prefix + key, items, incomplete)
        for key, field in aws_json.LIST_KEYS.items()
        if (items := getattr(document, field)) is not msgspec.UNSET
    ]
    if document.sgsim_collection is not None:
        listings.append(
            Listing(source, aws_json.COLLECTION_KEY, prefix + aws_json.COLLECTION_KEY, (document.sgsim_collection,))
        )
    listings.extend(directory_listings(document, source, path, prefix, incomplete))
    if bytes(document.entries).startswith(b"["):
        list_id = document.prefix_list_id if isinstance(document.prefix_list_id, str) else _list_id(path)
        listings.extend(_entries(document.entries, source, prefix + "Entries", list_id, incomplete))
    if not prefix and not listings and bytes(document.data).startswith(b"{"):
        try:
            return _document(document.data, source, path, "data.")
        except msgspec.ValidationError as error:
            raise wrong_type(error).under("data") from None
    return listings


def _entries(
    raw: bytes | msgspec.Raw, source: str, label: str, list_id: str, incomplete: bool = False
) -> list[Listing]:
    """The entries of a prefix list. Without the list's id, other programs' `Entries` are let pass."""
    try:
        entries = msgspec.json.decode(raw, type=tuple[aws_json.PrefixListEntry, ...])
    except msgspec.ValidationError as error:
        if not list_id:
            return []
        raise wrong_type(error).under(label) from None
    return [Listing(source, "Entries", label, entries, incomplete, list_id)]


def _bare_list(data: bytes, source: str, path: Path) -> list[Listing]:
    items = msgspec.json.decode(data, type=tuple[msgspec.Raw, ...])
    first = msgspec.json.decode(items[0]) if items else None
    kind = aws_json.kind_of_item(frozenset(first)) if isinstance(first, dict) else None
    if kind is None:
        return []
    if kind == "Entries":
        return _entries(data, source, "", _list_id(path))
    if kind == "Instances":
        instances = msgspec.json.decode(data, type=tuple[aws_json.Instance, ...])
        return [Listing(source, "Reservations", "", tuple(aws_json.Reservation(None, (one,)) for one in instances))]
    try:
        document = msgspec.json.decode(b'{"%s":%s}' % (kind.encode(), data), type=aws_json.Document)
    except msgspec.ValidationError as error:
        bad = wrong_type(error)
        bad.path = bad.path.removeprefix(kind)
        raise bad from None
    return [Listing(source, kind, "", getattr(document, aws_json.LIST_KEYS[kind]))]


def _list_id(path: Path) -> str:
    """The prefix list's id in a file name: `pl-….json` whatever follows `pl-`, or a real id anywhere in the name."""
    stem = path.name.removesuffix(".gz").removesuffix(".json")
    if stem.startswith("pl-") and not any(character.isspace() for character in stem):
        return match.group() if (match := _LIST_ID.match(stem)) else stem
    return match.group() if (match := _LIST_ID.search(stem)) else ""


def content_of(path: Path) -> bytes:
    """The bytes of a file as UTF-8: unpacked, without byte-order mark (PowerShell's `>` writes UTF-16)."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise _unreadable(path, error) from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16").encode()
        except ValueError:
            raise EnvironmentInputError(
                "the text is not UTF-16, though it starts like it", source=_name(path), advice=EXPORT_AGAIN
            ) from None
    return data.removeprefix(codecs.BOM_UTF8)


def _name(path: Path) -> str:
    """The path as text that can always be printed."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _unreadable(path: Path, error: Exception) -> EnvironmentInputError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return EnvironmentInputError(
        f"cannot be read ({reason})", source=_name(path), advice="check the path, its permissions and its content"
    )


def broken_json(data: bytes, source: str, error: ValueError) -> EnvironmentInputError:
    """Where JSON stops being JSON. Python's own parser is slower, but knows what it misses and where."""
    if not data.strip():
        return EnvironmentInputError("the file is empty", source=source, advice=EXPORT_AGAIN)
    problem, place = f"this is not JSON ({error})", None
    if match := re.search(r" ?\(byte (\d+)\)", str(error)):
        problem, place = problem.replace(match[0], ""), int(match[1])
    try:
        json.loads(data, parse_constant=_no_constant)
    except json.JSONDecodeError as found:
        place = len(found.doc[: found.pos].encode("utf-8", "surrogatepass"))
        problem = f"this is not JSON ({found.msg})"
        if found.pos >= len(found.doc.rstrip()) or "Unterminated" in found.msg:
            problem = f"the document stops in the middle ({found.msg})"
    except UnicodeDecodeError as found:
        problem, place = f"the text is not UTF-8 ({found.reason})", found.start
    except (ValueError, RecursionError) as found:
        problem = f"this is not JSON ({found})"
    where = ""
    if place is not None:
        before = data[:place]
        where = f"line {before.count(_NEWLINE) + 1} byte {place - before.rfind(_NEWLINE)}"
    return EnvironmentInputError(problem, source=source, where=where, advice=EXPORT_AGAIN)


def _no_constant(name: str) -> None:
    raise ValueError(f"{shown(name)} is not a JSON number")
