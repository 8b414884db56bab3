"""Environment → a directory of the JSON that AWS prints of it, which `read_environment` reads back as it was.

What sgsim does not read (most tags, states of things, times) is not written either.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from sgsim.errors import EnvironmentInputError, OutputError
from sgsim.importers.aws_json import COLLECTION_KEY
from sgsim.importers.environment import read_environment
from sgsim.importers.write_directory import directory_documents, image_documents
from sgsim.importers.write_document import Document
from sgsim.importers.write_items import (
    acl_item,
    attachment_item,
    entry_item,
    gateway_item,
    group_item,
    interface_item,
    mirror_item,
    peering_item,
    prefix_list_item,
    rule_item,
    subnet_item,
    vpc_item,
)
from sgsim.model import Environment
from sgsim.model.directory_changes import SetEntry
from sgsim.model.directory_difference import directory_changes, plain_organization
from sgsim.model.identity import content_id

__all__ = ["new_directory", "write_environment"]

World = tuple[str | None, str | None]

_SAFE = re.compile(r"[^0-9A-Za-z_.-]")


def write_environment(environment: Environment, destination: str | os.PathLike[str]) -> None:
    """Write the environment to a new directory, which appears whole or not at all.

    One account and Region make one flat directory, several a folder each. What is written is read back before the
    directory appears: it holds the same environment. Raises OutputError.
    """
    target = Path(destination)
    with new_directory(target) as partial:
        for document in _documents(environment):
            _write(partial, document)
        _check(environment, partial, target)


def _documents(environment: Environment) -> Iterator[Document]:
    groups, interfaces = environment.groups.values(), environment.interfaces.values()
    worlds: dict[World, None] = dict.fromkeys((one.account_id, one.region) for one in groups)
    worlds.update(dict.fromkeys((one.account_id, one.region) for one in interfaces))
    worlds.update(dict.fromkeys((one.account_id, one.region) for one in environment.vpcs.values()))
    worlds.update(dict.fromkeys(sorted(environment.closed, key=repr)))
    regions = {region for _, region in worlds}
    worlds.update(
        dict.fromkeys((None, one.region) for one in environment.subnets.values() if one.region not in regions)
    )
    subnet_world = {region: world for world in reversed(worlds) for region in world[1:]}
    alone = len(worlds) == 1
    for world in worlds:
        folder = "" if alone else f"{_name(world[0])}/{_name(world[1])}/"
        yield from _world(environment, world, folder, subnet_world)
    yield from _surroundings(environment)
    yield from directory_documents(environment)
    homes = {region: f"{_name(account)}/{_name(region)}/" for account, region in reversed(worlds)}
    yield from image_documents(environment, {} if alone else homes)


def _world(
    environment: Environment, world: World, folder: str, subnet_world: dict[str | None, World]
) -> Iterator[Document]:
    """The files of one account and Region. Groups whose rules all have ids made from content need no list of rules."""
    groups = [one for one in environment.groups.values() if (one.account_id, one.region) == world]
    listed = [one for one in groups if not one.defined or any(rule.rule_id != content_id(rule) for rule in one.rules)]
    moment = environment.collected_at
    notes = {
        "CollectedAt": moment.isoformat() if moment else None,
        "Account": world[0],
        "Region": world[1],
        "Closed": world in environment.closed,
    }
    yield Document(f"{folder}collection.json", "", (), {COLLECTION_KEY: notes})
    yield Document(
        f"{folder}security-groups.json", "SecurityGroups", (group_item(one) for one in groups if one.defined)
    )
    if listed:
        rules = (rule_item(rule, world[0]) for one in listed for rule in one.rules)
        yield Document(f"{folder}security-group-rules.json", "SecurityGroupRules", rules)
    associations = [
        {"GroupId": one.group_id, "VpcId": vpc_id, "State": "associated"}
        for one in groups
        for vpc_id in one.associated_vpc_ids
    ]
    if associations:
        path = f"{folder}security-group-vpc-associations.json"
        yield Document(path, "SecurityGroupVpcAssociations", associations)
    interfaces = [one for one in environment.interfaces.values() if (one.account_id, one.region) == world]
    yield Document(f"{folder}network-interfaces.json", "NetworkInterfaces", map(interface_item, interfaces))
    types = {one.instance_id: one.instance_type for one in interfaces if one.instance_id and one.instance_type}
    if types:
        instances = [{"InstanceId": instance_id, "InstanceType": kind} for instance_id, kind in sorted(types.items())]
        yield Document(f"{folder}instances.json", "Reservations", [{"Instances": instances}])
    vpcs = [one for one in environment.vpcs.values() if (one.account_id, one.region) == world]
    if vpcs:
        yield Document(f"{folder}vpcs.json", "Vpcs", map(vpc_item, vpcs))
    subnets = [one for one in environment.subnets.values() if subnet_world[one.region] == world]
    if subnets:
        yield Document(f"{folder}subnets.json", "Subnets", map(subnet_item, subnets))


def _surroundings(environment: Environment) -> Iterator[Document]:
    """What belongs to no account and Region in particular. A listing known to have gaps is written as cut short."""
    if environment.prefix_lists:
        lists = environment.prefix_lists.values()
        yield Document("managed-prefix-lists.json", "PrefixLists", map(prefix_list_item, lists))
        for number, one in enumerate(lists):
            if one.entries is not None and one.family is not None:
                plain = _SAFE.search(one.prefix_list_id) is None
                name = one.prefix_list_id if plain else f"prefix-list-{number}"
                more = {"PrefixListId": one.prefix_list_id}
                yield Document(f"{name}.json", "Entries", map(entry_item, one.entries), more)
    if environment.peerings or environment.peerings_described:
        gaps = {} if environment.peerings_described else {"NextToken": "unknown"}
        items = map(peering_item, environment.peerings.values())
        yield Document("vpc-peering-connections.json", "VpcPeeringConnections", items, gaps)
    attachments = environment.gateway_attachments.values()
    if attachments or environment.gateways_described:
        gaps = {} if environment.gateways_described else {"NextToken": "unknown"}
        name = "transit-gateway-vpc-attachments.json"
        yield Document(name, "TransitGatewayVpcAttachments", map(attachment_item, attachments), gaps)
        gateways = sorted({one.transit_gateway_id for one in attachments if one.references})
        if gateways:
            yield Document("transit-gateways.json", "TransitGateways", map(gateway_item, gateways))
    if environment.mirror_sessions:
        items = map(mirror_item, environment.mirror_sessions.values())
        yield Document("traffic-mirror-sessions.json", "TrafficMirrorSessions", items)
    if environment.acls:
        yield Document("network-acls.json", "NetworkAcls", map(acl_item, environment.acls.values()))


def _name(text: str | None) -> str:
    """A folder's name for an account or a Region."""
    return _SAFE.sub("_", text)[:100] if text else "unknown"


