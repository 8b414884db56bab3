"""The managed policies of AWS that ship with sgsim, trimmed to the services that it simulates (docs/iam.md A6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from sgsim.model.policies import Policy, PolicyKind, parse_policy

__all__ = ["ShippedPolicy", "shipped_policies"]


class ShippedPolicy(NamedTuple):
    """A managed policy as AWS published it in its version of a date."""

    arn: str
    version_id: str
    created: datetime
    policy: Policy


@cache
def shipped_policies() -> Mapping[str, ShippedPolicy]:
    """All of them, by ARN."""
    table = json.loads((files("sgsim.model") / "managed_policies.json").read_text("utf-8"))
    return {
        one["Arn"]: ShippedPolicy(
            arn=one["Arn"],
            version_id=one["VersionId"],
            created=datetime.fromisoformat(one["CreateDate"]),
            policy=parse_policy(one["Document"], PolicyKind.IDENTITY),
        )
        for one in table["Policies"]
    }
