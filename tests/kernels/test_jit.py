"""The kernel cache: an edit anywhere is seen, a second process compiles nothing, a read-only install works."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import sgsim.kernels

RUN = """
import sys
sys.path.insert(0, {root!r})
from mini.kernels.caller import run
print(run(2), sum(run.stats.cache_hits.values()), run.stats.cache_path)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with the real `_jit.py`, one kernel, and a helper in another module."""
    kernels = tmp_path / "install" / "mini" / "kernels"
    kernels.mkdir(parents=True)
    for directory in (kernels, kernels.parent):
        (directory / "__init__.py").touch()
    shutil.copy(Path(sgsim.kernels.__file__).parent / "_jit.py", kernels / "_jit.py")
    write_helper(kernels, "x + 1")
    (kernels / "caller.py").write_text(
        textwrap.dedent("""
        from mini.kernels._jit import kernel
        from mini.kernels.callee import step

        @kernel
        def run(x):
            return step(x) * 10
        """)
    )
    return kernels


def write_helper(kernels: Path, expression: str) -> None:
    (kernels / "callee.py").write_text(
        f"from mini.kernels._jit import helper\n\n@helper\ndef step(x):\n    return {expression}\n"
    )


def run(package: Path, **environment: str) -> tuple[int, int, str]:
    """(the kernel's answer, cache hits, cache directory) in a fresh process."""
    script = RUN.format(root=str(package.parent.parent))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-B", "-c", script], env=clean | environment, capture_output=True, text=True, check=True
    )
    answer, hits, directory = done.stdout.split()
    return int(answer), int(hits), directory


def test_second_process_loads_and_an_edited_helper_is_seen(package: Path, tmp_path: Path) -> None:
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert run(package, **cache)[:2] == (30, 0)
    assert run(package, **cache)[:2] == (30, 1)
    write_helper(package, "x + 2")
    assert run(package, **cache)[:2] == (40, 0)


def test_nothing_is_written_into_the_install(package: Path, tmp_path: Path) -> None:
    before = sorted(package.rglob("*"))
    _, _, directory = run(package, NUMBA_CACHE_DIR=str(tmp_path / "numba"))
    assert Path(directory).is_relative_to(tmp_path / "numba" / "sgsim")
    assert sorted(package.rglob("*")) == before


def test_without_a_writable_place_kernels_still_run(package: Path) -> None:
    """/proc stands for a read-only disk, since root may write to read-only directories."""
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "TMPDIR"), "/proc/nowhere")
    answer, _, directory = run(package, **nowhere)
    assert answer == 30  # from the temporary directory's cache, if an earlier run left one there
    assert directory == "None" or not directory.startswith("/proc")


def test_a_torn_cache_file_is_recompiled(package: Path, tmp_path: Path) -> None:
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    _, _, directory = run(package, **cache)
    for path in Path(directory).iterdir():
        path.write_bytes(path.read_bytes()[:20])
    assert run(package, **cache)[:2] == (30, 0)


def test_a_directory_that_anyone_may_write_to_is_refused(package: Path, tmp_path: Path) -> None:
    """Machine code is loaded from it."""
    (tmp_path / "open" / "sgsim").mkdir(parents=True)
    (tmp_path / "open" / "sgsim").chmod(0o777)
    _, _, directory = run(package, XDG_CACHE_HOME=str(tmp_path / "open"))
    assert not directory.startswith(str(tmp_path / "open"))


def test_importing_the_package_does_not_import_numba() -> None:
    script = "import sys, sgsim, sgsim.engine, sgsim.kernels, sgsim.compiler; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def claims(cache: Path) -> list[Path]:
    """The claims that stand in the cache."""
    return list((cache / "sgsim").rglob("*.claim"))


def test_two_processes_that_start_together_compile_once(package: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: run(package, XDG_CACHE_HOME=str(cache))[:2], range(3)))
    assert sorted(answers) == [(30, 0), (30, 1), (30, 1)]
    assert not claims(cache)


@pytest.mark.parametrize("holder", ["4194305", "", "nobody"])
def test_the_claim_of_a_process_that_is_gone_holds_nobody_up(package: Path, tmp_path: Path, holder: str) -> None:
    cache = tmp_path / "cache"
    directory = Path(run(package, XDG_CACHE_HOME=str(cache))[2])
    (index,) = directory.glob("*.nbi")
    for path in directory.iterdir():
        path.unlink()
    signature = hashlib.sha256(b"(int64,)").hexdigest()[:16]
    (directory / f"{index.stem}.{signature}.claim").write_text(holder)
    started = time.monotonic()
    assert run(package, XDG_CACHE_HOME=str(cache))[0] == 30
    assert time.monotonic() - started < 25
    assert not claims(cache)
