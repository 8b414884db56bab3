"""A file written with -o appears whole or not at all (temporary file, fsync, rename)."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sgsim.errors import OutputError
from sgsim.report.output import open_output
from tests.disks import small_disk

MEGABYTE = b"x" * (1 << 20)


def test_file_appears_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with open_output(target) as output:
        output.write(b"one")
        assert not target.exists()
        output.write(b"two")
    assert target.read_bytes() == b"onetwo"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_mode_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with open_output(tmp_path / "out") as output:
            output.write(b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o640


def test_mode_of_a_replaced_file_and_a_symbolic_link_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o604)
    link.symlink_to(real)
    with open_output(link) as output:
        output.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o604


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"old")
    with pytest.raises(error), open_output(target) as output:
        output.write(MEGABYTE)
        raise error
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_errors_of_what_is_read_are_not_blamed_on_the_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), open_output(tmp_path / "out"):
        (tmp_path / "missing").read_bytes()


def test_missing_directory(tmp_path: Path) -> None:
    expected = "missing/out: cannot write: No such file or directory; does its directory exist"
    with pytest.raises(OutputError, match=expected), open_output(tmp_path / "missing" / "out"):
        pass


def test_directory_that_vanishes_on_the_way(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    expected = "place/out: cannot write: No such file or directory"
    with pytest.raises(OutputError, match=expected), open_output(place / "out") as output:
        output.write(b"x")
        shutil.rmtree(place)
    assert list(tmp_path.iterdir()) == []


def test_directory_that_moves_on_the_way_gets_the_file(tmp_path: Path) -> None:
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    place.mkdir()
    with open_output(place / "out") as output:
        output.write(b"x")
        place.rename(elsewhere)
    assert [path.name for path in tmp_path.rglob("*")] == ["elsewhere", "out"]


def test_a_directory_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Is a directory; give the name of a file"), open_output(tmp_path):
        pass


def test_devices_are_written_to_and_stay_devices() -> None:
    with open_output(Path("/dev/null")) as output:
        output.write(b"x")
    assert Path("/dev/null").is_char_device()
    expected = "/dev/full: cannot write: No space left on device; make room"
    with pytest.raises(OutputError, match=expected), open_output(Path("/dev/full")) as output:
        output.write(b"x")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", kilobytes=256) as disk:
        yield disk


def test_full_disk(disk: Path) -> None:
    expected = "No space left on device; make room"
    with pytest.raises(OutputError, match=expected), open_output(disk / "out") as output:
        output.write(MEGABYTE)
    assert list(disk.iterdir()) == []


def test_limit_on_file_sizes(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from sgsim.report.output import open_output\n"
        f"with open_output(Path({str(tmp_path / 'out')!r})) as output:\n    output.write(bytes(1 << 20))"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=limit, check=False, timeout=60
    )
    assert "cannot write: File too large; the limit on file sizes is reached (ulimit -f)" in done.stderr
    assert list(tmp_path.iterdir()) == []
