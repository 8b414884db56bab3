"""Behaviour that AWS does not document, as named options with a documented default (docs/semantics.md §9)."""

from __future__ import annotations

from typing import Literal, Self

import msgspec

from sgsim.model.addresses import Cidr

__all__ = ["Semantics"]


class Semantics(msgspec.Struct, frozen=True, kw_only=True):
    """How sgsim answers where AWS is silent. Times are in seconds, limits are inclusive (§9.11)."""

    #: §1.8, §9.17 and §3 hold only under AWS; Linux has no exempt traffic.
    exempt: bool = True
    #: §2.1: whether a wide-open rule pair leaves TCP and UDP untracked. False: everything is tracked.
    untracked_flows: bool = True
    #: §2.5, §9.13: `rules` judges ICMP errors like any packet, `related` lets those in that quote a live connection.
    icmp_errors: Literal["rules", "related"] = "rules"
    #: §9.12: `rules` judges a TCP packet without SYN and without state by the rules, `reject` rejects it.
    tcp_midstream: Literal["rules", "reject"] = "rules"
    #: §9.15: `first` gives a later fragment the answer of its first fragment, `rules` judges it by rules alone.
    fragments: Literal["first", "rules"] = "first"
    #: §1.4: whether addresses of delegated prefixes count as members in group references.
    delegated_prefixes_are_members: bool = True
    #: §1.4: remote addresses behind a middlebox, which no group reference matches.
    behind_middlebox: tuple[Cidr, ...] = ()
    #: §2.3: idle timeouts where the interface sets none. On Nitro v6 instance types TCP has 350 s.
    tcp_established_timeout: int = 432_000
    tcp_established_timeout_nitro_v6: int = 350
    udp_timeout: int = 30
    udp_stream_timeout: int = 180
    #: §2.1, §9.10: other protocols, by (addresses, protocol).
    other_protocol_timeout: int = 600
    other_protocol_refresh: bool = True
    #: §9.12: timers that AWS does not publish.
    tcp_half_open_timeout: int = 60
    tcp_closing_timeout: int = 10
    #: §9.13
    icmp_timeout: int = 30
    #: §9.15: how long a first fragment is remembered.
    fragment_timeout: int = 30

    @classmethod
    def linux(cls) -> Self:
        """The variant under which nftables with conntrack is an oracle: everything tracked, nothing exempt."""
        return cls(exempt=False, untracked_flows=False, icmp_errors="related")
