"""The pcap file format: a header of 24 bytes, then records."""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt

from sgsim.errors import TrafficInputError
from sgsim.kernels import decode_codes as c
from sgsim.traffic.links import link_of
from sgsim.traffic.window import LONGEST_RECORD, USUAL_LIMIT, RecordReader, Window

__all__ = ["PCAP_MAGICS", "PcapReader"]

#: magic number as read in the file's own order -> (nanoseconds of a unit of the fraction, bytes of a record header)
_MAGICS = {
    0xA1B2C3D4: (1000, 16),
    0xA1B23C4D: (1, 16),
    0xA1B2CD34: (1000, 24),  # Kuznetzov's variant, old Red Hat and SuSE: interface, protocol and type follow
}
PCAP_MAGICS = {magic.to_bytes(4, order) for magic in _MAGICS for order in ("little", "big")}


class PcapReader(RecordReader):
    """Walks a pcap file whose magic number was recognised. Raises TrafficInputError if the header cannot be used."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        if self.window.left < 24 and not self.window.fill(24):
            raise TrafficInputError(
                f"is a capture of {self.window.left} bytes, less than its header of 24",
                source=self.stream.name,
                advice="capture again, or copy the file again",
            )
        header = self.window.bytes(24)
        order = "little" if int.from_bytes(header[:4], "little") in _MAGICS else "big"

        def number(at: int, size: int) -> int:
            return int.from_bytes(header[at : at + size], order)  # type: ignore[arg-type]

        major, minor, snaplen = number(4, 2), number(6, 2), number(16, 4)
        if major != 2:
            raise TrafficInputError(
                f"is a capture of version {major}.{minor}, not 2.4",
                source=self.stream.name,
                advice="convert it with editcap",
            )
        fraction, record_header = _MAGICS[number(0, 4)]
        lengths = c.LENGTHS_NORMAL  # before 2.3 the two lengths stood the other way round, in 2.3 either way
        if minor <= 3:
            lengths = c.LENGTHS_PERHAPS_SWAPPED if minor == 3 else c.LENGTHS_SWAPPED
        self.limit = max(USUAL_LIMIT, min(snaplen, LONGEST_RECORD))
        self._layout = np.zeros(c.LAYOUT, np.int64)
        self._layout[c.L_SWAPPED] = order != sys.byteorder
        self._layout[c.L_HEADER], self._layout[c.L_FRACTION] = record_header, fraction
        self._layout[c.L_LIMIT], self._layout[c.L_LENGTHS] = self.limit, lengths
        self._layout[c.L_LINK] = link_of(number(20, 4) & 0x03FFFFFF)  # above: length of the frame check sequence
        self.foreign = bool(self._layout[c.L_LINK] < 0)
        self._layout[c.L_SNAPLEN] = snaplen or LONGEST_RECORD
        self.state[c.AT] += 24

    def walk(self, index: npt.NDArray[np.int64], room: int) -> int:
        from sgsim.kernels.pcap_walk import walk_pcap

        while not self.over:
            n = int(walk_pcap(self.window.buffer, self.window.end, index, room, self._layout, self.state))
            if n:
                return n
            if self.state[c.STATUS] == c.BAD_LENGTH:
                self.cut.append(("damaged", "the record is longer than the longest that is read"))
                return self._stop(
                    f"record {self.next_record} claims {self.state[c.NEEDED]} bytes, more than {self.limit}: "
                    "the rest of the file is not read"
                )
            if not self.window.fill(int(self.state[c.NEEDED])):
                if self.window.left >= self._layout[c.L_HEADER]:
                    return self._ended_in_record()
                cut = f"the file ends inside the header of record {self.next_record}{self.reason}"
                return self._stop(cut if self.window.left else self.stream.note)
        return 0
