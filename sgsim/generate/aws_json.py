"""A network → a directory of the JSON that AWS prints, item by item: memory does not grow with the environment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from sgsim.generate.environment import ACCOUNT, REGION, groups_of, interfaces_of, prefix_lists_of, vpcs_of
from sgsim.generate.network import Network
from sgsim.importers.aws_json import COLLECTION_KEY
from sgsim.importers.write import new_directory
from sgsim.importers.write_items import (
    entry_item,
    group_item,
    interface_item,
    prefix_list_item,
    rule_item,
    vpc_item,
)

__all__ = ["write_network"]

_BATCH = 4096


def write_network(network: Network, destination: str | os.PathLike[str]) -> None:
    """Write the network as `aws ec2 describe-…` prints it, one item a line; the directory is new and appears whole.

    `read_environment` gives what `environment_of` does. Raises OutputError.
    """
    with new_directory(Path(destination)) as folder:
        encode = msgspec.json.Encoder().encode
        notes = {"CollectedAt": None, "Account": ACCOUNT, "Region": REGION, "Closed": True}
        _write(folder / "collection.json", COLLECTION_KEY, [encode(notes)], listed=False)
        _write(folder / "security-groups.json", "SecurityGroups", map(encode, map(group_item, groups_of(network))))
        rules = chain.from_iterable(group.rules for group in groups_of(network))
        items = (encode(rule_item(rule, ACCOUNT)) for rule in rules)
        _write(folder / "security-group-rules.json", "SecurityGroupRules", items)
        interfaces = (encode(interface_item(one)) for one in interfaces_of(network))
        _write(folder / "network-interfaces.json", "NetworkInterfaces", interfaces)
        _write(folder / "vpcs.json", "Vpcs", (encode(vpc_item(vpc)) for vpc in vpcs_of(network)))
        lists = list(prefix_lists_of(network))
        _write(folder / "managed-prefix-lists.json", "PrefixLists", map(encode, map(prefix_list_item, lists)))
        for one in lists:
            more: dict[str, Any] = {"PrefixListId": one.prefix_list_id}
            entries = (encode(entry_item(cidr)) for cidr in one.entries or ())
            _write(folder / f"{one.prefix_list_id}.json", "Entries", entries, more)
        for name, key in (
            ("vpc-peering-connections", "VpcPeeringConnections"),
            ("transit-gateway-vpc-attachments", "TransitGatewayVpcAttachments"),
        ):
            _write(folder / f"{name}.json", key, [])


def _write(
    path: Path, key: str, items: Iterable[bytes], more: dict[str, Any] | None = None, *, listed: bool = True
) -> None:
    """One file: `items` under a key, as a list unless there is just one thing."""
    with path.open("xb") as file:
        file.write(b'{"%s": %s' % (key.encode(), b"[\n" if listed else b""))
        separator = b""
        for batch in _batches(items):
            file.write(separator + b",\n".join(batch))
            separator = b",\n"
        file.write(b"\n]" if listed else b"")
        for name, value in (more or {}).items():
            file.write(b', "%s": %s' % (name.encode(), msgspec.json.encode(value)))
        file.write(b"}\n")
        file.flush()
        os.fsync(file.fileno())


def _batches(items: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
