"""Captures in, columns of decoded packets out.

scan = scan_packets(["a.pcap", "b.pcapng.gz"])
for batch in scan: ...          # PacketBatch, in time order
scan.counts                     # what became of every packet of every file
"""

from __future__ import annotations

from sgsim.traffic.counts import PacketCounts
from sgsim.traffic.scan import PacketScan, scan_packets

__all__ = ["PacketCounts", "PacketScan", "scan_packets"]
