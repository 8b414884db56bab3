"""Security-group firewall simulator.

Public names are imported when they are first used, so that `import sgsim` and `sgsim --help` stay instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sgsim.errors import (
        EnvironmentInputError,
        InputError,
        ModelError,
        NotationError,
        OutputError,
        SgsimError,
        TrafficInputError,
    )
    from sgsim.flows import FlowBlock, FlowTable
    from sgsim.model import Direction, Environment, NetworkInterface, SecurityGroup, SecurityGroupRule, Semantics
    from sgsim.verdicts import Reason, RuleVerdicts, Verdict, Verdicts

    __version__: str

__all__ = [
    "Direction",
    "Environment",
    "EnvironmentInputError",
    "FlowBlock",
    "FlowTable",
    "InputError",
    "ModelError",
    "NetworkInterface",
    "NotationError",
    "OutputError",
    "Reason",
    "RuleVerdicts",
    "SecurityGroup",
    "SecurityGroupRule",
    "Semantics",
    "SgsimError",
    "TrafficInputError",
    "Verdict",
    "Verdicts",
]

_HOMES = {
    "sgsim.errors": """EnvironmentInputError InputError ModelError NotationError OutputError SgsimError
        TrafficInputError""",
    "sgsim.flows": "FlowBlock FlowTable",
    "sgsim.model": "Direction Environment NetworkInterface SecurityGroup SecurityGroupRule Semantics",
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
