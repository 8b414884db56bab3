"""The one buffer through which a capture passes, and the walk over the records in it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sgsim.kernels import decode_codes as c
from sgsim.traffic.streams import ByteStream

__all__ = ["BUFFER_BYTES", "LONGEST_RECORD", "RecordReader", "Window"]

BUFFER_BYTES = 1 << 19  #: half of an L2 cache: what read(2) copied is still there when the decoder comes
LONGEST_RECORD = 1 << 24  #: the buffer grows up to this for records that a file announces; longer ones are not read
USUAL_LIMIT = 1 << 18  #: what capture programs hold to be the longest sane packet


class Window:
    """Bytes [state[AT], end) of a stream in a buffer that is moved along it; `state` is what the walkers keep."""

    def __init__(self, stream: ByteStream, size: int = BUFFER_BYTES) -> None:
        self.stream, self.buffer, self.end = stream, np.empty(size, np.uint8), 0
        self.state = np.zeros(c.STATE, np.int64)

    @property
    def left(self) -> int:
        """Bytes in the buffer that are not consumed."""
        return self.end - int(self.state[c.AT])

    def bytes(self, n: int) -> bytes:
        """The next n bytes, which must be there, as an object."""
        at = int(self.state[c.AT])
        return self.buffer[at : at + n].tobytes()

    def fill(self, needed: int) -> bool:
        """Read on until `needed` bytes are there, at least one byte more; False at the end of the stream."""
        at, left = int(self.state[c.AT]), self.left
        if needed > len(self.buffer):
            larger = np.empty(max(needed, 2 * len(self.buffer)), np.uint8)
            larger[:left] = self.buffer[at : self.end]
            self.buffer = larger
        elif at:
            self.buffer[:left] = self.buffer[at : self.end]
        self.state[c.AT], self.end = 0, left
        view = self.buffer.data
        while True:
            got = self.stream.readinto(view[self.end :])
            self.end += got
            if got == 0:
                return False
            if self.end >= needed:
                return True

    def skip(self, n: int) -> bool:
        """Consume n bytes, reading what is not there yet; False if the stream ends first."""
        while n > self.left:
            n -= self.left
            self.state[c.AT] = self.end
            if not self.fill(1):
                return False
        self.state[c.AT] += n
        return True


class RecordReader:
    """Walks the records of one capture; subclasses know the file formats.

    `walk` indexes records that lie in `window.buffer` until its next call. `interfaces` is the number of capture
    interfaces seen so far; `notes` says what a person should know; `cut` counts records that the file promises but
    does not hold, by cause, keyed by the name of the count they belong to.
    """

    def __init__(self, window: Window) -> None:
        self.window, self.state, self.stream = window, window.state, window.stream
        self.interfaces = 1
        self.notes: list[str] = []
        self.cut: list[tuple[str, str]] = []
        self.over = False

    def walk(self, index: npt.NDArray[np.int64], room: int) -> int:
        """Index at most `room` records; 0 at the end of the capture."""
        raise NotImplementedError

    @property
    def next_record(self) -> int:
        """The 1-based number of the record at which the walk stands."""
        return int(self.state[c.RECORDS]) + 1

    def _stop(self, note: str = "") -> int:
        """End the capture here; what came before stays true."""
        self.over = True
        if note:
            self.notes.append(note)
        return 0

    @property
    def reason(self) -> str:
        """Why the stream ended before its time, to be put behind a note."""
        return f"; {self.stream.note}" if self.stream.note else ""

    def _ended_in_record(self) -> int:
        """The stream has ended inside a record that had begun: it counts."""
        self.cut.append(("truncated", "the file ends inside the record"))
        return self._stop(f"the file ends inside record {self.next_record}{self.reason}")
