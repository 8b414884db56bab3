"""The one buffer through which a capture passes, and the walk over the records in it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sgsim.kernels import decode_codes as c
from sgsim.traffic.streams import ByteStream

__all__ = ["BUFFER_BYTES", "LONGEST_RECORD", "RecordReader", "Window"]

BUFFER_BYTES = 1 << 19  #: half of an L2 cache: what read(2) copied is still there when the decoder comes
_PAGE = 4096
LONGEST_RECORD = 1 << 24  #: the buffer grows up to this for records that a file announces; longer ones are not read
USUAL_LIMIT = 1 << 18  #: what capture programs hold to be the longest sane packet


class Window:
    """Bytes [state[AT], end) of a stream in a buffer that is moved along it; `state` is what the walkers keep.

    The buffer has a margin in front. What is left of the last read moves to the end of the margin, so that the next
    read lands on a page boundary, which the kernel copies to up to 10 % faster.
    """

    def __init__(self, stream: ByteStream, size: int = BUFFER_BYTES) -> None:
        self.stream = stream
        self.state = np.zeros(c.STATE, np.int64)
        self._allocate(size)
        self.state[c.AT] = self.end = self._margin

    def _allocate(self, size: int) -> None:
        self._margin = size // 8
        memory = np.empty(self._margin + size + _PAGE, np.uint8)
        start = -(memory.ctypes.data + self._margin) % _PAGE
        self.buffer = memory[start : start + self._margin + size]
        self._view = self.buffer.data

    @property
    def left(self) -> int:
        """Bytes in the buffer that are not consumed."""
        return self.end - int(self.state[c.AT])

    def bytes(self, n: int) -> bytes:
        """The next n bytes, which must be there, as an object."""
        at = int(self.state[c.AT])
        return self.buffer[at : at + n].tobytes()

    def fill(self, needed: int) -> bool:
        """Read on until `needed` bytes are there, more than now; False if the stream ends first."""
        at, old, view = int(self.state[c.AT]), self.end, self._view
        left = old - at
        if needed > len(view) - self._margin:
            self._allocate(max(needed, 2 * len(view)))
        start = max(self._margin - left, 0)
        end = start + left
        self._view[start:end] = view[at:old]  # memoryviews: a third of the cost of slicing arrays
        self.state[c.AT] = start
        got = -1
        while got and end - start < needed:
            got = self.stream.readinto(self._view[end:])
            end += got
        self.end = end
        return got != 0

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
    interfaces seen so far, `foreign` whether one of them has a link type that the decoder does not know; `notes` says
    what a person should know; `cut` lists records that the file promises but does not hold, each as (the count that
    it belongs to, cause).
    """

    def __init__(self, window: Window) -> None:
        self.window, self.state, self.stream = window, window.state, window.stream
        self.interfaces = 1
        self.foreign = False
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
