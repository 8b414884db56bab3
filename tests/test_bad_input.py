"""Input that cannot be used, or only in part: the whole way from the command line.

One line on stderr with the file, the place in it, what is wrong and what to do, exit code 1, and nothing left behind;
or what cannot be used is skipped and counted, and the rest is still true. Never a traceback.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sgsim.cli.main import run
from sgsim.engine import Snapshot
from sgsim.engine.replay import ReplayOptions, replay
from sgsim.errors import TrafficInputError
from sgsim.importers import read_environment
from sgsim.traffic import scan_packets
from tests.disks import small_disk
from tests.importers.exports import group, groups_file, interface, permission, rule, write
from tests.importers.test_mutations import damaged
from tests.traffic.captures import pcap

PCAPS = Path(__file__).parents[1] / "pcaps"
SHOP, CAPTURE = PCAPS / "shop", PCAPS / "shop.pcap"

FINE = groups_file(group(ingress=[permission(v4=["10.0.0.0/8"])]))


def one_rule(*arguments: Any, **peers: Any) -> dict[str, Any]:
    """An export with one group that has one rule."""
    return groups_file(group(ingress=[permission(*arguments, **peers)]))


def without(document: dict[str, Any], *words: str) -> dict[str, Any]:
    """A document without the keys that contain one of the words."""
    return {key: value for key, value in document.items() if not any(word in key for word in words)}


def refused(arguments: Iterable[object], capfd: pytest.CaptureFixture[str]) -> str:
    """Run the command, which must end with 1, one line on stderr and nothing else; the line."""
    code = run([str(argument) for argument in arguments])
    output = capfd.readouterr()
    assert (code, output.out) == (1, ""), output
    line = output.err.removesuffix("\n")
    assert line.startswith("sgsim: ") and line.isprintable() and "defect" not in line, output.err
    return line


def in_order(line: str, *texts: str) -> bool:
    """Whether the line has all the texts, in this order."""
    return re.search(".*".join(map(re.escape, texts)), line) is not None


# -- an account's export -----------------------------------------------------------------------------------------------

#: what is wrong: (its files, the place, the problem, the advice); texts that the line must have, in this order
EXPORTS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "a list that is none": (
        {"groups": {"SecurityGroups": {}}},
        "groups.json, SecurityGroups",
        "expected a list, got an object",
        "export it again",
    ),
    "an id that is a number": (
        {"groups": groups_file(group(), {**group(), "GroupId": 5})},
        "groups.json, SecurityGroups[1].GroupId",
        "expected a string, got a whole number",
        "export it again",
    ),
    "a port in words": (
        {"groups": one_rule("tcp", ("https", 443), v4=["10.0.0.0/8"])},
        "groups.json, SecurityGroups[0].IpPermissions[0].FromPort",
        "expected a whole number, got a string",
        "export it again",
    ),
    "a CIDR block with 33 bits": (
        {"groups": one_rule(v4=["10.0.0.0/8", "10.0.0.0/33"])},
        "groups.json, SecurityGroups[0].IpPermissions[0].IpRanges[1].CidrIp",
        "'10.0.0.0/33' is not a CIDR block: IPv4 has at most 32 bits",
        "correct it",
    ),
    "port 70000": (
        {"groups": one_rule("tcp", (22, 70000), v4=["10.0.0.0/8"])},
        "groups.json, SecurityGroups[0].IpPermissions[0].ToPort",
        "port 70000 is outside 0 to 65535",
        "correct it",
    ),
    "from above to": (
        {"groups": one_rule("udp", (443, 80), v4=["10.0.0.0/8"])},
        "groups.json, SecurityGroups[0].IpPermissions[0].FromPort",
        "port 443 is above ToPort 80",
        "correct it",
    ),
    "an unknown protocol name": (
        {"groups": one_rule("tpc", (443, 443), v4=["10.0.0.0/8"])},
        "groups.json, SecurityGroups[0].IpPermissions[0].IpProtocol",
        "'tpc' is not a protocol",
        "use -1, tcp, udp, icmp, icmpv6 or a number",
    ),
    "a rule without peer": (
        {"groups": one_rule("tcp", (22, 22))},
        "groups.json, SecurityGroups[0].IpPermissions[0]",
        "names no peer",
        "correct it",
    ),
    "a rule without peer, as rules are listed one by one": (
        {"groups": FINE, "rules": {"SecurityGroupRules": [rule("sgr-1"), without(rule("sgr-2"), "Cidr")]}},
        "rules.json, SecurityGroupRules[1]",
        "names no peer",
        "correct it",
    ),
    "one id with two contents": (
        {"a": FINE, "b": one_rule(v4=["11.0.0.0/8"])},
        "b.json, SecurityGroups[0]",
        "security group sg-web is described twice with different content (rules), first in",
        "keep the files of one moment in time",
    ),
    "a directory without groups": (
        {"vpcs": {"Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"}]}},
        "export",
        "no security groups are described here",
        "add the output of 'aws ec2 describe-security-groups'",
    ),
    "an empty directory": ({}, "export", "the directory holds no *.json file", "put the output of"),
}


@pytest.mark.parametrize("case", EXPORTS)
def test_exports(case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    documents, *texts = EXPORTS[case]
    export, output = tmp_path / "export", tmp_path / "results" / "records.csv"
    export.mkdir()
    output.parent.mkdir()
    write(export, **documents)
    line = refused(["replay", export, CAPTURE, "--format", "csv", "-o", output], capfd)
    assert in_order(line, str(tmp_path), *texts), line
    assert list(output.parent.iterdir()) == []


def test_half_an_export(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "groups.json"
    path.write_text(json.dumps(FINE, indent=1)[:200])
    line = refused(["replay", path, CAPTURE], capfd)
    assert re.search(rf"{path}, line \d+ byte \d+: the document stops in the middle.*; .*export it again", line), line


def test_no_export(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = refused(["replay", tmp_path / "nothing", CAPTURE], capfd)
    assert in_order(line, str(tmp_path / "nothing"), "cannot be read (No such file or directory)", "; check the path")


def test_interface_without_address(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It has no traffic that could be told to be its own, and the rest is still true."""
    bare = without(interface("eni-bare"), "Addr")
    write(tmp_path, groups=FINE, interfaces={"NetworkInterfaces": [interface("eni-1", "10.20.10.11"), bare]})
    assert run(["replay", str(tmp_path), str(CAPTURE), "--format", "csv"]) == 0
    output = capfd.readouterr()
    assert "sgsim: 1 network interface (eni-bare) has no private address" in output.err
    assert ",eni-1,10.20.10.11," in output.out and "eni-bare" not in output.out


