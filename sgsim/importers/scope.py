"""Which accounts and Regions an input describes, and which of them completely (docs/semantics.md §9.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sgsim.importers import aws_json
from sgsim.importers.documents import Listing, folder_of
from sgsim.importers.merge import Views
from sgsim.importers.problems import BadFieldError, shown

__all__ = ["Collected", "ListedIds", "closed_worlds", "fill_places", "read_collection"]

World = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Collected:
    """What `sgsim collect` or `sgsim apply` noted about one folder.

    `closed` is given where the folder was written from an environment: account, Region and closedness are then
    exactly what the notes say, and are not worked out from other files.
    """

    account_id: str | None
    region: str | None
    collected_at: datetime | None
    missing: tuple[tuple[str, str, str], ...]
    closed: bool | None = None

    def lacks(self, key: str) -> bool:
        """Whether the listing with this top-level key could not be had."""
        return any(missing_key == key for _, missing_key, _ in self.missing)


def read_collection(wire: aws_json.Collection) -> Collected:
    """The notes of `sgsim collect`. Raises BadFieldError."""
    if wire.collected_at is None and wire.closed is None:
        raise BadFieldError("", "the object misses the field CollectedAt")
    try:
        moment = None if wire.collected_at is None else datetime.fromisoformat(wire.collected_at)
    except ValueError:
        raise BadFieldError("CollectedAt", f"{shown(wire.collected_at)} is not a date and time") from None
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    missing = tuple((entry.call, entry.key, entry.reason) for entry in wire.missing)
    return Collected(wire.account or None, wire.region or None, moment, missing, wire.closed)


@dataclass(slots=True)
class ListedIds:
    """The ids that one listing names: of groups, of groups that have rules, or of interfaces."""

    listing: Listing
    ids: list[str] = field(default_factory=list)


def fill_places(
    groups: Views, interfaces: Views, vpcs: Views, subnets: Views, peerings: Views, collected: Mapping[str, Collected]
) -> None:
    """Add `region` and `account_id` to the things that do not tell them.

    A thing is where its VPC is; else where the notes of `sgsim collect` say its folder is; else where everything else
    in its file is, since one call answers for one account and Region; else where everything else is.
    """
    vpc_regions = _vpc_regions((groups, interfaces, subnets), peerings)
    kinds = (groups, interfaces, vpcs, subnets)
    exact = {folder: notes for folder, notes in collected.items() if notes.closed is not None}
    for name in ("region", "account_id"):
        told: dict[str, set[str]] = {}
        for views in kinds:
            for identifier, fields in views.fields.items():
                if exact and (notes := exact.get(folder_of(views.origins[identifier].source))) is not None:
                    if name not in fields and (noted := getattr(notes, name)) is not None:
                        fields[name] = noted
                elif name == "region" and name not in fields:
                    vpc_id = identifier if views is vpcs else fields.get("vpc_id")
                    if vpc_id in vpc_regions:
                        fields[name] = vpc_regions[vpc_id]
                if name in fields:
                    told.setdefault(views.origins[identifier].source, set()).add(fields[name])
        everywhere = _only(set().union(*told.values()))
        for views in kinds:
            for identifier, fields in views.fields.items():
                if name not in fields:
                    source = views.origins[identifier].source
                    notes = collected.get(folder_of(source))
                    if notes is not None and notes.closed is not None:
                        continue
                    value = (getattr(notes, name) if notes else None) or _only(told.get(source, set())) or everywhere
                    if value is not None:
                        fields[name] = value


def _vpc_regions(kinds: Iterable[Views], peerings: Views) -> dict[str, str]:
    regions: dict[str, str] = {}
    for views in kinds:
        for fields in views.fields.values():
            if "region" in fields and "vpc_id" in fields:
                regions.setdefault(fields["vpc_id"], fields["region"])
    for fields in peerings.fields.values():
        for side in ("requester", "accepter"):
            if f"{side}_region" in fields and f"{side}_vpc_id" in fields:
                regions.setdefault(fields[f"{side}_vpc_id"], fields[f"{side}_region"])
    return regions


def _only(values: set[str]) -> str | None:
    return next(iter(values)) if len(values) == 1 else None


def closed_worlds(
    group_listings: list[ListedIds],
    rule_listings: list[ListedIds],
    interface_listings: list[ListedIds],
    groups: Views,
    interfaces: Views,
    collected: Mapping[str, Collected],
) -> frozenset[World]:
    """The (account, Region) pairs whose own groups or rules are listed, without those with a listing cut short."""
    closed: set[World] = set()
    visitors: set[World] = set()
    for listed in group_listings:
        here = _worlds(listed, groups)
        home = _home(here, listed, groups, collected)
        closed |= home
        visitors |= here - home
    for listed in rule_listings:
        closed |= _home(_worlds(listed, groups) - (visitors - closed), listed, groups, collected)
    opened: set[World] = {
        (notes.account_id, notes.region)
        for notes in collected.values()
        if notes.lacks("NetworkInterfaces") or (notes.lacks("SecurityGroups") and notes.lacks("SecurityGroupRules"))
    }
    for views, listings in ((groups, group_listings + rule_listings), (interfaces, interface_listings)):
        for listed in listings:
            if listed.listing.incomplete:
                opened |= _worlds(listed, views) or {(None, None)}
    return frozenset(world for world in closed if not any(_overlap(world, other) for other in opened))


def _worlds(listed: ListedIds, views: Views) -> set[World]:
    found = (views.fields[identifier] for identifier in listed.ids)
    return {(fields.get("account_id"), fields.get("region")) for fields in found}


def _home(worlds: set[World], listed: ListedIds, groups: Views, collected: Mapping[str, Collected]) -> set[World]:
    """The worlds whose own listing this is: groups that other accounts share with this one appear in it, too.

    An account that lists its own groups shows a default group in every VPC it owns, and default groups cannot be
    shared (docs/semantics.md §1.9).
    """
    notes = collected.get(listed.listing.folder)
    if notes is not None and notes.closed is not None:
        return {(notes.account_id, notes.region)} if notes.closed else set()
    if notes is not None and notes.account_id is not None:
        return {(notes.account_id, notes.region)}
    if len({account for account, _ in worlds}) < 2:
        return worlds
    owners: set[Any] = {
        groups.fields[identifier].get("account_id")
        for identifier in listed.ids
        if groups.fields[identifier].get("name") == "default"
    }
    return {world for world in worlds if world[0] in owners} or worlds


def _overlap(one: World, other: World) -> bool:
    return all(first is None or second is None or first == second for first, second in zip(one, other))
