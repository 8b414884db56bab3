"""The packet space of interfaces: exactly which packets their rules accept, without any traffic.

    views = Views(environment)
    view = views.of("eni-1", Direction.INGRESS)          what surely passes, and what only may
    for part in view.accepted.parts(): ...               disjoint: services from (or to) address blocks
    difference(before, after)                            what a change opens and closes, at which interfaces
    exposure(view.accepted, internet(environment))       what is open to the internet

Packets are whole: a later fragment or a flow without its ICMP type is no point of this space (docs/semantics.md
§9.15). Traffic that groups never see (§3) is left out. docs/packet-space.md says more.
"""

from sgsim.analysis.space_algebra import EVERYTHING, NOTHING, Part, Space
from sgsim.analysis.space_difference import InterfaceChange, SpaceChange, change_between, difference
from sgsim.analysis.space_internet import Exposure, Threshold, exposure, internet
from sgsim.analysis.space_services import format_services, service_point, service_words
from sgsim.analysis.space_views import View, ViewKey, Views, view_key

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "Exposure",
    "InterfaceChange",
    "Part",
    "Space",
    "SpaceChange",
    "Threshold",
    "View",
    "ViewKey",
    "Views",
    "change_between",
    "difference",
    "exposure",
    "format_services",
    "internet",
    "service_point",
    "service_words",
    "view_key",
]
