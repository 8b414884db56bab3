"""Parts of files on their way from the readers to the parsers and back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sgsim.errors import TrafficInputError
from sgsim.kernels import flowlog_codes as codes
from sgsim.traffic.flowlogs.fields import LogFormat

__all__ = ["ParsedPiece", "Span", "TextPiece"]


@dataclass(frozen=True, slots=True)
class TextPiece:
    """Whole lines `text[:stop]` of the file `source`, to be read as `log_format` says until a header says otherwise.

    `unread` counts lines that are in no piece, by class. `first` marks the begin of a file.
    """

    source: int
    name: str
    text: bytes
    stop: int
    log_format: LogFormat
    first: bool
    bytes_read: int = 0
    unread: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """The rows of one piece in a batch: their line numbers count from the begin of the piece until corrected."""

    batch: int
    begin: int
    end: int


@dataclass(slots=True)
class ParsedPiece:
    """What became of a piece: `tallies` and `firsts` int64[CLASSES] are lines by class and the first line of each."""

    source: int
    log_format: LogFormat
    lines: int = 0
    tallies: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(codes.CLASSES, np.int64))
    firsts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(codes.CLASSES, np.int64))
    unusable: TrafficInputError | None = None
    spans: list[Span] = field(default_factory=list)
