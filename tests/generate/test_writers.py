"""Written environments are read back as they were; written traffic replays to what was asked, in every format."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from sgsim.cli.main import run
from sgsim.engine import Snapshot
from sgsim.engine.logs import replay_logs
from sgsim.engine.replay import replay
from sgsim.errors import EnvironmentInputError
from sgsim.generate import Shape, environment_of, random_network
from sgsim.generate.classbench import read_classbench
from sgsim.generate.text import addresses, lines, numbers
from sgsim.importers import read_environment
from sgsim.importers.write import _plain
from sgsim.model import format_address, parse_address
from sgsim.traffic import scan_packets
from sgsim.traffic.flowlogs import scan_flow_logs
from sgsim.verdicts import Verdict

FLOWS, HITS = 20_000, 7_000
DATA = os.environ.get("SGSIM_TEST_DATA")


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("generated") / "account"
    assert run(["generate", "-o", str(path), "--rules", "2k", "--groups", "40", "--interfaces", "200"]) == 0
    return path


def made(account: Path, name: str, *more: str) -> Path:
    path = account.with_name(name)
    options = ["--traffic", str(path), "--flows", "20k", "--hits", "0.35", *more]
    assert run(["generate", str(account), *options]) == 0
    return path


def test_a_written_environment_reads_back(account: Path) -> None:
    found = read_environment(account)
    wanted = environment_of(random_network(Shape(rules=2_000, groups=40, interfaces=200)))
    for name in ("groups", "interfaces", "prefix_lists", "vpcs"):
        have, want = getattr(found, name), getattr(wanted, name)
        assert [_plain(one) for one in have.values()] == [_plain(one) for one in want.values()]
    assert (found.closed, found.warnings, found.peerings_described) == (wanted.closed, (), True)


def test_a_capture_replays_to_the_asked_share(account: Path) -> None:
    path = made(account, "t.pcap", "--packets", "3")
    done = replay(Snapshot.of(read_environment(account)), scan := scan_packets([path]))
    opening = rejected = 0
    for verdicts in done:
        ends = verdicts.initiating & (verdicts.path_action == Verdict.ACCEPT)
        opening += len(np.unique(verdicts.flow_id[ends]))
        rejected += len(np.unique(verdicts.flow_id[verdicts.path_action == Verdict.REJECT]))
    assert (opening, rejected) == (HITS, FLOWS - HITS)
    assert scan.counts[0].decoded == scan.counts[0].total > FLOWS
    assert not done.summary.backwards


@pytest.mark.parametrize("name", ["t.log", "t.log.gz", "t.parquet"])
def test_a_log_agrees_with_its_verdicts(account: Path, name: str) -> None:
    path = made(account, name)
    scan = scan_flow_logs([path])
    logged = decided = agreeing = 0
    for batch in replay_logs(Snapshot.of(read_environment(account)), scan):
        action = batch.verdicts.action
        sure = action != Verdict.UNKNOWN
        logged += len(action)
        decided += int(sure.sum())
        agreeing += int((action == batch.recorded)[sure].sum())
    assert scan.counts[0].malformed == 0
    assert agreeing == decided > 0.8 * logged


@pytest.mark.parametrize("more", [["--ipv6", "0"], ["--ipv6", "1", "--prefix-lists", "0", "--references", "0"]])
@pytest.mark.parametrize("name", ["t.pcap", "t.log", "t.parquet"])
def test_one_family_alone_is_written_as_well(name: str, more: list[str], tmp_path: Path) -> None:
    target, shape = tmp_path / name, ["--rules", "50", "--groups", "5", "--interfaces", "9", *more]
    assert run(["generate", *shape, "--traffic", str(target), "--flows", "500"]) == 0
    assert target.stat().st_size > 5_000


def test_one_seed_gives_the_same_bytes_in_every_run(account: Path) -> None:
    first, second = made(account, "a.log.gz").read_bytes(), made(account, "b.log.gz").read_bytes()
    assert first == second
    assert made(account, "c.log").read_bytes() == gzip.decompress(first)
    assert made(account, "d.log.gz", "--seed", "2").read_bytes() != first


def test_texts_of_columns() -> None:
    values = np.array([0, 7, 99_999, 100_000, 1_700_000_000, 9_999_999_999])
    assert lines([numbers(values)]).split() == [str(value).encode() for value in values]
    both = ["10.0.0.1", "255.255.255.255", "2001:db8::1", "::", "fe80::1234:0:ffff"]
    for texts in (both, both[:2], both[2:], both[:1]):
        parsed = [parse_address(text) for text in texts]
        column = addresses(
            np.array([one.family for one in parsed], np.uint8),
            np.array([one.value >> 64 for one in parsed], np.uint64),
            np.array([one.value & 0xFFFFFFFFFFFFFFFF for one in parsed], np.uint64),
        )
        assert [format_address(*parse_address(line)) for line in lines([column]).decode().split()] == texts


CLASSBENCH = """\
@10.0.0.0/8\t0.0.0.0/0\t0 : 65535\t80 : 80\t0x06/0xFF\t0x0000/0x0200
@10.0.0.0/8 10.1.0.0/16 0 : 65535 80 : 80 0x06/0xFF
@0.0.0.0/0 0.0.0.0/0 53 : 53 53 : 53 0x00/0x00 0x0000/0x0000

