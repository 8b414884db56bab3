"""Kernel = plain Python on frames of every shape, cut and damaged at random: every column, every count."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from sgsim.traffic import scan_packets
from tests.traffic.captures import pcap, rows_of
from tests.traffic.test_memory import FRAMES
from tests.traffic.twin import decode

LINKS = [1, 1, 1, 1, 101, 229, 0, 108, 113, 276]
HEADS = {
    1: b"",
    101: b"",
    229: b"",
    0: b"\2\0\0\0",
    108: b"\0\0\0\x1e",
    113: bytes(4) + b"\0\6" + bytes(10),
    276: bytes(20),
}
VALUES = [0, 1, 4, 6, 8, 17, 41, 43, 44, 50, 58, 60, 0x45, 0x60, 0x80, 0xFF]


def damaged(rng: random.Random, link: int) -> bytes:
    frame = rng.choice(FRAMES)
    data = bytearray(frame if link == 1 else HEADS[link] + frame[14:])
    if link in (113, 276) and len(data) > 16:
        at = 14 if link == 113 else 0
        data[at : at + 2] = rng.choice([b"\x08\0", b"\x86\xdd", b"\x81\0", b"\x88\x47", b"\x88\x64", b"\0\4"])
    for _ in range(rng.choice([0, 0, 1, 1, 2, 4])):
        if data:
            data[rng.randrange(len(data))] = rng.choice(VALUES)
    if rng.random() < 0.3:
        data = data[: rng.randrange(len(data) + 1)]
    return bytes(data + bytes(rng.choice([0, 0, 0, 6, 50])))


@pytest.mark.slow
@pytest.mark.parametrize("decapsulate", [False, True])
def test_one_hundred_thousand_frames(tmp_path: Path, decapsulate: bool) -> None:
    rng = random.Random(17 + decapsulate)
    outcomes: Counter[str] = Counter()
    for number, link in enumerate(LINKS):
        frames = [damaged(rng, link) for _ in range(5000)]
        wires = [max(0, len(frame) + rng.choice([0, 0, 0, 7, 900, -5])) for frame in frames]
        path = tmp_path / str(number)
        path.write_bytes(pcap([(i, frame, wire) for i, (frame, wire) in enumerate(zip(frames, wires))], link_type=link))
        scan = scan_packets([path], decapsulate=decapsulate)
        rows = {row["record"]: row for row in rows_of(scan)}
        counts: Counter[str] = Counter()
        for record, (frame, wire) in enumerate(zip(frames, wires), 1):
            answer = decode(frame, wire, link, decapsulate=decapsulate)
            row = rows.get(record)
            if isinstance(answer, str):
                counts[answer] += 1
                assert row is None, (frame.hex(), wire, link, answer, row)
                continue
            counts["decoded"] += 1
            assert row is not None, (frame.hex(), wire, link, answer)
            quote, row_quote = answer.pop("quote"), row["quote"]
            assert {key: row[key] for key in answer} == answer, (frame.hex(), wire, link)
            assert (quote is None) == (row_quote is None), (frame.hex(), wire, link)
            if quote:
                assert {key: row_quote[key] for key in quote} == quote, (frame.hex(), wire, link)
        ours = scan.counts[0]
        for count in ("decoded", "not_ip", "truncated", "damaged"):
            assert getattr(ours, count) == counts[count], (link, ours, counts)
        outcomes += counts
    assert min(outcomes[count] for count in ("decoded", "not_ip", "truncated", "damaged")) > 1000, outcomes
