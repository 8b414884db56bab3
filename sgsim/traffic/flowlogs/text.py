"""Blocks of text → batches, by the kernel; header lines switch the format wherever they stand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

import numpy as np

from sgsim.errors import TrafficInputError
from sgsim.kernels import flowlog_codes as codes
from sgsim.traffic.flowlogs.batch import FlowLogBatch
from sgsim.traffic.flowlogs.builder import BatchBuilder
from sgsim.traffic.flowlogs.fields import LogFormat, header_fields
from sgsim.traffic.flowlogs.pieces import ParsedPiece, TextPiece

__all__ = ["parse_pieces"]

_LIMIT_REFUSED = 64  #: lines of one block that look like headers and are none; the block has no headers then


def parse_pieces(
    pieces: Sequence[TextPiece], wanted: Collection[str], *, strict: bool
) -> tuple[list[FlowLogBatch], list[ParsedPiece]]:
    """Read pieces in order into batches; a batch has one format.

    Raises TrafficInputError at a header that lacks what is needed, if `strict`; else counts its lines as unusable.
    """
    builder = BatchBuilder(wanted)
    parsed: list[ParsedPiece] = []
    for piece in pieces:
        following = bool(parsed) and parsed[-1].source == piece.source
        log_format = parsed[-1].log_format if following else piece.log_format
        parsed.append(_parse_piece(piece, log_format, builder, strict))
    builder.flush()
    return builder.batches, parsed


def _parse_piece(piece: TextPiece, log_format: LogFormat, builder: BatchBuilder, strict: bool) -> ParsedPiece:
    from sgsim.kernels.flowlog import parse_lines

    text = np.frombuffer(piece.text, np.uint8)
    result = ParsedPiece(piece.source, log_format)
    mode = _mode(piece, log_format, result, strict, line=0)
    builder.begin(piece.source, log_format, result)
    position, line, refused, refusals = 0, 0, codes.REFUSE_NONE, 0
    while True:
        run = partial(parse_lines, text, position, piece.stop, line)
        why, position, line, builder.row, builder.silence = run(
            builder.row, builder.silence, refused, mode, builder.roles, builder.columns, builder.names,
            result.tallies, result.firsts,
        )  # fmt: skip
        if why == codes.DONE:
            break
        if why == codes.FULL:
            builder.flush()
            builder.begin(piece.source, log_format, result)
            continue
        end = piece.text.index(b"\n", position)
        names = header_fields(piece.text[position:end])
        if names is None:
            refusals += 1
            refused = position if refusals < _LIMIT_REFUSED else codes.REFUSE_ALL
            continue
        position, line = end + 1, line + 1
        result.tallies[codes.HEADER] += 1
        if names != log_format.names or log_format.origin != "header":
            log_format = LogFormat(names, "header")
            mode = _mode(piece, log_format, result, strict, line)
            builder.begin(piece.source, log_format, result)
    builder.end()
    for kind, count in piece.unread.items():
        result.tallies[kind] += count
        result.firsts[kind] = line + 1
        line += count
    result.lines, result.log_format = line, log_format
    return result


def _mode(piece: TextPiece, log_format: LogFormat, result: ParsedPiece, strict: bool, line: int) -> int:
    """How lines of a format are read; notes or raises why they cannot be."""
    try:
        log_format.check(source=piece.name, where=f"line {line}" if line and piece.first else "header")
    except TrafficInputError as error:
        if strict:
            raise
        result.unusable = error
        return codes.MODE_UNUSABLE
    return codes.MODE_TRANSIT_GATEWAY if log_format.is_transit_gateway else codes.MODE_RECORDS
