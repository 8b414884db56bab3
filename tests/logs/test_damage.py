"""Damaged logs through the verdicts: never a traceback or a hang, and every line and record is counted once.

Together with `tests/flowlogs/test_damage.py`, which looks at the reader alone, some ten thousand files.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from sgsim.analysis.agreement import Agreement
from sgsim.cli.main import run
from sgsim.engine import Snapshot
from sgsim.engine.logs import LogOptions, replay_logs
from sgsim.importers import read_environment
from sgsim.report.tally import Tally
from sgsim.traffic.flowlogs import scan_flow_logs
from tests.flowlogs.damage import mutated

ROOT = Path(__file__).parents[2]
LINES = 25  #: of a log
FILES = 20  #: of a replay


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return Snapshot.of(read_environment(ROOT / "pcaps/shop"))


@pytest.fixture(scope="module")
def shop() -> tuple[bytes, list[bytes]]:
    """The header line and the lines of the example's log."""
    texts = [gzip.decompress(path.read_bytes()) for path in sorted((ROOT / "pcaps/shop-flowlogs").rglob("*.gz"))]
    header = texts[0].split(b"\n", 1)[0]
    return header, [line for text in texts for line in text.splitlines() if line != header]


def damaged_files(shop: tuple[bytes, list[bytes]], seed: int, directory: Path) -> Iterator[Path]:
    """FILES damaged logs of records of the example: text, gzip, and CloudWatch's JSON."""
    header, lines = shop
    for number in range(FILES):
        rng = random.Random(f"{seed} {number}")
        at = rng.randrange(len(lines) - LINES)
        some = lines[at : at + LINES]
        kind = rng.choice(("text", "text", "gzip", "gzipped damage", "json"))
        if kind == "json":
            data = json.dumps({"logEvents": [{"message": line.decode()} for line in (header, *some)]}).encode()
        else:
            data = b"\n".join((header, *some, b""))
        if kind == "gzip":
            data = gzip.compress(data)
        data = mutated(data, rng)
        path = directory / f"{number}.log"
        path.write_bytes(gzip.compress(data) if kind == "gzipped damage" else data)
        yield path


@pytest.mark.parametrize("start", range(0, 240, 40))
def test_counts_add_up(tmp_path: Path, snapshot: Snapshot, shop: tuple[bytes, list[bytes]], start: int) -> None:
    """4 800 damaged files in 240 replays: lines, records, verdicts and classes of disagreement."""
    records = refused = 0
    for seed in range(start, start + 40):
        scan = scan_flow_logs(list(damaged_files(shop, seed, tmp_path)), strict=False)
        replay = replay_logs(snapshot, scan, LogOptions(likely=seed % 3 == 0, join_window=(0, 60, 900)[seed % 3]))
        tally, agreement, orders = Tally(), Agreement(snapshot), []
        for batch in replay:
            tally.add(batch.verdicts)
            agreement.add(batch)
            orders += batch.order.tolist()
        for counts in scan.counts:
            assert counts.accounted == counts.lines, (seed, counts)
        assert sorted(orders) == list(range(sum(counts.ok for counts in scan.counts))), seed
        assert replay.summary.records == tally.records == len(orders)
        assert agreement.compared + agreement.without_action == len(orders)
        assert agreement.agreeing + agreement.contrary + agreement.undecided == agreement.compared
        assert sum(agreement.causes().values()) == agreement.contrary + agreement.undecided
        records, refused = records + len(orders), refused + sum("file not usable" in one.causes for one in scan.counts)
    assert records > 3000 and refused < 400


def test_every_command_says_what_is_wrong(
    tmp_path: Path, shop: tuple[bytes, list[bytes]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 runs of replay and usage on damaged logs: output, or one line and exit code 1."""
    monkeypatch.chdir(ROOT)
    commands = [("replay", "text"), ("replay", "json"), ("replay", "jsonl"), ("usage", "text"), ("replay", "flowlog")]
    failed = 0
    for seed in range(40):
        paths = list(damaged_files(shop, 1000 + seed, tmp_path))
        for path, (verb, form) in zip(paths, commands):
            code = run([verb, "pcaps/shop", str(path), "--format", form])
            out, err = capsys.readouterr()
            if code:
                assert code == 1 and "Traceback" not in err and not out, (seed, path)
                failed += 1
            else:
                assert out or form in ("jsonl", "flowlog")
    assert failed < 100