# -- captures ----------------------------------------------------------------------------------------------------------

SHOP_CAPTURE = CAPTURE.read_bytes()
RECORD = struct.calcsize("<IIII")


def frames(count: int) -> list[bytes]:
    """The first packets of the example's capture."""
    found, at = [], 24
    while len(found) < count:
        length = struct.unpack_from("<8xI", SHOP_CAPTURE, at)[0]
        found.append(SHOP_CAPTURE[at + RECORD : at + RECORD + length])
        at += RECORD + length
    return found


#: what is wrong: (the file, the problem, the advice)
CAPTURES: dict[str, tuple[bytes, str, str]] = {
    "10 bytes": (SHOP_CAPTURE[:10], "a capture of 10 bytes, less than its header of 24", "copy the file again"),
    "no bytes": (b"", "is no capture: it is empty", "give a pcap or pcapng file"),
    "a wrong magic": (b"\1\2\3\4" + SHOP_CAPTURE[4:], "is no capture: it begins with 01 02 03 04", "give a pcap"),
}


@pytest.mark.parametrize("case", CAPTURES)
@pytest.mark.parametrize("beside", [(), (CAPTURE,)], ids=["alone", "beside a good one"])
def test_captures(case: str, beside: tuple[Path, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data, *texts = CAPTURES[case]
    path, output = tmp_path / "traffic.pcap", tmp_path / "results" / "records.csv"
    output.parent.mkdir()
    path.write_bytes(data)
    line = refused(["replay", SHOP, *beside, path, "--format", "csv", "-o", output], capfd)
    assert in_order(line, f"{path}: ", *texts), line
    assert list(output.parent.iterdir()) == []


def test_an_export_as_traffic(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "traffic.pcap"
    path.write_text(json.dumps(FINE))
    line = refused(["replay", SHOP, path], capfd)
    assert in_order(line, f"{path}", "JSON, but not log events", "give the flow log itself"), line
    line = refused(["replay", SHOP, CAPTURE, path], capfd)
    assert in_order(line, f"{CAPTURE}: this is a capture", f"{path} a flow log"), line


def summary_of(capture: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The JSON summary of a replay that must succeed; its counts add up."""
    path = tmp_path / "traffic.pcap"
    path.write_bytes(capture)
    assert run(["replay", str(SHOP), str(path), "--format", "json"]) == 0
    output = capfd.readouterr()
    assert output.err == ""
    summary: dict[str, Any] = json.loads(output.out)
    traffic = summary["traffic"][0]
    unused = [traffic[count] for count in ("not_ip", "truncated", "damaged", "unsupported", "duplicate")]
    assert traffic["total"] == traffic["decoded"] + sum(unused)
    assert sum(unused) == sum(traffic["causes"].values())
    assert summary["packets"]["judged"] + summary["packets"]["neighbour_discovery"] == traffic["decoded"]
    return summary


def test_record_longer_than_the_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = pcap(frames(20))
    traffic = summary_of(whole[:-10], tmp_path, capfd)["traffic"][0]
    assert (traffic["total"], traffic["truncated"]) == (20, 1)
    assert traffic["notes"] == ["the file ends inside record 20"]


def test_record_of_a_gigabyte(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    huge = pcap(frames(20)) + struct.pack("<IIII", 0, 0, 1 << 30, 1 << 30) + bytes(1000)
    traffic = summary_of(huge, tmp_path, capfd)["traffic"][0]
    assert (traffic["total"], traffic["damaged"]) == (21, 1)
    assert traffic["notes"][0].startswith("record 21 claims 1073741824 bytes")


def test_records_longer_than_the_snap_length(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """They are all there, so they are read; the contradiction is mentioned."""
    fine = summary_of(pcap(frames(20)), tmp_path, capfd)["traffic"][0]
    traffic = summary_of(pcap(frames(20), snaplen=20), tmp_path, capfd)["traffic"][0]
    assert traffic["decoded"] == fine["decoded"] > 0
    assert traffic["notes"] == ["20 packets are longer than the snap length"]


def test_time_that_runs_backwards(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Packets are judged in the order of the file, and it is said that their times are not."""
    packets = [(10**18 + (20 - n) * 10**9, frame) for n, frame in enumerate(frames(20))]
    summary = summary_of(pcap(packets), tmp_path, capfd)
    assert summary["traffic"][0]["notes"] == ["time runs backwards at 19 packets, first at record 2"]
    assert summary["packets"]["judged"] > 0


def test_capture_that_is_not_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    gone = tmp_path / "gone.pcap"
    line = refused(["replay", SHOP, CAPTURE, gone], capfd)
    assert in_order(line, f"{gone}: cannot be opened: No such file or directory", "; name a pcap"), line


def test_capture_that_vanishes_on_the_way(tmp_path: Path) -> None:
    first, second = tmp_path / "first.pcap", tmp_path / "second.pcap"
    for path in (first, second):
        path.write_bytes(SHOP_CAPTURE)
    scan = scan_packets([first, second])
    second.unlink()
    with pytest.raises(TrafficInputError, match=f"{second}: cannot be opened: No such file or directory; "):
        list(scan)


# -- output ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", kilobytes=16) as disk:
        yield disk


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "flowlog"])
def test_full_disk(form: str, disk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = disk / "records"
    output.write_text("yesterday's")
    assert run(["replay", str(SHOP), str(CAPTURE), "--format", form, "-o", str(output)]) == 1
    *notes, line = capfd.readouterr().err.splitlines()
    assert all("packets not used" in note for note in notes), "what was said before the disk was full is still true"
    assert in_order(
        line, f"sgsim: {output}: cannot write: No space left on device", "; make room or choose another place"
    )
    assert [path.read_text() for path in disk.iterdir()] == ["yesterday's"]


# -- damage at random --------------------------------------------------------------------------------------------------


def damaged_captures(data: bytes, seed: int, count: int) -> Iterator[bytes]:
    """Copies with one to three damages."""
    chance = random.Random(seed)
    for _ in range(count):
        copy = data
        for _ in range(chance.randint(1, 3)):
            copy = damaged(copy, chance) or b"\n"
        yield copy


BASES: dict[str, Callable[[], bytes]] = {
    "pcap": lambda: pcap(frames(30)),
    "pcapng": lambda: (PCAPS / "app-1.pcapng").read_bytes()[:6000],
    "gzip": lambda: gzip.compress(pcap(frames(30)), mtime=0),
}


def read_through(paths: list[Path], decapsulate: bool) -> bool:
    """Whether the captures can be read; then the counts of each file add up, and packets are as many as decoded."""
    try:
        scan = scan_packets(paths, decapsulate=decapsulate, background=False)
        rows = sum(len(batch) for batch in scan)
    except TrafficInputError as error:
        text = str(error)
        assert text.isprintable() and "; " in text and any(str(path) in text for path in paths), text
        return False
    assert rows == sum(counts.decoded for counts in scan.counts)
    for counts in scan.counts:
        assert sum(counts.causes.values()) == counts.total - counts.decoded
        assert all(note.isprintable() for note in (*counts.causes, *counts.notes))
    return True


@pytest.mark.slow
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("seed", range(2))
def test_damaged_captures(base: str, seed: int, tmp_path: Path) -> None:
    """Six times 800 captures, half of them merged with a good one: counts that add up, or an error of one line."""
    good, bad = tmp_path / "good.pcap", tmp_path / "bad"
    good.write_bytes(pcap(frames(5)))
    outcomes = []
    for number, data in enumerate(damaged_captures(BASES[base](), seed, 800)):
        bad.write_bytes(data)
        outcomes.append(read_through([bad, good] if number % 2 else [bad], decapsulate=number % 3 == 0))
    assert any(outcomes)


@pytest.mark.parametrize("base", ["pcap", "pcapng"])
def test_damaged_captures_are_replayed(base: str, tmp_path: Path) -> None:
    """Twice 300 captures, through to records: every decoded packet is in one record at each end, or in a count."""
    snapshot = Snapshot.of(read_environment(SHOP))
    path = tmp_path / "bad"
    replayed = 0
    for data in damaged_captures(BASES[base](), 7, 300):
        path.write_bytes(data)
        try:
            scan = scan_packets([path], background=False)
            records = replay(snapshot, scan, ReplayOptions())
            packets = sum(int(verdicts.packets.sum()) for verdicts in records)
        except TrafficInputError:
            continue
        judged = records.summary.packets
        assert judged + records.summary.neighbour_discovery == scan.counts[0].decoded
        assert judged <= packets <= 2 * judged
        replayed += 1
    assert replayed > 100
