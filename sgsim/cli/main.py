"""The `sgsim` command: finds the verb, and turns every outcome into an exit code and at most one line on stderr.

Exit codes: 0 done; 1 an error; 2 only where an option asks for it; 64 wrong usage; 130 and 143 interrupted or
terminated; 141 the reader of the output went away.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import NoReturn

import click

from sgsim.cli.manners import Manners, manners_options, note
from sgsim.errors import NotationError, SgsimError

__all__ = ["main", "run"]

FAILURE, WRONG_USAGE, INTERRUPTED, READER_GONE, TERMINATED = 1, 64, 130, 141, 143

#: verb → (module and attribute of its command, one line for `sgsim --help`); imported when the verb is used.
VERBS = {
    "replay": ("sgsim.cli.replay:replay_command", "Judge captured traffic by the security groups of an account."),
    "usage": ("sgsim.cli.usage:usage_command", "Say which rules the traffic needs, and which could go."),
    "explain": ("sgsim.cli.explain:explain_command", "Say why one flow is accepted or rejected, at both ends."),
    "apply": ("sgsim.cli.apply:apply_command", "Make changes to an environment, as AWS would."),
    "whatif": ("sgsim.cli.whatif:whatif_command", "Say what a change of rules would do, before anyone makes it."),
    "can": ("sgsim.cli.can:can_command", "Say whether IAM lets a principal make a call, and by which statement."),
    "who-can": ("sgsim.cli.whocan:who_can_command", "Say who could make packets pass, and by which calls."),
    "test": ("sgsim.cli.test:test_command", "Check that groups do what is expected of them, for every packet."),
    "generate": ("sgsim.cli.generate:generate_command", "Make environments and traffic of any size, from a seed."),
    "bench": ("sgsim.cli.bench:bench_command", "Measure what an environment and its traffic cost."),
    "collect": ("sgsim.cli.collect:collect_command", "Export an account with read-only calls (extra: sgsim[aws])."),
}


class Verbs(click.Group):
    """A group whose commands are imported when they are called, and listed without being imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])


def show_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from sgsim import __version__

        click.echo(f"sgsim {__version__}")
        context.exit()


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=show_version, help="Print the version."
)
@manners_options
def sgsim() -> None:
    """Security-group firewall simulator.

    Says what the security groups of every network interface decide about traffic, and by which rules. Works offline
    on what the AWS CLI prints, or on what `sgsim collect` writes.
    """


class Terminated(BaseException):
    """SIGTERM arrived: unwind, so that temporary files are removed."""


def terminate(_: int, __: FrameType | None) -> NoReturn:
    raise Terminated


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command with the given arguments (by default the process's) and return the exit code."""
    manners = Manners()
    try:
        with sgsim.make_context(
            "sgsim", list(sys.argv[1:] if arguments is None else arguments), obj=manners
        ) as context:
            result = sgsim.invoke(context)
            sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as exit_:
        return _finish(exit_.exit_code)
    except BaseException as error:
        if manners.debug and isinstance(error, Exception):
            traceback.print_exc()
        return _finish(outcome(error))


def outcome(error: BaseException) -> int:
    """Say what happened in one line and return the exit code that stands for it."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
            return WRONG_USAGE
        case click.UsageError():
            command = error.ctx.command_path if error.ctx else "sgsim"
            note(f"{one_line(error.format_message()).rstrip('.')} (see '{command} --help')")
            return WRONG_USAGE
        case NotationError():
            note(one_line(str(error)))
            return WRONG_USAGE
        case KeyboardInterrupt() | click.Abort():
            return INTERRUPTED
        case Terminated():
            return TERMINATED
        case BrokenPipeError():
            return READER_GONE
        case SystemExit():
            return error.code if isinstance(error.code, int) else FAILURE if error.code else 0
        case click.ClickException():
            note(one_line(error.format_message()))
        case SgsimError():
            note(one_line(str(error)))
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            note(one_line(f"{place}{error.strerror or error}"))
        case MemoryError():
            note("out of memory; split the traffic into smaller files or use a machine with more")
        case _:
            note(one_line(f"defect in sgsim: {type(error).__name__}: {error} (--debug shows where; please report it)"))
    return FAILURE


def one_line(message: str) -> str:
    return " ".join(message.split())


def _finish(code: int) -> int:
    """Flush what is left on stdout; if that fails, give up on stdout, or the interpreter would complain at exit."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or outcome(error)
    return code


def replace_closed_streams() -> None:
    """Give closed standard streams back their numbers, or the next file opened gets one and the other's text.

    What is written to a closed stdout fails, as it should: it is lost; notes to a closed stderr are not missed.
    """
    for number, mode, flags in ((0, "r", os.O_RDONLY), (1, "w", os.O_RDONLY), (2, "w", os.O_WRONLY)):
        name = ("stdin", "stdout", "stderr")[number]
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def main() -> NoReturn:
    """The console script."""
    replace_closed_streams()
    signal.signal(signal.SIGTERM, terminate)
    sys.exit(run())
