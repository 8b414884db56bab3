"""Listings of images and snapshots, and of their permission attributes → the model's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgsim.errors import ChangeError
from sgsim.importers.directory_documents import without_id
from sgsim.importers.directory_json import ImageItem, PermissionItem, SnapshotItem
from sgsim.importers.holders import tags_of
from sgsim.importers.listing import Listing, Origin, convert_all
from sgsim.importers.merge import Views
from sgsim.importers.problems import BadFieldError
from sgsim.importers.scope import Collected
from sgsim.model.apply_permissions import check_permission
from sgsim.model.images import EVERYONE, Image, Permission, PermissionKind, VolumeSnapshot

__all__ = ["Images", "permission_of"]


def permission_of(item: PermissionItem) -> Permission:
    """One item of a permission attribute, which has one of four keys. Raises BadFieldError."""
    given = [
        Permission(kind, value)
        for kind, value in (
            (PermissionKind.ACCOUNT, item.user_id),
            (PermissionKind.GROUP, item.group),
            (PermissionKind.ORGANIZATION, item.organization_arn),
            (PermissionKind.UNIT, item.organizational_unit_arn),
        )
        if value is not None
    ]
    if len(given) != 1:
        raise BadFieldError("", "an item names one account, group, organization or organizational unit")
    return given[0]


class Images:
    """Collects descriptions. The `add` methods raise EnvironmentInputError."""

    def __init__(self) -> None:
        self.images = Views("image", frozenset({"owner_id", "public", "permissions", "snapshot_ids"}))
        self.snapshots = Views("snapshot", frozenset({"owner_id", "encrypted", "permissions"}))
        self._folders: dict[str, str] = {}

    def add(self, listing: Listing) -> None:
        """Take a listing of images, snapshots or one's permissions; others are ignored."""
        if listing.key == "Images":
            convert_all(listing, lambda item, index: self._add(self.images, _image_fields(item), listing, index))
        elif listing.key == "Snapshots":
            convert_all(listing, lambda item, index: self._add(self.snapshots, _snapshot_fields(item), listing, index))
        elif listing.key in ("LaunchPermissions", "CreateVolumePermissions"):
            self._add_permissions(listing)

    def _add(self, views: Views, fields: dict[str, Any], listing: Listing, index: int) -> None:
        identifier = fields.pop("id")
        self._folders.setdefault(identifier, listing.folder)
        views.add(identifier, fields, listing.origin(index))

    def _add_permissions(self, listing: Listing) -> None:
        if not listing.about:
            raise without_id(listing).under(listing.label).located(listing.source)
        permissions = set()

        def read(item: PermissionItem, _: int) -> None:
            permission = permission_of(item)
            try:
                check_permission(permission)
            except ChangeError as error:
                raise BadFieldError("", f"{error.code}: {error.message}") from None
            permissions.add(permission)

        convert_all(listing, read)
        views = self.images if listing.key == "LaunchPermissions" else self.snapshots
        self._folders.setdefault(listing.about, listing.folder)
        views.add(listing.about, {"permissions": frozenset(permissions)}, Origin(listing.source, listing.label))

    def _region(self, identifier: str, collected: Mapping[str, Collected], regions: set[str | None]) -> str | None:
        """The Region of the file's folder, or the only one that the input is about."""
        notes = collected.get(self._folders[identifier])
        if notes is not None and notes.region is not None:
            return notes.region
        return next(iter(regions)) if len(regions) == 1 else None

    def build_images(self, collected: Mapping[str, Collected], regions: set[str | None]) -> dict[str, Image]:
        """The images. One that is public is shared with everyone, whatever else is not told."""
        images = {}
        for identifier, fields in self.images.fields.items():
            permissions = fields.get("permissions")
            public = None if permissions is None else EVERYONE in permissions
            if fields.get("public") is not None:
                if public is not None and public != fields["public"]:
                    raise BadFieldError("", f"image {identifier} is public in one listing and not in another").located(
                        str(self.images.origins[identifier])
                    )
                public = fields["public"]
            told = {**fields, "public": public, "region": self._region(identifier, collected, regions)}
            images[identifier] = Image(identifier, **told, origin=str(self.images.origins[identifier]))
        return images

    def build_snapshots(
        self, collected: Mapping[str, Collected], regions: set[str | None]
    ) -> dict[str, VolumeSnapshot]:
        return {
            identifier: VolumeSnapshot(
                identifier,
                **fields,
                region=self._region(identifier, collected, regions),
                origin=str(self.snapshots.origins[identifier]),
            )
            for identifier, fields in self.snapshots.fields.items()
        }


def _image_fields(item: ImageItem) -> dict[str, Any]:
    volumes = None
    if item.block_device_mappings is not None:
        volumes = [one.ebs for one in item.block_device_mappings if one.ebs is not None]
    told = {
        "id": item.image_id,
        "owner_id": item.owner_id,
        "public": item.public,
        "encrypted": None if volumes is None else any(one.encrypted for one in volumes),
        "snapshot_ids": None if volumes is None else tuple(one.snapshot_id for one in volumes if one.snapshot_id),
    }
    return {name: value for name, value in told.items() if value is not None} | {
        "product_codes": tuple(one.product_code_id for one in item.product_codes),
        "name": item.name,
        "tags": tags_of(item.tags),
    }


def _snapshot_fields(item: SnapshotItem) -> dict[str, Any]:
    told = {
        "id": item.snapshot_id,
        "owner_id": item.owner_id,
        "encrypted": item.encrypted,
        "volume_size": item.volume_size,
    }
    return {name: value for name, value in told.items() if value is not None} | {
        "kms_key_id": item.kms_key_id,
        "volume_id": item.volume_id,
        "tags": tags_of(item.tags),
    }
