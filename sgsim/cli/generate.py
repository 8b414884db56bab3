"""`sgsim generate`: environments and traffic from a seed, as large as wanted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from sgsim.cli.manners import Manners, manners_options, note
from sgsim.model import Environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sgsim.generate import Flows, Network, Shape, Traffic, TrafficStream
    from sgsim.generate.flows import FlowSource

__all__ = ["count", "generate_command", "shape_given", "shape_options", "traffic_given", "traffic_options"]

Command = TypeVar("Command", bound=Callable[..., Any])

_SUFFIXES = {"k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_FORMATS = ("pcap", "flowlog", "flowlog.gz", "parquet")
_BY_NAME = {".pcap": "pcap", ".gz": "flowlog.gz", ".parquet": "parquet"}


def count(text: str) -> int:
    """A number that may be written 10k, 2.5M or 1G."""
    plain = text.strip().lower().replace("_", "").replace(",", "")
    factor = _SUFFIXES.get(plain[-1:], 1)
    digits = plain[:-1] if factor > 1 else plain
    try:
        number = float(digits) * factor if "." in digits else int(digits) * factor
        if len(digits) <= 15 and number == int(number):
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise click.BadParameter(f"{text!r} is not a number such as 500, 10k or 1M")


def _options(options: list[tuple[str, str, str]]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for name, metavar, text in reversed(options):
            kind = count if metavar == _COUNT else click.FLOAT
            command = click.option(f"--{name}", type=kind, metavar=metavar, help=text)(command)
        return command

    return decorate


_COUNT, _SHARE = "NUMBER", "SHARE"

shape_options = _options(
    [
        ("rules", _COUNT, "Rules of all groups together.  [default: 10k]"),
        ("groups", _COUNT, "Security groups.  [default: 200]"),
        ("interfaces", _COUNT, "Network interfaces.  [default: 2k]"),
        ("spread", _SHARE, "How unequal groups are: sigma of their log-normal sizes.  [default: 0.6]"),
        ("most-groups", _COUNT, "Groups of an interface at most, 1 to 5.  [default: 5]"),
        ("references", _SHARE, "Share of rules that refer to groups.  [default: 0.1]"),
        ("prefix-lists", _SHARE, "Share of rules that refer to prefix lists.  [default: 0.05]"),
        ("ipv6", _SHARE, "Share of IPv6 among the other rules.  [default: 0.15]"),
        ("nested", _SHARE, "Share of rules that lie inside another's block, with its service.  [default: 0.667]"),
        ("depth", _COUNT, "Levels of blocks inside each other.  [default: 1]"),
        ("locked", _SHARE, "Share of groups without allow-all egress.  [default: 0.1]"),
    ]
)

traffic_options = _options(
    [
        ("flows", _COUNT, "Different flows.  [default: 1M]"),
        ("hits", _SHARE, "Share of flows that the groups accept, at both ends.  [default: 0.5]"),
        ("egress", _SHARE, "Share of flows that leave the interfaces they are made for.  [default: 0.2]"),
        ("skew", _SHARE, "Zipf exponent by which flows go to interfaces; 0: all alike.  [default: 0.8]"),
    ]
)


def _named(kind: type[Any], arguments: dict[str, Any]) -> dict[str, Any]:
    return {field.name: arguments[field.name] for field in fields(kind) if arguments.get(field.name) is not None}


def shape_given(arguments: dict[str, Any]) -> Shape:
    """The shape that the options ask for. Raises ModelError."""
    from sgsim.generate import Shape

    return Shape(**_named(Shape, arguments))


def traffic_given(arguments: dict[str, Any]) -> Traffic:
    """The traffic that the options ask for. Raises ModelError."""
    from sgsim.generate import Traffic

    return Traffic(**_named(Traffic, arguments))


@click.command("generate", short_help="Make environments and traffic of any size, from a seed.")
@click.argument("environment", metavar="[ENV]", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="New directory for the environment, as the AWS CLI prints one; it appears whole or not at all.",
)
@click.option(
    "--classbench",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="One group of the rules in a ClassBench filter set, instead of a random environment.",
)
@shape_options
@click.option(
    "--traffic",
    "traffic_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Traffic for the environment; - is stdout. The name tells the format: .pcap, .log, .log.gz, .parquet.",
)
@click.option("--traffic-format", type=click.Choice(_FORMATS), help="The format, where the name does not tell it.")
@traffic_options
@click.option(
    "--packets",
    type=click.FloatRange(1, 100),
    default=1,
    show_default=True,
    help="Packets of an accepted flow in a capture, on average.",
)
@click.option(
    "--seconds",
    type=click.IntRange(1, 10_000_000),
    default=600,
    show_default=True,
    help="How long the traffic takes.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Another seed, another result.")
@manners_options
@click.pass_obj
def generate_command(manners: Manners, /, **arguments: Any) -> None:
    """Make an environment shaped as security groups are, traffic for it, or traffic for the one in ENV.

    The same options and seed give the same bytes. Traffic is checked by the rules: the share of --hits is what
    `sgsim replay` finds.
    """
    environment, output, traffic_file = (arguments[name] for name in ("environment", "output", "traffic_file"))
    _check_usage(arguments)
    traffic = traffic_given(arguments)
    network: Network | None = None
    if environment is None and arguments["classbench"] is None:
        network = _generated(arguments, output)
        if traffic_file is None:
            return
        from sgsim.generate import environment_of

        world = environment_of(network)
    elif environment is None:
        world = _from_classbench(arguments["classbench"], output)
    else:
        from sgsim.importers import read_environment

        world = read_environment(environment)
    if traffic_file is not None:
        _write_traffic(world, network, traffic, arguments, manners)


def _check_usage(arguments: dict[str, Any]) -> None:
    """Raise UsageError for options that do not go together."""
    from sgsim.generate import Shape, Traffic

    shape, traffic = sorted(_named(Shape, arguments)), sorted(_named(Traffic, arguments))
    environment, given = arguments["environment"], arguments["classbench"] is not None
    if arguments["traffic_file"] is None:
        if environment is not None:
            raise click.UsageError("--traffic FILE is missing: for ENV there is only traffic to make")
        if arguments["output"] is None:
            raise click.UsageError("nothing to make: give -o DIR, --traffic FILE or both")
        if traffic or arguments["traffic_format"]:
            raise click.UsageError(f"--{(traffic or ['traffic-format'])[0]} is about traffic; give --traffic FILE")
    if environment is not None and (arguments["output"] or given):
        raise click.UsageError(f"{'--classbench' if given else '-o'} makes an environment; ENV is one already")
    if shape and (given or environment is not None):
        word = "--classbench has its own rules" if given else "ENV is an environment already"
        raise click.UsageError(f"--{shape[0].replace('_', '-')} is for a random environment; {word}")


def _generated(arguments: dict[str, Any], output: Path | None) -> Network:
    """A random network, written if that is asked for."""
    from sgsim.generate import random_network

    shape = shape_given(arguments)
    network = random_network(shape, arguments["seed"])
    if output is not None:
        from sgsim.generate.aws_json import write_network

        write_network(network, output)
        added = len(network.rules.kind) - shape.rules
        note(
            f"{output}: {shape.rules:,} rules and {added:,} of default egress in {shape.groups:,} groups, "
            f"{shape.interfaces:,} interfaces, {len(network.lists.family):,} prefix lists"
        )
    return network


def _from_classbench(path: Path, output: Path | None) -> Environment:
    """The group of a filter set, written if that is asked for; what was dropped is said."""
    from sgsim.generate.classbench import read_classbench
    from sgsim.importers.write import write_environment

    read = read_classbench(path)
    if output is not None:
        write_environment(read.environment, output)
    note(f"{path}: {read.lines:,} lines, {read.rules:,} rules of one group")
    for what, lines in sorted(read.dropped.items()):
        note(f"{path}: dropped: {what} ({lines:,})")
    return read.environment


def _write_traffic(
    world: Environment, network: Network | None, traffic: Traffic, arguments: dict[str, Any], manners: Manners
) -> None:
    """Traffic that the rules have seen."""
    from sgsim.engine import Snapshot, evaluate
    from sgsim.generate import TrafficStream, network_of
    from sgsim.report.output import open_output

    target, seed = arguments["traffic_file"], arguments["seed"]
    format_ = arguments["traffic_format"] or _BY_NAME.get(target.suffix, "flowlog")
    snapshot = Snapshot.of(world)
    stream = TrafficStream(network or network_of(world), traffic, seed, lambda table: evaluate(snapshot, table).action)
    with open_output(target) as output:
        count, what = _written(_Followed(stream, manners.colored(sys.stderr)), world, output, format_, arguments)
    accepted = round(traffic.flows * traffic.hits)
    note(f"{target}: {traffic.flows:,} flows, {accepted:,} of them accepted; {count:,} {what}")
    if stream.unmet:
        note(f"{stream.unmet:,} flows are not as asked: no other ones were found")


class _Measured:
    """The chunks of a stream, and how far it has come: in flows, though a bar calls them bytes."""

    def __init__(self, stream: TrafficStream) -> None:
        self._stream = stream
        self.bytes_read, self.bytes_total = 0, len(stream)

    def __iter__(self) -> Iterator[Flows]:
        for chunk in self._stream:
            self.bytes_read += len(chunk)
            yield chunk


class _Followed:
    """A stream with a bar on stderr that follows it."""

    def __init__(self, stream: TrafficStream, color: bool) -> None:
        self._stream, self._color = stream, color
        self.network = stream.network

    def __len__(self) -> int:
        return len(self._stream)

    def __iter__(self) -> Iterator[Flows]:
        from sgsim.cli.progress import followed

        return iter(followed(_Measured(self._stream), color=self._color, things="flows"))


def _written(
    stream: FlowSource, world: Environment, output: IO[bytes], format_: str, arguments: dict[str, Any]
) -> tuple[int, str]:
    """(how many, of what) was written."""
    seconds, seed = arguments["seconds"], arguments["seed"]
    if format_ == "pcap":
        from sgsim.generate.pcap import write_pcap

        return write_pcap(stream, output, packets=arguments["packets"], seconds=seconds, seed=seed), "packets"
    from sgsim.generate.flowlog import write_parquet, write_text
    from sgsim.generate.records import log_records

    records = log_records(stream, seconds, seed)
    if format_ == "parquet":
        return write_parquet(records, world, output), "records"
    if format_ == "flowlog":
        return write_text(records, world, output), "records"
    with _compressed(output) as compressed:
        return write_text(records, world, compressed), "records"


@contextmanager
def _compressed(output: IO[bytes]) -> Iterator[IO[bytes]]:
    """A gzip file whose bytes depend on nothing but what is written to it."""
    from isal.igzip import IGzipFile

    with IGzipFile(filename="", fileobj=output, mode="wb", compresslevel=1, mtime=0) as compressed:
        yield compressed
