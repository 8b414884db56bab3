"""Write the example account and captures: `python pcaps/make_shop.py [DIRECTORY]` (by default this one).

The output is the same byte for byte on every run and machine, so a change of the example shows as a difference.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

from shop_account import documents
from shop_directory import directory_documents
from shop_traffic import Frame, app_capture, main_capture

ETHERNET, LINUX_COOKED = 1, 113
SNAP_LENGTH = 262_144


def write_documents(directory: Path) -> None:
    """One file per call of the AWS CLI, indented as it prints."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, document in (documents() | directory_documents()).items():
        (directory / name).write_text(json.dumps(document, indent=4) + "\n")


def pcap(frames: list[Frame]) -> bytes:
    """Little-endian, microseconds, Ethernet."""
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAP_LENGTH, ETHERNET)]
    for frame in frames:
        seconds, nanoseconds = divmod(frame.time, 10**9)
        parts.append(struct.pack("<IIII", seconds, nanoseconds // 1000, frame.kept, len(frame.wire)))
        parts.append(frame.wire[: frame.kept])
    return b"".join(parts)


def block(kind: int, body: bytes) -> bytes:
    """A pcapng block: type, length, body padded to 32 bits, length."""
    body += b"\0" * (-len(body) % 4)
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def pcapng(frames: list[tuple[int, Frame]]) -> bytes:
    """One section; interface 0 Linux cooked in nanoseconds, interface 1 Ethernet in microseconds."""
    end = option(0, b"")
    parts = [
        block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + option(2, b"Linux 6.1") + end),
        block(1, struct.pack("<HHI", LINUX_COOKED, 0, SNAP_LENGTH) + option(2, b"any") + option(9, b"\x09") + end),
        block(1, struct.pack("<HHI", ETHERNET, 0, SNAP_LENGTH) + option(2, b"mirror0") + end),
    ]
    for number, frame in frames:
        ticks = frame.time if number == 0 else frame.time // 1000
        head = struct.pack("<IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, frame.kept, len(frame.wire))
        parts.append(block(6, head + frame.wire[: frame.kept]))
    return b"".join(parts)


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    write_documents(directory / "shop")
    (directory / "shop.pcap").write_bytes(pcap(main_capture()))
    (directory / "app-1.pcapng").write_bytes(pcapng(list(app_capture())))


if __name__ == "__main__":
    main()
