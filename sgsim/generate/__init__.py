"""Environments and traffic made from a seed: as large as wanted, shaped as security groups are (docs/generate.md).

    Shape ─▶ random_network ─▶ Network ─▶ environment_of ─▶ Environment
                                 │  └───▶ write_network ─▶ a directory of AWS's JSON
    Environment ─▶ network_of ───┴──────▶ TrafficStream ─▶ chunks of flows ─▶ FlowTable, pcap, flow log, Parquet

Columns throughout: a million rules are some tens of megabytes. The same arguments give the same bytes.
"""

from __future__ import annotations

from sgsim.generate.environment import environment_of, network_of
from sgsim.generate.flows import Flows, Judge, Traffic, TrafficStream, flow_table
from sgsim.generate.network import Network, Rules, random_network
from sgsim.generate.shape import Shape

__all__ = [
    "Flows",
    "Judge",
    "Network",
    "Rules",
    "Shape",
    "Traffic",
    "TrafficStream",
    "environment_of",
    "flow_table",
    "network_of",
    "random_network",
]
