"""nftables: a rule added to a chain by libnftables, in a network namespace of its own; one chain a group.

Run by itself, `python -m benchmarks.update.nft RULES` loads rules, then hands each line of its input to libnftables and
prints what that says, or the CPU seconds it took. (A set of intervals would answer faster, but cannot hold rules that
overlap.)
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.contest import Bench, Contender, Needs, Timing, UnavailableError
from benchmarks.programs import Server, find_program
from benchmarks.update.cases import PROBE, Case
from sgsim.model import Cidr

__all__ = ["CONTENDER"]

CHANGES = 20
_MOST_RULES = 100_000  #: loading more takes the kernel minutes
_ADDRESS = str(PROBE).removesuffix("/32")


class _Entry:
    def __init__(self, case: Case, server: Server) -> None:
        self.name, self.items = "nft add rule", CHANGES
        self.facts: dict[str, Any] = {}
        self._case, self._server = case, server

    def _add(self, number: int) -> Timing:
        group, port = self._case.group(number), 10_000 + number
        begin = time.perf_counter()
        said = self._server.ask(f"add rule ip sg g{group} ip saddr {_ADDRESS} tcp dport {port} accept")
        if said.startswith("!"):
            raise UnavailableError(f"nft: {said[1:]}")
        return Timing(float(said), time.perf_counter() - begin)

    def _accepts(self, number: int) -> bool:
        listed = self._server.ask(f"list chain ip sg g{self._case.group(number)}")
        return f"ip saddr {_ADDRESS} tcp dport {10_000 + number} accept" in listed

    def answer(self) -> tuple[bool, bool]:
        number = next(self._case.numbers)
        before = self._accepts(number)
        self._add(number)
        return before, self._accepts(number)

    def run(self) -> Timing:
        timings = [self._add(next(self._case.numbers)) for _ in range(CHANGES)]
        return Timing(sum(timing.cpu for timing in timings), sum(timing.wall for timing in timings))

    def close(self) -> None:
        self._server.close()


def _rule_set(case: Case, path: Path) -> None:
    """The groups as chains."""
    rules, offsets = case.network.rules, case.network.offsets
    rows = list(zip(*(column.tolist() for column in (rules.lo, rules.length, rules.protocol, rules.first, rules.last))))
    with path.open("w") as file:
        file.write("table ip sg {\n")
        for group in range(case.network.groups):
            file.write(f"chain g{group} {{\n")
            for lo, length, protocol, first, last in rows[offsets[group] : offsets[group + 1]]:
                service = "" if protocol < 0 else f"{'tcp' if protocol == 6 else 'udp'} dport {first}-{last} "
                file.write(f"ip saddr {Cidr(4, lo, length)} {service}accept\n")
            file.write("}\n")
        file.write("}\n")


def _enter(case: Case, bench: Bench) -> Iterator[_Entry]:
    if case.facts["rules"] > _MOST_RULES:
        return
    find_program("nft", "nftables")
    unshare = find_program("unshare", "util-linux")
    if os.geteuid() != 0:
        raise UnavailableError("nft needs root")
    rules = bench.directory / "rules.nft"
    _rule_set(case, rules)
    server = Server([unshare, "--net", sys.executable, "-m", "benchmarks.update.nft", rules])
    if server.first != "ready":
        raise UnavailableError(f"libnftables: {server.first}")
    yield _Entry(case, server)


def _serve(rules: Path) -> None:
    library = ctypes.CDLL("libnftables.so.1")
    library.nft_ctx_new.restype = library.nft_ctx_get_output_buffer.restype = ctypes.c_void_p
    library.nft_ctx_get_error_buffer.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.nft_ctx_new(0))
    library.nft_ctx_buffer_output(context)
    library.nft_ctx_buffer_error(context)

    def run(line: str) -> str:
        failed = library.nft_run_cmd_from_buffer(context, line.encode())
        get = library.nft_ctx_get_error_buffer if failed else library.nft_ctx_get_output_buffer
        text = ctypes.string_at(get(context)).decode().replace("\n", " ")
        return f"!{text}" if failed else text

    print(run(rules.read_text()) or "ready", flush=True)
    for line in sys.stdin:
        begin = time.process_time()
        said = run(line)
        print(said if said else time.process_time() - begin, flush=True)


CONTENDER = Contender("nft", _enter, Needs(debian=("nftables", "util-linux")))

if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
