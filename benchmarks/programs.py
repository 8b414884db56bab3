"""Contenders that are programs: compiled from the C beside them, started once and asked line by line, or run whole."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contest import Bench, Timing, UnavailableError

__all__ = ["Program", "Server", "compile_c", "find_program", "run_whole"]

_PATIENCE = 180  #: seconds that a program may take


def compile_c(source: Path, bench: Bench, *, package: str | None = None, libraries: Sequence[str] = ()) -> Path:
    """The program made from a C source; `package` is what pkg-config knows its library by."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise UnavailableError("no C compiler (Debian: gcc)")
    program = bench.directory / source.stem
    if program.exists():
        return program
    flags = list(libraries)
    if package:
        if not shutil.which("pkg-config"):
            raise UnavailableError("no pkg-config (Debian: pkg-config)")
        asked = subprocess.run(
            ["pkg-config", "--cflags", "--libs", package], capture_output=True, text=True, check=False
        )
        if asked.returncode:
            raise UnavailableError(f"{package} is not installed: {_first_line(asked.stderr)}")
        flags = asked.stdout.split()
    # The library's own -march comes first, so that ours holds for our loops.
    command = [compiler, "-O3", str(source), *flags, "-march=native", "-o", str(program)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        errors = [line for line in built.stderr.splitlines() if "error" in line]
        raise UnavailableError(f"{source.name} does not compile: {(errors or [built.stderr.strip()])[0]}")
    return program


def find_program(name: str, package: str) -> str:
    """The path of an installed program."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise UnavailableError(f"{name} is not installed (Debian: {package})")
    return found


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no message"


class Server:
    """A process that answers each line of its input by one line."""

    def __init__(self, command: Sequence[str | Path], environment: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self.first = self._read()

    def ask(self, line: str) -> str:
        """The answer to one line."""
        assert self._process.stdin
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError) as problem:
            raise UnavailableError("its process has ended") from problem
        return self._read()

    def timed(self, line: str) -> Timing:
        """The answer to one line that is answered by CPU seconds."""
        wall = time.perf_counter()
        cpu = float(self.ask(line))
        return Timing(cpu, time.perf_counter() - wall)

    def _read(self) -> str:
        assert self._process.stdout and self._process.stderr
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise UnavailableError(f"it ended: {_first_line(self._process.stderr.read())}")
        return line.strip()

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def run_whole(command: Sequence[str | Path], **options: Any) -> tuple[Timing, str]:
    """Run a program from start to end; returns its time, start-up and children included, and what it printed."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, check=False, timeout=_PATIENCE, **options)
    except subprocess.TimeoutExpired as problem:
        raise UnavailableError(f"{Path(command[0]).name} did not end within {_PATIENCE} s") from problem
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise UnavailableError(f"{Path(command[0]).name} ended with {done.returncode}: {_first_line(done.stderr)}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Timing(cpu, wall), done.stdout


class Program:
    """An entry that runs a program from start to end; `read` takes its answer from what it printed."""

    def __init__(
        self, name: str, items: int, command: Sequence[str | Path], read: Callable[[str], Any], **options: Any
    ) -> None:
        self.name, self.items, self.facts = name, items, {}
        self._command, self._read, self._options = command, read, options

    def answer(self) -> Any:
        return self._read(run_whole(self._command, **self._options)[1])

    def run(self) -> Timing:
        return run_whole(self._command, **self._options)[0]

    def close(self) -> None:
        pass
