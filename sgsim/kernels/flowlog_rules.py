"""What makes fields a record: the rules that text and Parquet share, so that both put a record into the same class."""

from __future__ import annotations

from typing import Any

from sgsim.kernels import flowlog_codes as codes
from sgsim.kernels._jit import helper
from sgsim.kernels.flowlog_words import uncounted

__all__ = ["is_told_of_silence", "number_limit", "number_problem", "record_class"]


@uncounted
@helper
def number_limit(role: int) -> Any:
    """The largest number that may stand in a field."""
    if role <= codes.DSTPORT:
        return 65535
    if role == codes.PROTOCOL or role == codes.TCP_FLAGS:
        return 255
    if role == codes.START or role == codes.END:
        return codes.LIMIT_TIME - 1
    return codes.LARGEST


@uncounted
@helper
def number_problem(role: int, value: Any) -> Any:
    """Why a number (or MISSING, NOT_ONE, LARGE of the codes) cannot stand in a field; 0 if it can."""
    if value < 0:
        if value == codes.NOT_ONE:
            return codes.NOT_A_NUMBER
        if value == codes.LARGE:
            return codes.TOO_LARGE
        return codes.BAD_VERSION if role == codes.VERSION else 0
    if role <= codes.DSTPORT:
        return codes.PORT if value > 65535 else 0
    if role == codes.PROTOCOL:
        return codes.PROTOCOL_RANGE if value > 255 else 0
    if role == codes.START or role == codes.END:
        return codes.TIME_RANGE if value >= codes.LIMIT_TIME else 0
    if role == codes.TCP_FLAGS:
        return codes.TOO_LARGE if value > 255 else 0
    if role == codes.VERSION:
        return codes.BAD_VERSION if value != 2 else 0
    return 0


@uncounted
@helper
def is_told_of_silence(role: int) -> Any:
    """Whether a NODATA or SKIPDATA line says this, and must say it well."""
    return role == codes.START or role == codes.END or role == codes.ACCOUNT_ID or role == codes.INTERFACE_ID


@uncounted
@helper
def _judge(
    families: Any, row: int, source_port: Any, destination_port: Any, protocol: Any, start: Any, finish: Any
) -> Any:
    """The class of a line whose fields are all well-formed (or `-`): OK, INCOMPLETE or a cause."""
    source, destination = families[0, row], families[1, row]
    packet_source, packet_destination = families[2, row], families[3, row]
    if (source == 0 and packet_source == 0) or (destination == 0 and packet_destination == 0):
        return codes.INCOMPLETE
    if protocol < 0 or start < 0 or finish < 0:
        return codes.INCOMPLETE
    if (source_port < 0 or destination_port < 0) and (protocol == 6 or protocol == 17):
        return codes.INCOMPLETE
    best_source = packet_source if packet_source != 0 else source
    best_destination = packet_destination if packet_destination != 0 else destination
    if best_source != best_destination or (source != destination and source != 0 and destination != 0):
        return codes.FAMILIES
    if finish < start:
        return codes.END_FIRST
    return codes.OK


@uncounted
@helper
def record_class(
    status: int, status_cause: int, silent_cause: int, cause: int, is_efa: bool, families: Any, row: int,
    source_port: Any, destination_port: Any, protocol: Any, start: Any, finish: Any,
) -> Any:  # fmt: skip
    """The class of a line that has all its fields; `…cause` are the first ones found, 0 for none."""
    if status_cause != 0:
        return status_cause
    if status == codes.NODATA or status == codes.SKIPDATA:
        if silent_cause != 0:
            return silent_cause
        if start < 0 or finish < 0:
            return codes.NOT_A_NUMBER
        return codes.END_FIRST if finish < start else status
    if is_efa:
        return codes.EFA
    if cause != 0:
        return cause
    return _judge(families, row, source_port, destination_port, protocol, start, finish)
