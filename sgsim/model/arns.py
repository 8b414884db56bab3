"""Amazon resource names: `arn:partition:service:region:account:resource`."""

from __future__ import annotations

import re
from typing import NamedTuple

from sgsim.errors import ModelError

__all__ = ["Arn", "iam_arn", "is_account_id", "parse_arn", "resource_arn"]

_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_PARTITION = re.compile(r"aws(-[a-z0-9-]+)?", re.ASCII)


class Arn(NamedTuple):
    """The parts of a name; `region` and `account_id` are "" where the name has none, as those of images."""

    partition: str
    service: str
    region: str
    account_id: str
    resource: str

    @property
    def kind(self) -> str:
        """What stands before the first `/` of the resource: `user`, `role`, `policy`, `root` …"""
        return self.resource.partition("/")[0]

    @property
    def path(self) -> str:
        """The path of a user, group, role or policy, `/` if it has none."""
        return f"/{'/'.join(self.resource.split('/')[1:-1])}/".replace("//", "/")

    @property
    def name(self) -> str:
        """What stands after the last `/` of the resource."""
        return self.resource.rpartition("/")[2]

    def __str__(self) -> str:
        return f"arn:{':'.join(self)}"


def parse_arn(text: str) -> Arn:
    """The parts of a name. Raises ModelError."""
    prefix, *parts = text.split(":", 5)
    if prefix != "arn" or len(parts) != 5 or not parts[1] or not parts[4] or not _PARTITION.fullmatch(parts[0]):
        raise ModelError(f"{text[:80]!r} is not an ARN (arn:partition:service:region:account:resource)")
    arn = Arn(*parts)
    if arn.account_id and not is_account_id(arn.account_id) and arn.account_id not in ("aws", "aws-marketplace"):
        raise ModelError(f"{text[:80]!r} is not an ARN: {arn.account_id[:20]!r} is not an account")
    return arn


def is_account_id(text: str) -> bool:
    """Whether this is an account's id, 12 digits."""
    return _ACCOUNT.fullmatch(text) is not None


def iam_arn(account_id: str, kind: str, name: str, path: str = "/", partition: str = "aws") -> str:
    """The name of a user, group, role or policy: `iam_arn("111122223333", "user", "ada", "/staff/")`."""
    return f"arn:{partition}:iam::{account_id}:{kind}{path}{name}"


def resource_arn(region: str | None, account_id: str | None, kind: str, identifier: str) -> str:
    """The name of a resource of EC2. Images and snapshots have no account (docs/iam.md A3)."""
    owner = "" if kind in ("image", "snapshot") else account_id or ""
    return f"arn:{_partition(region or '')}:ec2:{region or ''}:{owner}:{kind}/{identifier}"


def _partition(region: str) -> str:
    """AWS keeps its Regions in China and those of the US government apart from all others."""
    apart = next((stem for stem in ("cn", "us-gov") if region.startswith(f"{stem}-")), None)
    return "aws" if apart is None else f"aws-{apart}"
