"""The pcapng file format: blocks in sections, each section with its byte order and its capture interfaces."""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt

from sgsim.errors import TrafficInputError
from sgsim.kernels import decode_codes as c
from sgsim.traffic.links import link_of
from sgsim.traffic.window import LONGEST_RECORD, RecordReader, Window

__all__ = ["PCAPNG_MAGIC", "PcapngReader"]

PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_TSRESOL, _TSOFFSET = 9, 14
_BILLION = 10**9
_PACKET_BLOCKS = (2, 3, 6)


class PcapngReader(RecordReader):
    """Walks a pcapng file. Raises TrafficInputError if its first block is no usable section header."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.interfaces = 0
        self._order = sys.byteorder
        self._room = np.zeros((16, c.DESCRIPTION_COLUMNS), np.int64)
        self._described = 0  #: interfaces of this section, the first rows of _room
        if (self.window.left < 12 and not self.window.fill(12)) or not self._section():
            problem = self.notes.pop() if self.notes else f"is a capture of {self.window.left} bytes"
            raise TrafficInputError(problem, source=self.stream.name, advice="capture again, or copy the file again")

    def walk(self, index: npt.NDArray[np.int64], room: int) -> int:
        from sgsim.kernels.pcap_walk import walk_pcapng

        state, window = self.state, self.window
        while not self.over:
            swapped, interfaces = int(self._order != sys.byteorder), self._room[: self._described]
            n = int(walk_pcapng(window.buffer, window.end, index, room, interfaces, swapped, LONGEST_RECORD, state))
            if n:
                return n
            status, needed = int(state[c.STATUS]), int(state[c.NEEDED])
            if status == c.SECTION:
                self._section()
            elif status == c.DESCRIPTION:
                self._describe()
            elif status == c.SKIP:
                if not window.skip(needed):
                    return self._ended("block")
            elif status == c.NEED_MORE:
                if not window.fill(needed):
                    return self._ended_in_block()
            else:
                self.cut.append(("damaged", "the block's length cannot be right"))
                block = f"a block after record {self.next_record - 1}"
                return self._stop(f"{block} has an impossible length: the rest of the file is not read")
        return 0

    def _number(self, data: bytes) -> int:
        return int.from_bytes(data, self._order)

    def _ended(self, what: str) -> int:
        return self._stop(f"the file ends inside a {what} after record {self.next_record - 1}" + self.reason)

    def _ended_in_block(self) -> int:
        left = self.window.left
        if left >= 4 and self._number(self.window.bytes(4)) in _PACKET_BLOCKS:
            return self._ended_in_record()
        return self._ended("block") if left else self._stop(self.stream.note)

    def _section(self) -> bool:
        """Take the section header at which the walk stands: its byte order holds for all that follows."""
        head = self.window.bytes(12)
        for order in ("little", "big"):
            if int.from_bytes(head[8:12], order) == _BYTE_ORDER_MAGIC:  # type: ignore[arg-type]
                break
        else:
            self._stop("a section header without byte-order magic: it and what follows cannot be read")
            return False
        self._order = order  # type: ignore[assignment]
        length = self._number(head[4:8])
        if length < 28 or length % 4 or length > LONGEST_RECORD:
            self._stop(f"a section header of {length} bytes: it and what follows cannot be read")
            return False
        while self.window.left < length:
            if not self.window.fill(length):
                self._ended("section header")
                return False
        block = self.window.bytes(length)
        if self._number(block[-4:]) != length or self._number(block[12:14]) != 1:
            version = f"{self._number(block[12:14])}.{self._number(block[14:16])}"
            self._stop(f"a section header of version {version} that cannot be understood: what follows is not read")
            return False
        self.state[c.AT] += length
        self._described = 0
        return True

    def _describe(self) -> None:
        """Take the interface description at which the walk stands; its block is whole."""
        length = self._number(self.window.bytes(8)[4:])
        block = self.window.bytes(length)
        row = np.zeros(c.DESCRIPTION_COLUMNS, np.int64)
        units, scale, offset = c.UNUSABLE, 1, 0
        if length >= 20:
            options = self._options(block[16:-4])
            units, scale = _resolution(options.get(_TSRESOL, b"\x06"))
            raw = options.get(_TSOFFSET, b"")
            offset = int.from_bytes(raw, self._order, signed=True) * _BILLION if len(raw) == 8 else 0
            if not -(2**62) < offset < 2**62:
                units = c.UNUSABLE
                offset = 0
            row[c.D_LINK] = link_of(self._number(block[8:10]))
            row[c.D_SNAPLEN] = self._number(block[12:16])
        self.foreign |= bool(row[c.D_LINK] < 0)
        row[c.D_UNITS], row[c.D_SCALE], row[c.D_OFFSET] = units, scale, offset
        row[c.D_NUMBER] = self.interfaces
        self.interfaces += 1
        if self._described == len(self._room):  # doubled, or a file of descriptions alone would take hours
            self._room = np.concatenate([self._room, np.zeros_like(self._room)])
        self._room[self._described] = row
        self._described += 1
        self.state[c.AT] += length

    def _options(self, data: bytes) -> dict[int, bytes]:
        """Options by code, the first of each; what does not fit is left out."""
        options: dict[int, bytes] = {}
        at = 0
        while at + 4 <= len(data):
            code, size = self._number(data[at : at + 2]), self._number(data[at + 2 : at + 4])
            if code == 0 or at + 4 + size > len(data):
                break
            options.setdefault(code, data[at + 4 : at + 4 + size])
            at += 4 + size + (-size % 4)
        return options


def _resolution(option: bytes) -> tuple[int, int]:
    """if_tsresol as (MULTIPLY | DIVIDE | BINARY | UNUSABLE, scale) towards nanoseconds."""
    if len(option) != 1:
        return c.UNUSABLE, 1
    exponent = option[0] & 0x7F
    if option[0] & 0x80:
        return (c.BINARY, exponent) if exponent <= 62 else (c.UNUSABLE, 1)
    if exponent <= 9:
        return c.MULTIPLY, 10 ** (9 - exponent)
    return (c.DIVIDE, 10 ** (exponent - 9)) if exponent <= 27 else (c.UNUSABLE, 1)
