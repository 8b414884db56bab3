"""Images and snapshots of volumes, and with whom their owner shares them (docs/iam.md C)."""

from __future__ import annotations

from enum import Enum

import msgspec

__all__ = ["EVERYONE", "Image", "Permission", "PermissionKind", "VolumeSnapshot", "account_permission"]


class PermissionKind(Enum):
    """To whom an item of a permission attribute refers; the values are AWS's keys."""

    ACCOUNT = "UserId"
    GROUP = "Group"
    ORGANIZATION = "OrganizationArn"
    UNIT = "OrganizationalUnitArn"


class Permission(msgspec.Struct, frozen=True):
    """One item of a LaunchPermission or createVolumePermission: an account, everyone, an organization or a unit.

    `value` is the account's id, `all`, or the ARN.
    """

    kind: PermissionKind
    value: str

    def __str__(self) -> str:
        return "everyone" if self.kind is PermissionKind.GROUP else self.value


EVERYONE = Permission(PermissionKind.GROUP, "all")


def account_permission(account_id: str) -> Permission:
    """The item that names an account."""
    return Permission(PermissionKind.ACCOUNT, account_id)


class Image(msgspec.Struct, frozen=True):
    """An image (AMI).

    `permissions` is None where the input does not tell it (`describe-image-attribute` does); `public` is told by
    `describe-images` alone, too. `encrypted` says whether a volume of it is, None if nothing tells.
    """

    image_id: str
    owner_id: str | None = None
    permissions: frozenset[Permission] | None = None
    public: bool | None = None
    encrypted: bool | None = None
    snapshot_ids: tuple[str, ...] = ()
    product_codes: tuple[str, ...] = ()
    name: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    region: str | None = None
    origin: str = ""


class VolumeSnapshot(msgspec.Struct, frozen=True):
    """A snapshot of a volume; `kms_key_id` is the key that encrypts it, as far as it is told."""

    snapshot_id: str
    owner_id: str | None = None
    permissions: frozenset[Permission] | None = None
    encrypted: bool | None = None
    kms_key_id: str = ""
    volume_id: str = ""
    volume_size: int | None = None
    tags: tuple[tuple[str, str], ...] = ()
    region: str | None = None
    origin: str = ""

    @property
    def default_key(self) -> bool:
        """Whether AWS's own key for volumes encrypts it, so that it cannot be shared at all."""
        return self.kms_key_id.endswith("alias/aws/ebs")
