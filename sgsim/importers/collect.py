"""An account's export over AWS's API: read-only calls, every page, the same JSON as the AWS CLI prints.

boto3 is the extra `sgsim[aws]` and is imported when collecting starts.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sgsim.errors import CollectError, EnvironmentInputError, MissingExtraError, OutputError
from sgsim.importers.aws_json import COLLECTION_KEY
from sgsim.importers.environment import read_environment

__all__ = ["CALLS", "Call", "CollectedRegion", "collect", "iam_policy"]


@dataclass(frozen=True, slots=True)
class Call:
    """One describe call: `key` is the top-level key of its output, `stem` the file's name without `.json`."""

    name: str
    key: str
    page_size: int = 1000

    @property
    def operation(self) -> str:
        """The method of boto3's client."""
        return self.name.replace("-", "_")

    @property
    def action(self) -> str:
        """The IAM action."""
        return "ec2:" + "".join(part.capitalize() for part in self.name.split("-"))

    @property
    def stem(self) -> str:
        return self.name.removeprefix("describe-")


GROUPS = Call("describe-security-groups", "SecurityGroups")
RULES = Call("describe-security-group-rules", "SecurityGroupRules")
PREFIX_LISTS = Call("describe-managed-prefix-lists", "PrefixLists", 100)
ENTRIES = Call("get-managed-prefix-list-entries", "Entries", 100)

#: In this order. Groups and rules come first and together, so that few changes fall between them.
CALLS = (
    GROUPS,
    RULES,
    Call("describe-network-interfaces", "NetworkInterfaces"),
    Call("describe-instances", "Reservations"),
    PREFIX_LISTS,
    Call("describe-vpcs", "Vpcs"),
    Call("describe-subnets", "Subnets"),
    Call("describe-vpc-peering-connections", "VpcPeeringConnections"),
    Call("describe-transit-gateways", "TransitGateways"),
    Call("describe-transit-gateway-vpc-attachments", "TransitGatewayVpcAttachments"),
    Call("describe-security-group-vpc-associations", "SecurityGroupVpcAssociations"),
    Call("describe-traffic-mirror-sessions", "TrafficMirrorSessions"),
    Call("describe-network-acls", "NetworkAcls"),
)

#: Errors after which no other call will fare better.
_HOPELESS = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_ATTEMPTS = 3

_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class CollectedRegion:
    """What one Region gave: items by call, and the calls that gave nothing with the reason."""

    region: str
    collected_at: datetime
    account_id: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    missing: list[dict[str, str]] = field(default_factory=list)

    def metadata(self) -> dict[str, Any]:
        """The content of `collection.json`, which `read_environment` understands."""
        notes: dict[str, Any] = {
            "CollectedAt": self.collected_at.isoformat(timespec="seconds"),
            "Account": self.account_id,
            "Region": self.region,
            "Items": self.counts,
            "Missing": self.missing,
        }
        return {COLLECTION_KEY: notes}


