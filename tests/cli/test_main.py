"""Exit codes and messages: one line on stderr, never a traceback (0, 1, 64, 130, 141, 143)."""

from __future__ import annotations

import errno
import os
import resource
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

import sgsim
from sgsim.cli import main as cli
from sgsim.cli.manners import Manners, printable
from sgsim.errors import NotationError, OutputError, TrafficInputError, UnknownVerdictError

COMMAND = [sys.executable, "-m", "sgsim.cli"]
SHOP = Path(__file__).parents[2] / "pcaps/shop"


def test_public_names_are_imported_when_used() -> None:
    assert sorted(sgsim.__all__) == sorted(sgsim._HOME)
    for name in sgsim.__all__:
        assert getattr(sgsim, name).__module__.startswith("sgsim.")
    assert set(sgsim.__all__) <= set(dir(sgsim))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        sgsim.nonsense  # noqa: B018


def test_help_and_version_need_none_of_the_heavy_packages() -> None:
    code = (
        "import sys; from sgsim.cli.main import run\n"
        "code = run(['--help']) + run(['--version'])\n"
        "heavy = {'numpy', 'numba', 'pyarrow', 'rich', 'scapy', 'msgspec', 'boto3'} & sys.modules.keys()\n"
        "sys.exit(code or ' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "replay" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("sgsim ")


def test_help_takes_less_than_a_fifth_of_a_second() -> None:
    """Processor time, which neighbours on a busy machine do not stretch as they do the clock on the wall."""

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*COMMAND, "--help"], check=True, capture_output=True, timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(once() for _ in range(5)) < 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "sgsim: No such command 'nonsense' (see 'sgsim --help')"),
        (["--color", "pink"], "sgsim: Invalid value for '--color': 'pink' is not one of 'auto', 'always', 'never'"),
        (["replay"], "sgsim: Missing argument 'ENV' (see 'sgsim replay --help')"),
        (["replay", "env"], "sgsim: Missing argument 'TRAFFIC...' (see 'sgsim replay --help')"),
    ],
)
def test_wrong_usage_is_64(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == 64
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(message)


def test_no_arguments_show_the_help_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([]) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: sgsim")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (TrafficInputError("ends early", source="a.pcap", advice="try again"), 1, "a.pcap: ends early; try again"),
        (OutputError("out: cannot write"), 1, "out: cannot write"),
        (UnknownVerdictError("3 unknown"), 1, "3 unknown"),
        (NotationError("no such thing", source="tcp"), 64, "tcp: no such thing"),
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "gone"), 1, "gone: No such file or directory"),
        (MemoryError(), 1, "out of memory; split the traffic into smaller files or use a machine with more"),
        (
            ZeroDivisionError("x\ny"),
            1,
            "defect in sgsim: ZeroDivisionError: x y (--debug shows where; please report it)",
        ),
        (RecursionError("deep"), 1, "defect in sgsim: RecursionError: deep (--debug shows where; please report it)"),
        (TrafficInputError("\x1b[2J bad"), 1, "\\x1b[2J bad"),
        (KeyboardInterrupt(), 130, None),
        (click.Abort(), 130, None),
        (cli.Terminated(), 143, None),
        (BrokenPipeError(), 141, None),
    ],
)
def test_errors_are_one_line(
    error: BaseException,
    code: int,
    message: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setattr(cli.Verbs, "get_command", lambda *_: failing)
    assert cli.run(["anything"]) == code
    assert capsys.readouterr() == ("", "" if message is None else f"sgsim: {message}\n")


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def failing() -> None:
        raise ZeroDivisionError("here")

    monkeypatch.setattr(cli.Verbs, "get_command", lambda *_: failing)
    assert cli.run(["--debug", "anything"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("please report it)\n")


def test_colour_is_asked_for_or_shown_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert Manners().colored(terminal)  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Manners().colored(terminal)  # type: ignore[arg-type]
    assert Manners(color="always").colored(sys.stdout)
    assert not Manners(color="never").colored(terminal)  # type: ignore[arg-type]


def test_control_characters_are_escaped() -> None:
    assert printable("a\x1b[31mb\u202e\ud800é") == "a\\x1b[31mb\\u202e\\ud800é"


def test_a_closed_reader_is_quiet() -> None:
    with subprocess.Popen([*COMMAND, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_a_full_device_on_stdout() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "No space left on device" in done.stderr


def test_termination_unwinds() -> None:
    code = (
        "import time, click; from sgsim.cli import main as cli\n"
        "@click.command()\n"
        "def sleeping():\n"
        "    try:\n"
        "        print('ready', flush=True); time.sleep(60)\n"
        "    finally:\n"
        "        print('unwound', flush=True)\n"
        "cli.Verbs.get_command = lambda *_: sleeping\n"
        "import sys; sys.argv = ['sgsim', 'x']; cli.main()"
    )
    for sent, expected in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(sent)
            assert process.stdout.read() == "unwound\n"
        assert process.returncode == expected


@pytest.mark.parametrize(
    "arguments", ["--help", "collect --policy", "explain {shop} 'tcp 10.20.0.10:1 > 10.20.0.80:443'"]
)
@pytest.mark.parametrize(("closed", "expected"), [(">&-", 1), ("<&-", 0), ("2>&-", 0), ("<&- 2>&-", 0)])
def test_closed_standard_streams_are_no_defect(arguments: str, closed: str, expected: int) -> None:
    """Nobody reads a traceback: a closed stdout is an output that cannot be written, the others are not needed."""
    command = " ".join(map(shlex.quote, COMMAND)) + f" {arguments.format(shop=shlex.quote(str(SHOP)))} {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == expected
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr
    assert bool(done.stdout) is (expected == 0)
    assert done.stderr.count("\n") == (1 if expected else 0)
