"""Files of AWS JSON → Environment."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain

from sgsim.errors import EnvironmentInputError
from sgsim.importers.directory_json import DIRECTORY_KEYS, IMAGE_KEYS
from sgsim.importers.documents import Listing, find_files, read_listings
from sgsim.importers.groups import Groups
from sgsim.importers.images import Images
from sgsim.importers.notes import Notes
from sgsim.importers.principals import DirectoryReader
from sgsim.importers.scope import closed_worlds, fill_places
from sgsim.importers.surroundings import Surroundings
from sgsim.model import Environment

__all__ = ["read_environment"]


def read_environment(*paths: str | os.PathLike[str]) -> Environment:
    """The network described by files or directory trees of what the AWS CLI prints (docs/environment.md).

    Any *.json (or *.json.gz) below a directory is recognised by its top-level keys. Raises EnvironmentInputError, one
    line that says which file, where inside it, what is wrong and what to do.
    """
    if not paths:
        raise EnvironmentInputError("no file or directory is given", advice="name the account's export")
    with _without_garbage_collection():
        return _read(paths)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """No cycles are made here, and a million rules would set off many collections that find nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read(paths: tuple[str | os.PathLike[str], ...]) -> Environment:
    groups, surroundings, notes = Groups(), Surroundings(), Notes()
    directory, images = DirectoryReader(), Images()
    deferred: list[Listing] = []
    named, found = find_files(paths)
    for path, is_named in chain(((path, True) for path in named), ((path, False) for path in found)):
        for listing in read_listings(path, named=is_named):
            notes.add(listing)
            # Groups and rules are read at once, so that their JSON can be let go.
            if listing.key == "SecurityGroups":
                groups.add_groups(listing)
            elif listing.key == "SecurityGroupRules":
                groups.add_rules(listing)
            elif listing.key in IMAGE_KEYS:
                images.add(listing)
            elif listing.key in DIRECTORY_KEYS:
                directory.add(listing)
            else:
                deferred.append(listing)
    # Where both describe an interface, describe-network-interfaces tells more than describe-instances and goes first.
    for listing in sorted(deferred, key=lambda listing: listing.key == "Reservations"):
        if listing.key == "SecurityGroupVpcAssociations":
            groups.add_associations(listing)
        else:
            surroundings.add(listing)
    groups.join()
    if not groups.views.fields and not directory.described:
        raise _no_groups(paths, notes)
    return _with_directory(_build(groups, surroundings, notes), directory, images, notes)


def _with_directory(environment: Environment, directory: DirectoryReader, images: Images, notes: Notes) -> Environment:
    """The environment with principals, images and snapshots, which the network knows nothing of."""
    places = (environment.groups.values(), environment.interfaces.values(), environment.vpcs.values())
    regions = {one.region for one in chain.from_iterable(places)}  # type: ignore[attr-defined]
    return replace(
        environment,
        directory=directory.build(notes.collected),
        images=images.build_images(notes.collected, regions),
        volume_snapshots=images.build_snapshots(notes.collected, regions),
        warnings=(*environment.warnings, *directory.warnings),
    )


def _no_groups(paths: tuple[str | os.PathLike[str], ...], notes: Notes) -> EnvironmentInputError:
    if notes.has("SecurityGroups") or notes.has("SecurityGroupRules"):
        problem = "the listings of security groups are empty"
        advice = "export again; is it the right Region and profile?"
    else:
        problem = "no security groups are described here"
        advice = "add the output of 'aws ec2 describe-security-groups'"
    source = ", ".join(os.fsencode(path).decode("utf-8", "backslashreplace") for path in paths)
    return EnvironmentInputError(problem, source=source, advice=advice)


def _build(groups: Groups, surroundings: Surroundings, notes: Notes) -> Environment:
    fill_places(
        groups.views,
        surroundings.interfaces,
        surroundings.vpcs,
        surroundings.subnets,
        surroundings.peerings,
        notes.collected,
    )
    closed = closed_worlds(
        groups.group_listings,
        groups.rule_listings,
        surroundings.interface_listings,
        groups.views,
        surroundings.interfaces,
        notes.collected,
    )
    all_groups, interfaces = groups.build(), surroundings.build_interfaces()
    prefix_lists = surroundings.build_prefix_lists()
    notes.about_groups(all_groups, interfaces, groups.reader.impossible)
    notes.about_interfaces(interfaces, surroundings.bare_instances)
    notes.about_prefix_lists(prefix_lists, groups.reader.prefix_list_ids)
    return Environment(
        groups=all_groups,
        interfaces=interfaces,
        prefix_lists=prefix_lists,
        vpcs=surroundings.build_vpcs(),
        subnets=surroundings.build_subnets(),
        peerings=surroundings.build_peerings(),
        gateway_attachments=surroundings.build_attachments(),
        mirror_sessions=surroundings.build_mirrors(),
        acls=surroundings.build_acls(),
        closed=closed,
        peerings_described=notes.describes("VpcPeeringConnections"),
        gateways_described=notes.describes("TransitGatewayAttachments", "TransitGatewayVpcAttachments"),
        collected_at=min((one.collected_at for one in notes.collected.values() if one.collected_at), default=None),
        warnings=tuple(notes.warnings),
    )