def iam_policy() -> dict[str, Any]:
    """The IAM policy that collecting needs: these read-only actions and no others."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "SgsimCollect",
                "Effect": "Allow",
                "Action": sorted(call.action for call in (*CALLS, ENTRIES)),
                "Resource": "*",
            }
        ],
    }


def collect(
    destination: str | os.PathLike[str],
    *,
    regions: Sequence[str] = (),
    profile: str | None = None,
    endpoint_url: str | None = None,
    report: Callable[[str], None] = lambda message: None,
) -> list[CollectedRegion]:
    """Write `destination/<region>/*.json`; the directory appears whole or not at all.

    Without `regions`, the Region is the profile's. `report` gets one line for every listing that could not be had.
    Raises CollectError, OutputError, and MissingExtraError without boto3.
    """
    try:
        import boto3
        import botocore.config
        import botocore.exceptions
    except ImportError:
        raise MissingExtraError("collecting needs boto3; install it with: pip install 'sgsim[aws]'") from None
    target = Path(destination)
    partial = _partial_directory(target)
    config = botocore.config.Config(retries={"mode": "standard", "max_attempts": 8}, user_agent_extra="sgsim")
    try:
        session = boto3.Session(profile_name=profile)
        names = list(dict.fromkeys(regions)) or [session.region_name]
        if None in names:
            raise CollectError("no Region is given and the profile has none; name one with --region")
        collected = []
        for name in names:
            clients = [
                session.client(service, region_name=name, endpoint_url=endpoint_url, config=config)
                for service in ("ec2", "sts")
            ]
            collected.append(_Region(name, partial / name, *clients, report=report).run())
        os.rename(partial, target)  # noqa: PTH104  as the one step that makes the directory appear
    except (botocore.exceptions.BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
        raise CollectError(f"AWS cannot be asked: {error}") from None
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return collected


def _partial_directory(target: Path) -> Path:
    """A fresh directory beside the target, which must not exist or be empty."""
    if target.is_dir() and not target.is_symlink():
        occupied = any(target.iterdir())
    else:
        occupied = os.path.lexists(target)
    if occupied:
        raise OutputError(f"{target}: exists already; choose a new directory, an export is never mixed with another")
    partial = target.absolute().parent / f".{target.name}.{secrets.token_hex(4)}.partial"
    try:
        partial.mkdir()
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror or error})") from None
    return partial


class _Region:
    """Collects one Region into one folder."""

    def __init__(self, region: str, folder: Path, ec2: Any, sts: Any, *, report: Callable[[str], None]) -> None:
        self._folder, self._ec2, self._sts, self._report = folder, ec2, sts, report
        self._result = CollectedRegion(region, datetime.now(UTC))

    def run(self) -> CollectedRegion:
        """Make all calls. Raises CollectError if neither groups nor rules can be had."""
        self._folder.mkdir()
        self._result.account_id = self._account()
        self._groups_and_rules()
        for call in CALLS:
            if call in (GROUPS, RULES):
                continue
            items = self._listing(call)
            if call is PREFIX_LISTS:
                for prefix_list in items:
                    if re.fullmatch(r"pl-[0-9A-Za-z]+", prefix_list["PrefixListId"]):
                        self._entries(prefix_list["PrefixListId"])
        self._write("collection", self._result.metadata())
        return self._result

    def _groups_and_rules(self) -> None:
        """Both views of the groups; again if the rules were changed between the two calls."""
        for attempt in range(_ATTEMPTS):
            self._result.missing.clear()
            groups, rules = self._listing(GROUPS), self._listing(RULES)
            if len(self._result.missing) == 2:
                reason = self._result.missing[0]["Reason"]
                raise CollectError(f"{self._result.region}: no security groups can be read ({reason})")
            if not groups or not rules:
                return
            try:
                read_environment(*(self._folder / f"{call.stem}.json" for call in (GROUPS, RULES)))
                return
            except EnvironmentInputError as error:
                if attempt == _ATTEMPTS - 1:
                    self._report(f"{self._result.region}: the groups as collected cannot be used: {error.problem}")

    def _account(self) -> str | None:
        """The account's id; every principal may ask for it."""
        account, _ = self._asked(lambda: str(self._sts.get_caller_identity()["Account"]))
        return account

    def _listing(self, call: Call) -> list[Any]:
        """All items of one call, written to its file; an empty list and a note if there is no answer."""
        answer = self._ask(call, call.name)
        if answer is None:
            return []
        items: list[Any] = answer[call.key]
        self._result.counts[call.name] = len(items)
        self._write(call.stem, answer)
        return items

    def _entries(self, list_id: str) -> None:
        answer = self._ask(ENTRIES, f"{ENTRIES.name} {list_id}", PrefixListId=list_id)
        if answer is not None:
            self._write(list_id, answer)

    def _ask(self, call: Call, name: str, **arguments: str) -> dict[str, Any] | None:
        """All pages of one call as one answer, as the AWS CLI joins them; None if there is none, which is noted."""

        def items() -> list[Any]:
            pages = self._ec2.get_paginator(call.operation).paginate(
                **arguments, PaginationConfig={"PageSize": call.page_size}
            )
            return [item for page in pages for item in page.get(call.key, ())]

        if hasattr(self._ec2, call.operation):
            found, reason = self._asked(items)
        else:
            found, reason = None, "the installed boto3 is too old for it"
        if found is None:
            self._result.missing.append({"Call": name, "Key": call.key, "Reason": reason})
            self._report(f"{self._result.region}: {name} gave nothing ({reason}); it is noted as missing")
            return None
        return {call.key: found}

    def _asked(self, question: Callable[[], _Answer]) -> tuple[_Answer | None, str]:
        """The answer, or the reason why there is none. Raises CollectError where no question will be answered."""
        from botocore.exceptions import ClientError
        from botocore.parsers import ResponseParserError

        try:
            return question(), ""
        except (ResponseParserError, KeyError):  # KeyError: what botocore says of an answer to another question
            return None, "the answer cannot be understood"
        except ClientError as error:
            details = error.response.get("Error", {})
            code, message = str(details.get("Code") or "error"), " ".join(str(details.get("Message") or "").split())
            reason = f"{code}: {message[:200]}" if message else code
            if code in _HOPELESS:
                raise CollectError(f"{self._result.region}: AWS refuses the credentials ({reason})") from None
            return None, reason

    def _write(self, stem: str, content: dict[str, Any]) -> None:
        with (self._folder / f"{stem}.json").open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=4, default=_timestamp)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())


def _timestamp(value: object) -> str:
    """Times as the AWS CLI prints them."""
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in an answer of AWS")