def _write(folder: Path, document: Document) -> None:
    """One file in the AWS CLI's layout, item by item, so that a large listing is never in memory as text."""
    path = folder / document.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with _created(path, document.private) as file:
        file.write(b"{")
        separator = b"\n    "
        if document.key:
            file.write(b'\n    "%s": [' % document.key.encode())
            inner = b"\n        "
            for item in document.items:
                text = msgspec.json.format(msgspec.json.encode(item), indent=4)
                file.write(inner + text.replace(b"\n", b"\n        "))
                inner = b",\n        "
            file.write(b"]" if inner == b"\n        " else b"\n    ]")
            separator = b",\n    "
        for key, value in document.more.items():
            text = msgspec.json.format(msgspec.json.encode(value), indent=4)
            file.write(separator + b'"%s": ' % key.encode() + text.replace(b"\n", b"\n    "))
            separator = b",\n    "
        file.write(b"\n}\n")
        file.flush()
        os.fsync(file.fileno())


def _created(path: Path, private: bool) -> BinaryIO:
    """A new file; a private one can be read by nobody else from the start."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666), "wb")


@contextmanager
def new_directory(target: Path) -> Iterator[Path]:
    """A directory beside the target that takes its name when the block ends without an exception."""
    try:
        if os.path.lexists(target) and (target.is_symlink() or not target.is_dir() or any(target.iterdir())):
            raise OutputError(f"{target}: exists already; choose a new directory, environments are never mixed")
        partial = target.absolute().parent / f".{target.name[:200]}.{secrets.token_hex(6)}.partial"
        partial.mkdir()
        try:
            yield partial
            os.rename(partial, target)  # noqa: PTH104  as the one step that makes the directory appear
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror or error})") from None


def _check(environment: Environment, written: Path, target: Path) -> None:
    """Read what was written. Raises OutputError if it is not the same environment."""
    try:
        found = read_environment(written)
    except EnvironmentInputError as error:
        raise OutputError(f"{target}: cannot be written as AWS's JSON ({error.problem})") from None
    changed = next(directory_changes(environment, found), None)
    if changed is not None or plain_organization(environment) != plain_organization(found):
        key = changed.key if isinstance(changed, SetEntry) else "the organization or a password policy"
        raise OutputError(
            f"{target}: cannot be written: AWS's JSON cannot hold {key} as it is; "
            "add the listings that describe it to the environment"
        )
    for name in Environment.__slots__:
        if name in ("warnings", "directory", "images", "volume_snapshots"):
            continue
        wanted, have = getattr(environment, name), getattr(found, name)
        if not hasattr(wanted, "keys"):
            if wanted != have:
                raise OutputError(f"{target}: cannot be written: AWS's JSON does not hold '{name}' as it is")
            continue
        for key in sorted(wanted.keys() | have.keys()):
            if key not in wanted or key not in have or _plain(wanted[key]) != _plain(have[key]):
                raise OutputError(
                    f"{target}: cannot be written: AWS's JSON cannot hold {key} of {name} as it is; "
                    "add the listings that describe it to the environment"
                )


def _plain(value: Any) -> Any:
    """A thing without the place where it was described and the order of what is in it."""
    changed: dict[str, Any] = {"origin": ""}
    for name in ("rules", "entries", "prefixes", "associated_vpc_ids"):
        if isinstance(held := getattr(value, name, None), tuple):
            changed[name] = frozenset(held)
    return msgspec.structs.replace(value, **changed)
