"""Security-group firewall simulator.

Public names are imported when they are first used, so that `import sgsim` and `sgsim --help` stay instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sgsim.analysis.explain import explain
    from sgsim.analysis.explanation import Explanation
    from sgsim.analysis.notation import parse_flow
    from sgsim.engine import (
        Engine,
        Replay,
        ReplayOptions,
        ReplaySummary,
        Snapshot,
        evaluate,
        replay,
    )
    from sgsim.engine.logs import LogOptions, LogReplay, replay_logs
    from sgsim.errors import (
        ChangeError,
        ChangeInputError,
        EnvironmentInputError,
        InputError,
        ModelError,
        NotationError,
        OutputError,
        SgsimError,
        TrafficInputError,
    )
    from sgsim.flows import FlowBlock, FlowTable
    from sgsim.importers import read_environment
    from sgsim.importers.changes import read_changes
    from sgsim.importers.write import write_environment
    from sgsim.model import Direction, Environment, NetworkInterface, SecurityGroup, SecurityGroupRule, Semantics
    from sgsim.model.apply import apply
    from sgsim.model.changes import ChangeSet
    from sgsim.model.difference import difference, inverse
    from sgsim.traffic import PacketCounts, PacketScan, scan_packets
    from sgsim.traffic.flowlogs import FlowLogScan, scan_flow_logs
    from sgsim.verdicts import Reason, RuleVerdicts, Verdict, Verdicts

    __version__: str

__all__ = [
    "ChangeError",
    "ChangeInputError",
    "ChangeSet",
    "Direction",
    "Engine",
    "Environment",
    "EnvironmentInputError",
    "Explanation",
    "FlowBlock",
    "FlowLogScan",
    "FlowTable",
    "InputError",
    "LogOptions",
    "LogReplay",
    "ModelError",
    "NetworkInterface",
    "NotationError",
    "OutputError",
    "PacketCounts",
    "PacketScan",
    "Reason",
    "Replay",
    "ReplayOptions",
    "ReplaySummary",
    "RuleVerdicts",
    "SecurityGroup",
    "SecurityGroupRule",
    "Semantics",
    "SgsimError",
    "Snapshot",
    "TrafficInputError",
    "Verdict",
    "Verdicts",
    "apply",
    "difference",
    "evaluate",
    "explain",
    "inverse",
    "parse_flow",
    "read_changes",
    "read_environment",
    "replay",
    "replay_logs",
    "scan_flow_logs",
    "scan_packets",
    "write_environment",
]

_HOMES = {
    "sgsim.analysis.explain": "explain",
    "sgsim.analysis.explanation": "Explanation",
    "sgsim.analysis.notation": "parse_flow",
    "sgsim.engine": "Engine Replay ReplayOptions ReplaySummary Snapshot evaluate replay",
    "sgsim.engine.logs": "LogOptions LogReplay replay_logs",
    "sgsim.errors": """ChangeError ChangeInputError EnvironmentInputError InputError ModelError NotationError
        OutputError SgsimError TrafficInputError""",
    "sgsim.flows": "FlowBlock FlowTable",
    "sgsim.importers": "read_environment",
    "sgsim.importers.changes": "read_changes",
    "sgsim.importers.write": "write_environment",
    "sgsim.model": "Direction Environment NetworkInterface SecurityGroup SecurityGroupRule Semantics",
    "sgsim.model.apply": "apply",
    "sgsim.model.changes": "ChangeSet",
    "sgsim.model.difference": "difference inverse",
    "sgsim.traffic": "PacketCounts PacketScan scan_packets",
    "sgsim.traffic.flowlogs": "FlowLogScan scan_flow_logs",
    "sgsim.verdicts": "Reason RuleVerdicts Verdict Verdicts",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("sgsim")
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'sgsim' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
