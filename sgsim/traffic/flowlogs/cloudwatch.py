"""CloudWatch Logs JSON → text: the messages of log events, one line each.

Three shapes occur: what a subscription delivers (`logEvents`), what `aws logs filter-log-events` and
`get-log-events` print (`events`), and bare events, one per line or in a list. Documents may follow each other with
or without white space between them.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any

from sgsim.kernels import flowlog_codes as codes
from sgsim.traffic.flowlogs.blocks import BLOCK, SLACK, Block

__all__ = ["event_blocks", "is_json"]

_LIMIT_DOCUMENT = 256 << 20  #: characters of one JSON document
_FIRST_TRY = 1 << 20


def is_json(head: bytes) -> bool:
    """Whether a file that begins so is JSON: no flow-log line begins with a bracket."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def event_blocks(chunks: Iterator[bytes], notes: list[str]) -> Iterator[Block]:
    """The messages of all log events in order; a document that is broken or has no events counts as one line."""
    lines: list[str] = []
    unread: dict[int, int] = {}
    size = 0
    for document in _documents(chunks):
        messages = _messages(document) if document is not _BROKEN else None
        if messages is None:
            kind = codes.BROKEN_JSON if document is _BROKEN else codes.NO_EVENTS
            unread[kind] = unread.get(kind, 0) + 1
            continue
        for message in messages:
            line = message.rstrip("\r\n")
            lines.append(line)
            size += len(line) + 1
            if size >= BLOCK:
                yield _block(lines, unread)
                lines, unread, size = [], {}, 0
    if codes.BROKEN_JSON in unread:
        notes.append("the JSON is broken or cut off: the rest of the file was not read")
    if lines or unread:
        yield _block(lines, unread)


def _block(lines: list[str], unread: dict[int, int]) -> Block:
    text = "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
    return Block(text + SLACK, len(text), unread)


_BROKEN = object()


def _documents(chunks: Iterator[bytes]) -> Iterator[Any]:
    """The values of concatenated JSON; _BROKEN last if the rest cannot be understood.

    A value that does not parse yet is tried again when twice as much is there, so that effort stays linear.
    """
    decoder = json.JSONDecoder()
    decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
    text, wanted, ended = "", 0, False
    while True:
        while not ended and len(text) < max(wanted, 1):
            chunk = next(chunks, b"")
            ended = not chunk
            text += decode(chunk, ended)
        text = text.lstrip(", \t\r\n")
        if not text:
            if ended:
                return
            continue
        try:
            value, end = decoder.raw_decode(text)
        except (ValueError, RecursionError):
            if ended or len(text) > _LIMIT_DOCUMENT:
                yield _BROKEN
                return
            wanted = max(2 * len(text), _FIRST_TRY)
            continue
        yield value
        text, wanted = text[end:], 0


def _messages(document: Any) -> list[str] | None:
    """The messages of a document's log events, or None if it is not CloudWatch's."""
    if isinstance(document, dict):
        for key in ("logEvents", "events"):
            if isinstance(document.get(key), list):
                return _event_messages(document[key])
        return _event_messages([document])
    return _event_messages(document) if isinstance(document, list) else None


def _event_messages(events: list[Any]) -> list[str] | None:
    found = [event.get("message") if isinstance(event, dict) else None for event in events]
    messages = [message for message in found if isinstance(message, str)]
    return messages if len(messages) == len(events) else None
