"""Principals, images and snapshots → the files that AWS's calls would print."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sgsim.importers import write_directory_items as items
from sgsim.importers.directory_json import CREDENTIALS_KEY
from sgsim.importers.write_document import Document
from sgsim.model import Environment
from sgsim.model.organizations import Organization
from sgsim.model.principals import Directory

__all__ = ["directory_documents", "image_documents"]

_SAFE = re.compile(r"[^0-9A-Za-z_.-]")


def directory_documents(environment: Environment) -> Iterator[Document]:
    """What IAM and Organizations print. One account is in the top folder, several have a folder each."""
    directory = environment.directory
    things = (*directory.users, *directory.groups, *directory.roles, *directory.policies)
    accounts = sorted({arn.split(":")[4] for arn in things} | directory.password_policies.keys())
    own = [one for one in accounts if one != "aws"]
    for account_id in accounts:
        yield from _account(directory, account_id, f"{account_id}/" if len(own) > 1 else "")
    hashes = list(items.credential_items(environment))
    if hashes:
        yield Document("credentials.json", CREDENTIALS_KEY, hashes, private=True)
    if directory.organization is not None:
        yield from _organization(directory.organization)


def _account(directory: Directory, account_id: str, folder: str) -> Iterator[Document]:
    lists = items.authorization_details(directory, account_id)
    if account_id == "aws":
        yield Document("managed-policies.json", "Policies", lists["Policies"])
        return
    users = lists.pop("UserDetailList")
    yield Document(f"{folder}account-authorization-details.json", "UserDetailList", users, dict(lists))
    members = [one for one in directory.users.values() if one.account_id == account_id]
    keys = [item for user in members for item in items.key_items(user)]
    if keys:
        yield Document(f"{folder}access-keys.json", "AccessKeyMetadata", keys)
    for number, user in enumerate(members):
        if user.login is not None:
            name = f"{folder}login-profile-{number}-{_SAFE.sub('_', user.name)}.json"
            yield Document(name, "", (), {"LoginProfile": items.login_item(user, user.login)})
    policy = directory.password_policies.get(account_id)
    if policy is not None:
        more = {"PasswordPolicy": items.password_policy_item(policy), "AccountId": account_id}
        yield Document(f"{folder}password-policy.json", "", (), more)


def _organization(organization: Organization) -> Iterator[Document]:
    roots, units = items.unit_items(organization)
    more = {
        "Organization": items.organization_item(organization),
        "Roots": roots,
        "OrganizationalUnits": units,
        "Accounts": items.account_items(organization),
    }
    yield Document("organization.json", "", (), more)
    for policy in organization.policies.values():
        name = _SAFE.sub("_", policy.policy_id)
        yield Document(f"service-control-policy-{name}.json", "", (), {"Policy": items.scp_item(policy)})
        targets = [{"TargetId": one} for one in sorted(policy.targets)]
        yield Document(f"targets-{name}.json", "Targets", targets, {"PolicyId": policy.policy_id})


def image_documents(environment: Environment, homes: Mapping[str | None, str]) -> Iterator[Document]:
    """What EC2 prints of images and snapshots, in the folder of their Region (`homes`), which tells it."""
    images, snapshots = environment.images.values(), environment.volume_snapshots.values()
    regions = dict.fromkeys((*(one.region for one in images), *(one.region for one in snapshots)))
    for region in regions:
        folder = homes.get(region, "") if region is not None else ""
        listed = [one for one in images if one.region == region]
        if listed:
            yield Document(f"{folder}images.json", "Images", map(items.image_item, listed))
        for image in listed:
            if image.permissions is not None:
                shared = sorted(image.permissions, key=str)
                name = f"{folder}launch-permission-{_SAFE.sub('_', image.image_id)}.json"
                more = {"ImageId": image.image_id}
                yield Document(name, "LaunchPermissions", map(items.permission_item, shared), more)
        kept = [one for one in snapshots if one.region == region]
        if kept:
            yield Document(f"{folder}snapshots.json", "Snapshots", map(items.snapshot_item, kept))
        for snapshot in kept:
            if snapshot.permissions is not None:
                shared = sorted(snapshot.permissions, key=str)
                name = f"{folder}create-volume-permission-{_SAFE.sub('_', snapshot.snapshot_id)}.json"
                more = {"SnapshotId": snapshot.snapshot_id}
                yield Document(name, "CreateVolumePermissions", map(items.permission_item, shared), more)
