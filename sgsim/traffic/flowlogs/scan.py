"""Flow logs of any number of files → batches in order, with bounded memory and on all cores.

Each file has a reader that decompresses and cuts at line ends; a few files are read ahead. Blocks of text are parsed
by a pool of threads (kernels and decompression release the GIL) and handed out in the order of the files. A block is
parsed with the format that its file began with; should a header line further up have changed it, it is parsed again.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from sgsim.errors import TrafficInputError
from sgsim.kernels import flowlog_codes as codes
from sgsim.traffic.flowlogs.batch import FlowLogBatch, FlowLogCounts
from sgsim.traffic.flowlogs.blocks import BLOCK
from sgsim.traffic.flowlogs.fields import DEFAULT_FIELDS, OPTIONAL_FIELDS, LogFormat, parse_log_format
from sgsim.traffic.flowlogs.parquet import ParquetPiece, counted
from sgsim.traffic.flowlogs.pieces import ParsedPiece, TextPiece
from sgsim.traffic.flowlogs.read import pieces_of
from sgsim.traffic.flowlogs.rows import parse_rows
from sgsim.traffic.flowlogs.sources import Source, expand
from sgsim.traffic.flowlogs.text import parse_pieces

__all__ = ["FlowLogScan", "scan_flow_logs"]

T = TypeVar("T")
Piece = TextPiece | ParquetPiece
Parsed = tuple[list[FlowLogBatch], list[ParsedPiece]]

_FILES_AHEAD = 8


def scan_flow_logs(
    paths: Sequence[str | os.PathLike[str]],
    *,
    log_format: str | None = None,
    columns: Collection[str] | None = None,
    strict: bool = True,
    threads: int | None = None,
) -> FlowLogScan:
    """Read VPC flow logs: text, gzip, Parquet, CloudWatch JSON; files, directories, globs, `-`, `s3://…`.

    `log_format` names the fields of text without a header line, as AWS shows it (`${version} ${vpc-id} …`); without
    it such text is the default format. `columns` limits the optional fields (hyphenated) that are read. Unless
    `strict`, a file that cannot be read as a flow log (a needed field missing, a format that does not fit, another
    Parquet schema) is counted line by line as not usable instead of raising. Raises TrafficInputError.
    """
    unknown = sorted(set(columns or ()) - OPTIONAL_FIELDS)
    if unknown:
        raise TrafficInputError(f"no optional field is called {unknown[0]!r}", source="columns")
    given = parse_log_format(log_format, check=strict) if log_format is not None else None
    return FlowLogScan(paths, given, columns, strict, threads)


class FlowLogScan:
    """An iterable of FlowLogBatch in the order of the files (and of the lines of each).

    `counts` has one entry per file, complete once iteration ends; `notes` what concerns no single file. `bytes_read`
    of `bytes_total` (None if not known) are for a progress bar. Every iteration reads anew.
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        log_format: LogFormat | None,
        columns: Collection[str] | None,
        strict: bool,
        threads: int | None,
    ) -> None:
        self.notes: list[str] = []
        self._sources = expand(paths, self.notes)
        self._given = log_format or LogFormat(DEFAULT_FIELDS, "default")
        self._wanted = OPTIONAL_FIELDS if columns is None else frozenset(columns)
        self._strict = strict
        self._threads = threads or len(os.sched_getaffinity(0))
        sizes = [source.size for source in self._sources]
        self.bytes_total = None if None in sizes else sum(size or 0 for size in sizes)
        self.bytes_read = 0
        self.counts: list[FlowLogCounts] = []
        self._formats: dict[int, LogFormat] = {}

    def __iter__(self) -> Iterator[FlowLogBatch]:
        self.counts = [FlowLogCounts(source.name) for source in self._sources]
        self._formats, self.bytes_read = {}, 0
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="sgsim-flowlogs")
        try:
            yield from self._batches(pool)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _batches(self, pool: ThreadPoolExecutor) -> Iterator[FlowLogBatch]:
        running: deque[tuple[list[Piece], Future[Parsed]]] = deque()
        for work in _works(self._pieces(pool)):
            running.append((work, pool.submit(self._parse, work)))
            if len(running) > self._threads + 1:
                yield from self._accept(*running.popleft())
        while running:
            yield from self._accept(*running.popleft())

    def _pieces(self, pool: ThreadPoolExecutor) -> Iterator[Piece]:
        """The pieces of all files in order, those of the next few files being fetched meanwhile."""
        waiting = iter(enumerate(self._sources))
        ahead: deque[_Ahead[Piece]] = deque()

        def fetch_next() -> None:
            for index, source in waiting:
                ahead.append(_Ahead(self._read(index, source), pool))
                return

        for _ in range(_FILES_AHEAD):
            fetch_next()
        try:
            while ahead:
                yield from ahead[0]
                ahead.popleft()
                fetch_next()
        finally:
            for reader in ahead:
                reader.close()

    def _read(self, index: int, source: Source) -> Generator[Piece, None, None]:
        return pieces_of(source, index, self._given, self._wanted, self.counts[index].notes, strict=self._strict)

    def _parse(self, work: list[Piece]) -> Parsed:
        first = work[0]
        if isinstance(first, ParquetPiece):
            if first.table is None:
                return [], [counted(first)]
            return parse_rows(first.table, first.source, first.log_format, self._wanted)
        return parse_pieces(
            [piece for piece in work if isinstance(piece, TextPiece)], self._wanted, strict=self._strict
        )

    def _accept(self, work: list[Piece], future: Future[Parsed]) -> Iterator[FlowLogBatch]:
        """Count a work's lines, in order, and give out its batches."""
        first = work[0]
        batches, parsed = future.result()
        expected = self._formats.get(first.source)
        if isinstance(first, TextPiece) and not first.first and expected and expected != first.log_format:
            batches, parsed = self._parse([replace(first, log_format=expected), *work[1:]])
        for piece, result in zip(work, parsed, strict=True):
            self._count(piece, result, batches)
        yield from batches

    def _count(self, piece: Piece, result: ParsedPiece, batches: list[FlowLogBatch]) -> None:
        counts = self.counts[piece.source]
        for span in result.spans:
            batches[span.batch].line[span.begin : span.end] += counts.lines
        tallies = result.tallies.tolist()
        counts.ok += tallies[codes.OK]
        counts.nodata += tallies[codes.NODATA]
        counts.skipdata += tallies[codes.SKIPDATA]
        counts.transit_gateway += tallies[codes.TRANSIT_GATEWAY]
        counts.efa += tallies[codes.EFA]
        counts.incomplete += tallies[codes.INCOMPLETE]
        counts.blank += tallies[codes.BLANK]
        counts.header += tallies[codes.HEADER]
        for kind, cause in enumerate(codes.CAUSES, codes.MALFORMED):
            if tallies[kind]:
                counts.causes[cause] = counts.causes.get(cause, 0) + tallies[kind]
                counts.first_line.setdefault(cause, counts.lines + int(result.firsts[kind]))
        counts.lines += result.lines
        if result.unusable and str(result.unusable) not in counts.notes:
            counts.notes.append(str(result.unusable))
        self._formats[piece.source] = result.log_format
        self.bytes_read += piece.bytes_read
        if piece.first:
            self._check_fit(counts, result.log_format)

    def _check_fit(self, counts: FlowLogCounts, log_format: LogFormat) -> None:
        """A format that nobody named in the file and that fits no line of its begin is the wrong one."""
        causes = counts.causes.keys() - {_cause(codes.CUT_OFF)}
        if log_format.origin not in ("option", "default") or counts.fitting or not causes:
            return
        if causes <= {_cause(codes.NO_EVENTS), _cause(codes.BROKEN_JSON)}:
            problem, advice = "JSON, but not log events of CloudWatch Logs", "give the flow log itself"
        elif log_format.origin == "option":
            problem, advice = "no line has the fields of the given log format", "compare it with the flow log's own"
        else:
            problem = "no header line, and no line is a record of the default format"
            advice = "give the flow log's format (LogFormat of describe-flow-logs) as the log format"
        cause, line = next(iter(counts.first_line.items()))
        error = TrafficInputError(f"{problem} ({cause})", source=counts.source, where=f"line {line}", advice=advice)
        if self._strict:
            raise error
        counts.notes.append(str(error))


def _cause(kind: int) -> str:
    return codes.CAUSES[kind - codes.MALFORMED]


class _Ahead(Iterator[T]):
    """A generator whose next item is being made by the pool while the last one is used."""

    def __init__(self, items: Generator[T, None, None], pool: ThreadPoolExecutor) -> None:
        self._items, self._pool = items, pool
        self._next: Future[T | None] | None = pool.submit(next, items, None)

    def __next__(self) -> T:
        item = self._next.result() if self._next else None
        if item is None:
            self._next = None
            raise StopIteration
        self._next = self._pool.submit(next, self._items, None)
        return item

    def close(self) -> None:
        """Let go of the file."""
        if self._next is None or self._next.cancel() or self._next.done():
            self._items.close()


def _works(pieces: Iterator[Piece]) -> Iterator[list[Piece]]:
    """Consecutive pieces of text that together make about one block; rows of Parquet come in such portions."""
    work: list[Piece] = []
    size = 0
    for piece in pieces:
        alone = isinstance(piece, ParquetPiece)
        if work and (alone or size + piece.stop > BLOCK):
            yield work
            work, size = [], 0
        work.append(piece)
        size += piece.stop
        if alone or size >= BLOCK:
            yield work
            work, size = [], 0
    if work:
        yield work
