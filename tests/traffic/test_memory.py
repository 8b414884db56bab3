"""Kernels read nothing beyond the captured bytes: what lies around a record in the buffer changes no answer."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt

from sgsim.kernels import decode_codes as c
from sgsim.kernels.decode import decode
from sgsim.kernels.decode_tunnels import unwrap
from sgsim.kernels.duplicates import fingerprint
from tests.traffic.test_bad_captures import HEADERS
from tests.traffic.test_decapsulation import INNER, geneve, vxlan

FRAMES = [
    INNER,
    vxlan(5, INNER),
    geneve(INNER, 0x6558, bytes(16)),
    vxlan(5, geneve(INNER[14:], 0x0800)),
    *(frame for frame, _ in HEADERS.values()),
    bytes(12) + bytes.fromhex("86dd 60000000 0020 2c40") + bytes(32)
    + bytes.fromhex("3c00000112345678 0600000000000000 0001000200000000000000005012000000000000"),
    INNER[:23] + b"\x01" + INNER[24:34] + b"\x03\x01" + bytes(6) + INNER[14:],
]  # fmt: skip


Record = tuple[int, int, int, int]


def decoded(memory: npt.NDArray[np.uint8], records: list[Record], tunnels: bool) -> tuple[int | bytes, ...]:
    """Everything that the decoder writes for records (position, captured, wire, link)."""
    index = np.zeros((c.INDEX_ROWS, len(records)), np.int64)
    for i, (position, captured, wire, link) in enumerate(records):
        index[c.OFFSET, i], index[c.CAPTURED, i], index[c.WIRE, i], index[c.LINK, i] = position, captured, wire, link
    columns, quotes = np.zeros(c.COLUMN_BYTES, np.uint8), np.zeros(c.QUOTE_BYTES, np.uint8)
    tally = np.zeros(c.TALLY, np.int64)
    if tunnels:
        unwrap(memory, index, len(records))
    row, quoted = decode(memory, index, len(records), 1, tunnels, columns, 0, quotes, 0, tally)
    fingerprint(memory, columns, 0, row)
    assert tally[: c.CAUSES].sum() == len(records) and tally[c.DECODED] == row
    return row, quoted, columns.tobytes(), quotes.tobytes(), tally.tobytes()


def test_garbage_around_a_record_changes_nothing() -> None:
    """Each frame of every shape, cut at every length, damaged at random, amid zeros, ones and noise."""
    rng = random.Random(11)
    slot = 2048
    records: list[Record] = []
    frames: list[bytes] = []
    for frame in FRAMES:
        for captured in range(min(len(frame), 150) + 1):
            for link in (c.LINK_ETHERNET, rng.randrange(6)):
                data = bytearray(frame[:captured])
                if data and rng.random() < 0.5:
                    data[rng.randrange(len(data))] = rng.choice([0, 0xFF, 0x45, 0x60, rng.randrange(256)])
                records.append((len(frames) * slot + 100, captured, captured + rng.choice([0, 0, 40]), link))
                frames.append(bytes(data))
    assert 2500 < len(frames) <= c.BATCH
    size = len(frames) * slot
    surroundings = [
        np.zeros(size, np.uint8),
        np.full(size, 0xFF, np.uint8),
        np.frombuffer(rng.randbytes(size), np.uint8),
    ]
    for tunnels in (False, True):
        answers = set()
        for around in surroundings:
            memory = around.copy()
            for data, (position, captured, _, _) in zip(frames, records):
                memory[position : position + captured] = np.frombuffer(data, np.uint8)
            answers.add(decoded(memory, records, tunnels))
        assert len(answers) == 1


def test_a_full_batch_is_never_overrun() -> None:
    """The decoder stops at the last row, whatever it is told."""
    memory = np.frombuffer(INNER, np.uint8).copy()
    index = np.zeros((c.INDEX_ROWS, 10), np.int64)
    index[c.CAPTURED] = index[c.WIRE] = len(INNER)
    columns, quotes = np.zeros(c.COLUMN_BYTES, np.uint8), np.zeros(c.QUOTE_BYTES, np.uint8)
    row, _ = decode(memory, index, 10, 1, False, columns, c.BATCH - 3, quotes, 0, np.zeros(c.TALLY, np.int64))
    assert row == c.BATCH