@192.168.1.9/32 0.0.0.0/0 0 : 65535 0 : 65535 0x01/0xFF
@192.168.1.9/32 0.0.0.0/0 0 : 65535 7 : 9 0x2F/0xFF
"""


def test_classbench_is_read_and_what_is_dropped_counted(tmp_path: Path) -> None:
    path = tmp_path / "filters"
    path.write_text(CLASSBENCH)
    read = read_classbench(path)
    (group,) = read.environment.groups.values()
    assert [f"{rule.service} {rule.peer}" for rule in group.rules] == [
        "tcp 80 10.0.0.0/8",
        "tcp 53 0.0.0.0/0",
        "udp 53 0.0.0.0/0",
        "icmp 192.168.1.9/32",
        "47 192.168.1.9/32",
    ]
    assert (read.lines, read.rules) == (5, 5)
    assert read.dropped == {
        "TCP flags": 1,
        "destination prefixes": 1,
        "source ports": 1,
        "ports of protocols without ports": 1,
        "rules that repeat another, once the rest is dropped": 1,
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("what is this", "line 6: 'what is this' is not '@source/length"),
        ("@10.0.0.0/40 0.0.0.0/0 0 : 1 0 : 1 0x06/0xFF", "line 6: '10.0.0.0/40' is not a CIDR block"),
        ("@10.0.0.0/8 0.0.0.0/0 0 : 1 9 : 1 0x06/0xFF", "line 6: ports 9 : 1 are not a range"),
        ("@10.0.0.0/8 0.0.0.0/0 0 : 1 0 : 1 0x06/0xF0", "line 6: protocol 0x06/0xF0 is neither"),
        (f"@10.0.0.0/8 0.0.0.0/0 0 : {'9' * 5000} 0 : 1 0x06/0xF0", "line 6: "),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "filters"
    path.write_text(CLASSBENCH.rstrip("\n").replace("\n\n", "\n") + "\n" + line + "\n")
    with pytest.raises(EnvironmentInputError) as caught:
        read_classbench(path)
    assert f"{path}, {words}" in str(caught.value)


@pytest.mark.skipif(not DATA, reason="SGSIM_TEST_DATA is not set: no ClassBench filter sets")
def test_filter_sets_that_others_made(tmp_path: Path) -> None:
    for path in sorted(Path(DATA or "", "rules", "neurocuts").glob("*_1k")):
        read = read_classbench(path)
        repeated = read.dropped.get("rules that repeat another, once the rest is dropped", 0)
        assert read.lines == len(path.read_text().splitlines()) <= read.rules + repeated
    assert run(["generate", "--classbench", str(path), "-o", str(tmp_path / "group")]) == 0
    assert len(read_environment(tmp_path / "group").groups) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 64, "nothing to make"),
        (["x"], 64, "--traffic FILE is missing"),
        (["x", "-o", "y", "--traffic", "z"], 64, "-o makes an environment"),
        (["-o", "y", "--hits", "1"], 64, "--hits is about traffic"),
        (["x", "--traffic", "y", "--rules", "9"], 64, "--rules is for a random environment"),
        (["-o", "y", "--rules", "9z"], 64, "'9z' is not a number"),
        (["-o", "y", "--rules", "1", "--groups", "2"], 1, "1 rules cannot fill 2 groups"),
        (["--traffic", "y", "--flows", "0"], 1, "0 flows are not between"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    arguments: list[str],
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["generate", *arguments]) == code
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not [*tmp_path.iterdir()]
