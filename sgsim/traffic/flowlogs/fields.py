"""Which fields a flow log has, and in which order (docs/semantics.md §5.6).

A log says its format in one of three ways: a header line of hyphenated names (files in S3), the `LogFormat` string
that AWS shows (`${version} ${vpc-id} …`, needed where there is no header), or nothing at all, which means the
default fields of version 2. A format that is not said is never inferred from values: they do not tell.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sgsim.errors import TrafficInputError
from sgsim.kernels import flowlog_codes as codes

__all__ = ["DEFAULT_FIELDS", "FIELD_VERSIONS", "OPTIONAL_FIELDS", "LogFormat", "header_fields", "parse_log_format"]

_FIELDS_BY_VERSION = {
    2: "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action"
    " log-status",
    3: "vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr",
    4: "region az-id sublocation-type sublocation-id",
    5: "pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path",
    7: "ecs-cluster-arn ecs-cluster-name ecs-container-instance-arn ecs-container-instance-id ecs-container-id"
    " ecs-second-container-id ecs-service-name ecs-task-definition-arn ecs-task-arn ecs-task-id",
    8: "reject-reason",
    9: "resource-id",
    10: "encryption-status",
    11: "instance-tag instance-tag-2 interface-tag interface-tag-2 asg-tag asg-tag-2 interface-type"
    " next-hop-interface-id next-hop-subnet-id next-hop-az-id next-hop-vpc-id next-hop-interface-type",
}
FIELD_VERSIONS = {name: version for version, names in _FIELDS_BY_VERSION.items() for name in names.split()}
DEFAULT_FIELDS = tuple(_FIELDS_BY_VERSION[2].split())

#: Fields that only transit gateway flow logs have (version 6): one of them makes a log such a log.
_TRANSIT_GATEWAY_FIELDS = frozenset((
    "resource-type", "tgw-id", "tgw-attachment-id", "tgw-src-vpc-account-id", "tgw-dst-vpc-account-id",
    "tgw-src-vpc-id", "tgw-dst-vpc-id", "tgw-src-subnet-id", "tgw-dst-subnet-id", "tgw-src-eni", "tgw-dst-eni",
    "tgw-src-az-id", "tgw-dst-az-id", "tgw-pair-attachment-id", "packets-lost-no-route", "packets-lost-blackhole",
    "packets-lost-mtu-exceeded", "packets-lost-ttl-expired",
))  # fmt: skip

_ROLES = {
    "srcaddr": codes.SRCADDR,
    "dstaddr": codes.DSTADDR,
    "pkt-srcaddr": codes.PKT_SRCADDR,
    "pkt-dstaddr": codes.PKT_DSTADDR,
    "srcport": codes.SRCPORT,
    "dstport": codes.DSTPORT,
    "protocol": codes.PROTOCOL,
    "packets": codes.PACKETS,
    "bytes": codes.BYTES,
    "start": codes.START,
    "end": codes.END,
    "tcp-flags": codes.TCP_FLAGS,
    "action": codes.ACTION,
    "log-status": codes.LOG_STATUS,
    "flow-direction": codes.FLOW_DIRECTION,
    "type": codes.TYPE,
    "account-id": codes.ACCOUNT_ID,
    "interface-id": codes.INTERFACE_ID,
    "vpc-id": codes.VPC_ID,
    "subnet-id": codes.SUBNET_ID,
    "instance-id": codes.INSTANCE_ID,
    "reject-reason": codes.REJECT_REASON,
}

#: Without these a record is no flow in time; of each pair of addresses one is enough.
_NEEDED = (
    ("srcaddr", "pkt-srcaddr"),
    ("dstaddr", "pkt-dstaddr"),
    ("srcport",),
    ("dstport",),
    ("protocol",),
    ("start",),
    ("end",),
)
#: Fields that are read but may be left out by a caller who does not use them.
OPTIONAL_FIELDS = frozenset(_ROLES) - {name for names in _NEEDED for name in names} - {"log-status", "type"}

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_PLACEHOLDER = re.compile(r"\$\{([^{}]*)\}")


@dataclass(frozen=True)
class LogFormat:
    """The fields of a log in their order, hyphenated; `origin` says who named them: header, option or default."""

    names: tuple[str, ...]
    origin: str

    @cached_property
    def is_transit_gateway(self) -> bool:
        """Whether these are the fields of transit gateway flow logs."""
        return not _TRANSIT_GATEWAY_FIELDS.isdisjoint(self.names)

    def read(self, wanted: Collection[str] = OPTIONAL_FIELDS) -> frozenset[str]:
        """The fields that are read, of those that the log has; of OPTIONAL_FIELDS only `wanted`."""
        return frozenset(self.names) & (frozenset(_ROLES) - (OPTIONAL_FIELDS - frozenset(wanted)))

    def roles(self, wanted: Collection[str] = OPTIONAL_FIELDS) -> npt.NDArray[np.int8]:
        """What each position is read as (codes of `sgsim.kernels.flowlog_codes`); of OPTIONAL_FIELDS only `wanted`."""
        read = self.read(wanted)
        roles = [_ROLES[name] if name in read else codes.SKIP for name in self.names]
        if self.origin == "default":
            roles[0] = codes.VERSION
        return np.array(roles, np.int8)

    def check(self, *, source: str, where: str = "") -> None:
        """Raise TrafficInputError if a needed field is missing or a field is named twice."""
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise TrafficInputError(f"the log format names {', '.join(twice)} twice", source=source, where=where)
        if self.is_transit_gateway:
            return
        missing = [" or ".join(names) for names in _NEEDED if not any(name in self.names for name in names)]
        if missing:
            raise TrafficInputError(
                f"the log format lacks {', '.join(missing)}",
                source=source,
                where=where,
                advice="publish the flow log with these fields (the default format has them)",
            )


def header_fields(line: bytes) -> tuple[str, ...] | None:
    """The field names of a header line, hyphenated, or None if the line is not one.

    A header consists of names only, and at least two of them are known: fields of later versions may stand beside.
    """
    names = line.decode("utf-8", "replace").split()
    if len(names) < 2 or not all(_NAME.fullmatch(name) for name in names):
        return None
    hyphenated = tuple(name.replace("_", "-") for name in names)
    known = sum(name in FIELD_VERSIONS or name in _TRANSIT_GATEWAY_FIELDS for name in hyphenated)
    return hyphenated if known >= 2 else None


def parse_log_format(text: str, *, check: bool = True) -> LogFormat:
    """The format that `--log-format` gives: `${version} ${vpc-id} …` as AWS shows it, or the bare names.

    Raises TrafficInputError if it cannot be understood, or (`check`) lacks a needed field.
    """
    source = "log format"
    names: Sequence[str] = _PLACEHOLDER.findall(text)
    rest = _PLACEHOLDER.sub(" ", text) if names else ""
    names = names or text.replace(",", " ").split()
    wrong = rest.split() + [name for name in names if not _NAME.fullmatch(name)]
    if wrong or not names:
        raise TrafficInputError(
            f"cannot understand {wrong[0] if wrong else text!r}",
            source=source,
            advice="give it as AWS shows it, such as '${version} ${vpc-id} ${srcaddr}'",
        )
    log_format = LogFormat(tuple(name.replace("_", "-") for name in names), "option")
    if check:
        log_format.check(source=source)
    return log_format
