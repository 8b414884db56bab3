"""Paths, directories, globs, `-` and `s3://` → files in the order in which they are read."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sgsim.errors import TrafficInputError

__all__ = ["STDIN", "Source", "chunks", "expand"]

STDIN = "<stdin>"
_CHUNK = 1 << 18
_REMOTE_CHUNK = 8 << 20  # each read of an object is a request
_SUFFIXES = frozenset({".log", ".gz", ".parquet", ".txt", ".json", ".jsonl", ".dat", ""})
_STAMP = re.compile(r"_(\d{8}T\d{4})Z_")
_NO_LOG = "aws-logs-write-test"  # CloudWatch leaves this file where it exports to
_OURS = frozenset({"vpcflowlogs", "aws-service=vpcflowlogs"})
_GLOB = re.compile(r"[*?\[]")
_QUERY = re.compile(r"\?(?=(?:endpoint_override|scheme|region|anonymous|access_key|secret_key)=)")


@dataclass(frozen=True)
class Source:
    """One file: `name` for people, `size` in bytes if known; `filesystem` is pyarrow's, None for a local path."""

    name: str
    path: str
    size: int | None = None
    filesystem: Any = None

    def open(self) -> BinaryIO:
        """A readable, and but for standard input seekable, binary file; TrafficInputError if there is none."""
        try:
            if self.name == STDIN:
                return sys.stdin.buffer
            if self.filesystem is not None:
                return self.filesystem.open_input_file(self.path)  # type: ignore[no-any-return]
            return Path(self.path).open("rb", buffering=0)
        except OSError as error:
            raise unreadable(self.name, error) from error


def chunks(file: BinaryIO, source: Source) -> Iterator[bytes]:
    """The file in pieces of 256 KiB, an object in pieces of 8 MiB."""
    size = _CHUNK if source.filesystem is None else _REMOTE_CHUNK
    try:
        while chunk := file.read(size):
            yield bytes(chunk)
    except OSError as error:
        raise unreadable(source.name, error) from error


def unreadable(name: str, error: OSError) -> TrafficInputError:
    """The error for what the operating system or the object store refuses."""
    reason = error.strerror or str(error).splitlines()[0] if str(error) else type(error).__name__
    return TrafficInputError(f"cannot read it: {reason}", source=name, advice="check the path and the permissions")


def expand(paths: Sequence[str | os.PathLike[str]], notes: list[str]) -> list[Source]:
    """All files of the given paths, each once: paths in the given order, files below one by the time in their name.

    AWS puts the time of an interval into the name, so that files of several accounts and Regions that belong together
    follow each other. Below a directory, files of other AWS services and files that are no logs by their suffix are
    left out and noted.
    """
    sources: dict[str, Source] = {}
    for path in paths:
        text = os.fspath(path)
        for source in _expand_one(text, notes):
            sources.setdefault(source.path if source.filesystem is None else source.name, source)
    return list(sources.values())


def _expand_one(text: str, notes: list[str]) -> list[Source]:
    if text == "-":
        return [Source(STDIN, STDIN)]
    if text.startswith("s3://"):
        return _expand_s3(text, notes)
    try:
        path = Path(text)
        if path.is_dir():
            return _sorted(_listed(path, notes))
        if path.exists():
            return [_local(path)]
    except (OSError, ValueError) as error:
        raise TrafficInputError(f"cannot read it: {error}", source=text) from error
    if not _GLOB.search(text):
        raise TrafficInputError("no such file or directory", source=text, advice="check the path")
    matches = [Path(match) for match in glob.iglob(text, recursive=True)]  # noqa: PTH207 (pathlib has no absolute ones)
    found: dict[str, Source] = {}
    for match in matches:
        for source in _listed(match, notes) if match.is_dir() else [_local(match)]:
            found[source.path] = source
    if not found:
        raise TrafficInputError("the pattern matches no file", source=text, advice="check the pattern")
    return _sorted(list(found.values()))


def _local(path: Path) -> Source:
    return Source(str(path), str(path), path.stat().st_size if path.is_file() else None)


def _listed(directory: Path, notes: list[str]) -> list[Source]:
    """The flow-log files below a directory."""

    def refuse(error: OSError) -> None:
        raise unreadable(str(directory), error)

    found, left_out = [], 0
    for root, directories, names in os.walk(directory, onerror=refuse):
        directories[:] = [name for name in directories if not name.startswith(".")]
        for name in names:
            path = Path(root, name)
            if _is_log(path.parts):
                found.append(_local(path))
            else:
                left_out += 1
    if left_out:
        notes.append(f"{directory}: {left_out} files left out that are no flow logs by their name")
    if not found:
        raise TrafficInputError("no flow log in this directory", source=str(directory), advice="check the path")
    return found


def _is_log(parts: Sequence[str]) -> bool:
    name = parts[-1]
    if name.startswith((".", "_")) or name == _NO_LOG or os.path.splitext(name)[1].lower() not in _SUFFIXES:  # noqa: PTH122
        return False
    return "AWSLogs" not in parts or not _OURS.isdisjoint(parts)


def _sorted(sources: list[Source]) -> list[Source]:
    """By the time in AWS's file names, then by path; files without a time first."""

    def key(source: Source) -> tuple[str, str]:
        stamp = _STAMP.search(source.path.rsplit("/", 1)[-1])
        return (stamp[1] if stamp else "", source.path)

    return sorted(sources, key=key)


def _expand_s3(uri: str, notes: list[str]) -> list[Source]:
    """Files of an `s3://bucket/path`: one object, all below a prefix, or those that match a pattern.

    Credentials, Region and endpoint are found as Arrow's S3 file system does (environment, shared configuration,
    instance role; `?endpoint_override=…&scheme=…&region=…` in the URI).
    """
    from pyarrow import fs

    address, *queries = _QUERY.split(uri.removeprefix("s3://"), maxsplit=1)
    bucket, _, key = address.partition("/")
    pattern = f"{bucket}/{key}"
    fixed = _GLOB.split(pattern, maxsplit=1)[0]
    base = fixed if fixed == pattern else fixed.rsplit("/", 1)[0]
    try:
        filesystem, _ = fs.FileSystem.from_uri("?".join([f"s3://{bucket}", *queries]))
        info = filesystem.get_file_info(base.rstrip("/"))
        if info.type == fs.FileType.File:
            return [Source(uri, info.path, info.size, filesystem)]
        listing = filesystem.get_file_info(fs.FileSelector(base.rstrip("/"), recursive=True, allow_not_found=True))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrafficInputError(
            f"cannot list it: {reason}", source=uri, advice="check bucket, Region and rights"
        ) from error
    files = [entry for entry in listing if entry.type == fs.FileType.File]
    if base != pattern:
        matching = re.compile(glob_to_regex(pattern))
        chosen = [entry for entry in files if matching.fullmatch(entry.path)]
    else:
        chosen = [entry for entry in files if _is_log(entry.path.split("/"))]
        if len(chosen) < len(files):
            notes.append(f"{uri}: {len(files) - len(chosen)} files left out that are no flow logs by their name")
    if not chosen:
        raise TrafficInputError("no flow log there", source=uri, advice="check bucket and prefix")
    return _sorted([Source(f"s3://{entry.path}", entry.path, entry.size, filesystem) for entry in chosen])


def glob_to_regex(pattern: str) -> str:
    """A pattern with `*`, `?`, `[…]` (not across `/`) and `**` (across them) as a regular expression."""
    parts = re.split(r"(\*\*/?|\*|\?|\[[^\]/]+\])", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        known.get(part) or (part.replace("[!", "[^") if part[:1] == "[" else re.escape(part)) for part in parts
    )
