"""Link types that the decoder does not know: scapy finds the outermost IP header in each packet. Loaded only then."""

from __future__ import annotations

import logging
import warnings
from functools import cache
from typing import Any

from sgsim.kernels import decode_codes as c

__all__ = ["find_ip"]


@cache
def _scapy() -> tuple[dict[int, Any], Any, Any]:
    """(link type -> packet class, IP, IPv6) of scapy with all its layers, which takes about a second to load."""
    logger = logging.getLogger("scapy")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # it speaks of missing routes and interfaces, which no capture needs
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from scapy.config import conf
            from scapy.layers import all as layers  # noqa: F401 (fills conf.l2types)
            from scapy.layers.inet import IP
            from scapy.layers.inet6 import IPv6
    finally:
        logger.setLevel(level)
    return conf.l2types.num2layer, IP, IPv6


def find_ip(frame: bytes, link_type: int) -> tuple[int, str]:
    """Where the outermost IP header of a frame starts: (position, ""), or (-cause, words for people)."""
    link_types, ip, ipv6 = _scapy()
    link = link_types.get(link_type)
    if link is None:
        return -c.UNSUPPORTED_LINK, f"link type {link_type}"
    talkative = logging.getLogger("scapy.runtime")
    was_disabled, talkative.disabled = talkative.disabled, True
    try:
        packet = link(frame)
        for layer in _layers(packet):
            if isinstance(layer, ip | ipv6):
                at = frame.find(bytes(layer.original))
                if layer.original and at >= 0:
                    return at, ""
                return -c.UNSUPPORTED_LINK, f"link type {link_type} with compressed or rewritten IP headers"
    except Exception:  # scapy raises whatever its field code happens to raise on damaged bytes
        return -c.BAD_OTHER_LINK, f"link type {link_type}: scapy cannot dissect the packet"
    finally:
        talkative.disabled = was_disabled
    return -c.NOT_IP_OTHER_LINK, f"link type {link_type} ({packet.name}) without IP"


def _layers(packet: Any) -> Any:
    """The layers of a packet from the outermost in."""
    while packet is not None and packet.name != "NoPayload":
        yield packet
        packet = packet.payload
