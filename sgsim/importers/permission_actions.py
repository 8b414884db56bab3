"""Requests that share images and snapshots → changes. Both shapes of them say the same."""

from __future__ import annotations

from collections.abc import Iterable

from sgsim.importers.directory_json import PermissionItem
from sgsim.importers.directory_requests import AttributeRequest, ImageRequest, PermissionLists, SnapshotRequest
from sgsim.importers.images import permission_of
from sgsim.importers.problems import BadFieldError
from sgsim.importers.requests import BadRequestError
from sgsim.model import Environment
from sgsim.model.apply_permissions import known_accounts
from sgsim.model.changes import ChangeOrigin
from sgsim.model.directory_changes import ModifyPermissions, ResetPermissions
from sgsim.model.images import Permission, PermissionKind

__all__ = ["PermissionActionReader"]


class PermissionActionReader:
    """Reads requests; `notes` grow where one names what the environment does not describe."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self.notes: list[str] = []

    def read(
        self, action: str, request: AttributeRequest, origin: ChangeOrigin
    ) -> ModifyPermissions | ResetPermissions | None:
        """The change that the request asks for, None if it is about another attribute. Raises BadRequestError."""
        if isinstance(request, ImageRequest):
            identifier, attribute, key = request.image_id, "launchPermission", "LaunchPermission"
            lists, others = request.launch_permission, _image_operands(request)
        else:
            assert isinstance(request, SnapshotRequest)
            identifier, attribute, key = request.snapshot_id, "createVolumePermission", "CreateVolumePermission"
            lists, others = request.create_volume_permission, _operands(request, request.group_names)
        if action.startswith("Reset"):
            if request.attribute != attribute:
                problem = f"Attribute can only be {attribute}"
                raise BadRequestError("Attribute", problem, "InvalidParameterValue")
            return ResetPermissions(identifier, origin=origin)
        if request.attribute not in (None, attribute):
            return None
        if lists is None and not others and request.attribute is None:
            return None
        change = _change(identifier, key, lists, others, request.operation_type, origin)
        self._note_strangers(change)
        return change

    def _note_strangers(self, change: ModifyPermissions) -> None:
        accounts = known_accounts(self._environment)
        for permission in change.add:
            if permission.kind is PermissionKind.ACCOUNT and permission.value not in accounts:
                self.notes.append(
                    f"{change.resource_id} is shared with account {permission.value}, of which the environment "
                    "describes nothing"
                )


def _change(
    identifier: str,
    key: str,
    lists: PermissionLists | None,
    others: tuple[Permission, ...],
    operation: str | None,
    origin: ChangeOrigin,
) -> ModifyPermissions:
    if lists is not None and (others or operation is not None):
        problem = f"{key} and OperationType with its operands cannot be given together"
        raise BadRequestError("", problem, "InvalidParameterCombination")
    if lists is not None:
        add, remove = _items(lists.add, f"{key}.Add"), _items(lists.remove, f"{key}.Remove")
        return ModifyPermissions(identifier, add, remove, origin=origin)
    if operation not in ("add", "remove"):
        raise BadRequestError("OperationType", "OperationType is add or remove", "InvalidParameterValue")
    if operation == "add":
        return ModifyPermissions(identifier, others, origin=origin)
    return ModifyPermissions(identifier, (), others, origin=origin)


def _items(items: Iterable[PermissionItem], path: str) -> tuple[Permission, ...]:
    found = []
    for index, item in enumerate(items):
        try:
            found.append(permission_of(item))
        except BadFieldError as bad:
            raise BadRequestError(f"{path}[{index}]", bad.problem, "InvalidParameterValue") from None
    return tuple(found)


def _operands(request: AttributeRequest, groups: Iterable[str]) -> tuple[Permission, ...]:
    return (
        *(Permission(PermissionKind.ACCOUNT, one) for one in request.user_ids),
        *(Permission(PermissionKind.GROUP, one) for one in groups),
    )


def _image_operands(request: ImageRequest) -> tuple[Permission, ...]:
    return (
        *_operands(request, request.user_groups),
        *(Permission(PermissionKind.ORGANIZATION, one) for one in request.organization_arns),
        *(Permission(PermissionKind.UNIT, one) for one in request.organizational_unit_arns),
    )
