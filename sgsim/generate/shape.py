"""What is drawn, and from which distributions (docs/generate.md says where each comes from)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sgsim.errors import ModelError

__all__ = [
    "COMMON_PORTS",
    "GROUPS_OF_INTERFACE",
    "LENGTHS_V4",
    "LENGTHS_V6",
    "PROTOCOL_ODDS",
    "RANGES_V4",
    "RANGES_V6",
    "SERVICE_ODDS",
    "Shape",
]

COMMON_PORTS = np.array(
    [22, 25, 53, 80, 110, 123, 143, 389, 443, 445, 993, 1433, 1521, 3306, 3389, 5432, 6379, 8080, 8443, 9200]
)
#: Of a rule's ports: one of the common ones, another single one, a range of up to 3 000.
SERVICE_ODDS = (0.70, 0.15, 0.15)
#: TCP, UDP, all protocols.
PROTOCOL_ODDS = (0.75, 0.20, 0.05)
#: Prefix length → odds.
LENGTHS_V4 = {
    0: 0.005, 8: 0.025, 12: 0.02, 16: 0.09, 18: 0.05, 20: 0.08, 22: 0.04, 24: 0.25, 26: 0.04, 28: 0.05, 30: 0.02,
    32: 0.33,
}  # fmt: skip
LENGTHS_V6 = {0: 0.005, 32: 0.025, 40: 0.04, 44: 0.04, 48: 0.17, 56: 0.10, 60: 0.04, 64: 0.25, 128: 0.33}
#: (first address, prefix length, odds): private ranges, a cloud's, anywhere.
RANGES_V4 = ((0x0A000000, 8, 0.45), (0xAC100000, 12, 0.10), (0xC0A80000, 16, 0.10), (0x34000000, 8, 0.20), (0, 0, 0.15))
#: The same for the high halves of IPv6 addresses: a cloud's, unique local, anywhere in 2000::/3.
RANGES_V6 = ((0x26001F0000000000, 24, 0.45), (0xFD00000000000000, 8, 0.25), (0x2000000000000000, 3, 0.30))
#: How many groups an interface carries → odds.
GROUPS_OF_INTERFACE = {1: 0.45, 2: 0.25, 3: 0.15, 4: 0.10, 5: 0.05}

_SHARES = ("references", "prefix_lists", "ipv6", "nested", "locked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The size of an environment, and shares of what is in it.

    `rules` of all groups together, the allow-all egress rules that AWS gives every new group not counted: those come
    on top unless `default_egress` is False. `spread` is sigma of the log-normal sizes of groups; 0 makes them equal.
    `most_groups` bounds the groups of an interface. Shares of rules: `references` to groups, to `prefix_lists`, `ipv6`
    among the rest; `nested` of them lie inside another rule's block with its service, `depth` levels deep. `locked` is
    the share of groups without allow-all egress, a third of whose rules are for egress.
    Raises ModelError if no such environment can be.
    """

    rules: int = 10_000
    groups: int = 200
    interfaces: int = 2_000
    spread: float = 0.6
    most_groups: int = 5
    references: float = 0.10
    prefix_lists: float = 0.05
    ipv6: float = 0.15
    nested: float = 2 / 3
    depth: int = 1
    locked: float = 0.10
    default_egress: bool = True

    def __post_init__(self) -> None:
        for name in ("rules", "groups", "interfaces", "most_groups", "depth"):
            if getattr(self, name) < 1:
                raise ModelError(f"{name.replace('_', ' ')}: {getattr(self, name)} is less than 1")
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ModelError(f"{name.replace('_', ' ')}: {getattr(self, name):g} is not a share between 0 and 1")
        if self.references + self.prefix_lists > 1:
            raise ModelError("references and prefix lists together are more than all rules")
        if self.rules < self.groups:
            raise ModelError(f"{self.rules} rules cannot fill {self.groups} groups; every group has one or more")
        if self.interfaces > 1 << 22:
            raise ModelError(f"{self.interfaces} interfaces do not fit into 100.64.0.0/10 (4194304)")
        if self.rules > 100_000_000:
            raise ModelError(f"{self.rules} rules are more than 100 million")
        if not 0 <= self.spread <= 3:
            raise ModelError(f"spread: {self.spread:g} is not between 0 and 3")
        if self.most_groups > len(GROUPS_OF_INTERFACE):
            raise ModelError(f"most groups: {self.most_groups} is more than {len(GROUPS_OF_INTERFACE)}")
