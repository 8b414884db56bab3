"""Requests to IAM's API → changes. Names become ARNs, and what AWS would make up is made up here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sgsim.errors import ModelError, PolicyError
from sgsim.importers import directory_requests as requests
from sgsim.importers.policies import plain_policy
from sgsim.importers.requests import BadRequestError
from sgsim.model import Environment
from sgsim.model.arns import iam_arn, is_account_id, parse_arn
from sgsim.model.changes import ChangeOrigin
from sgsim.model.credentials import Secret, new_access_key_id, new_salt, new_secret, new_unique_id
from sgsim.model.directory_changes import (
    AddUserToGroup,
    AttachPolicy,
    CreateAccessKey,
    CreateIamGroup,
    CreateLoginProfile,
    CreatePolicy,
    CreatePolicyVersion,
    CreateRole,
    CreateUser,
    DeleteAccessKey,
    DeleteIamGroup,
    DeleteInlinePolicy,
    DeleteLoginProfile,
    DeletePolicy,
    DeletePolicyVersion,
    DeleteRole,
    DeleteUser,
    DetachPolicy,
    DirectoryChange,
    PutInlinePolicy,
    RemoveUserFromGroup,
    SetBoundary,
    SetDefaultVersion,
    SetPasswordPolicy,
    UpdateAccessKey,
    UpdateLoginProfile,
    UpdateTrust,
)
from sgsim.model.overlay import Overlay
from sgsim.model.policies import Policy, PolicyKind
from sgsim.model.principals import IamGroup, InlinePolicy, ManagedPolicy, PasswordPolicy, PolicyVersion, Role, User

__all__ = ["IamActionReader"]

_MISSING = "MissingParameter"
_PATH = re.compile(r"/|/[!-~]{1,510}/")
_KINDS = {"User": "users", "Group": "groups", "Role": "roles", "Policy": "policies"}


class IamActionReader:
    """Reads requests one after the other; what one creates is known to those that follow."""

    def __init__(self, environment: Environment) -> None:
        directory = environment.directory
        shared: dict[str, Any] = {kind: Overlay.of(getattr(directory, kind)) for kind in _KINDS.values()}
        self._directory = replace(directory, **shared)
        groups = {one.account_id for one in environment.groups.values() if one.account_id is not None}
        holders = {arn.split(":")[4] for kind in _KINDS.values() for arn in shared[kind]} - {"aws"}
        self._accounts = holders or groups
        self._created: dict[tuple[str, str, str], str] = {}
        self._readers: dict[type, Callable[[str, Any, ChangeOrigin], DirectoryChange]] = {
            requests.CreateHolderRequest: self._create,
            requests.NameRequest: self._delete,
            requests.MembershipRequest: self._membership,
            requests.AttachRequest: self._attach,
            requests.PutPolicyRequest: self._inline,
            requests.BoundaryRequest: self._boundary,
            requests.AssumePolicyRequest: self._trust,
            requests.CreatePolicyRequest: self._create_policy,
            requests.PolicyRequest: lambda _, request, origin: DeletePolicy(request.policy_arn, origin=origin),
            requests.VersionRequest: self._version,
            requests.AccessKeyRequest: self._create_key,
            requests.UpdateKeyRequest: self._update_key,
            requests.LoginRequest: self._login,
            requests.PasswordPolicyRequest: self._password_policy,
            requests.AccountRequest: lambda _, request, origin: SetPasswordPolicy(
                self._account(request), None, origin=origin
            ),
        }

    def read(self, action: str, request: requests.IamRequest, origin: ChangeOrigin) -> DirectoryChange:
        """The change that the request asks for. Raises BadRequestError."""
        return self._readers[type(request)](action, request, origin)

    def _account(self, request: requests.IamRequest) -> str:
        if request.account_id is not None:
            if not is_account_id(request.account_id):
                raise BadRequestError("AccountId", "an account's id has 12 digits", "ValidationError")
            return request.account_id
        if len(self._accounts) != 1:
            known = "no account" if not self._accounts else f"{len(self._accounts)} accounts"
            problem = f"the environment describes {known}, so nothing tells whose call this is"
            raise BadRequestError("", problem, advice='add "AccountId" to the request')
        return next(iter(self._accounts))

    def _arn(self, noun: str, name: str, request: requests.IamRequest) -> str:
        """The ARN of what has this name, whose case does not matter; of the plain path if nothing has it."""
        account_id = self._account(request)
        created = self._created.get((noun, account_id, name.casefold()))
        if created is not None:
            return created
        known = self._directory.named(_KINDS[noun], account_id, name)
        return known.arn if known is not None else iam_arn(account_id, noun.lower(), name)

    def _named(self, action: str, request: requests.NameRequest) -> tuple[str, str]:
        """What the call is about, `User`, `Group` or `Role`, and its name; names of others are no parameters of it."""
        noun = next(one for one in ("User", "Group", "Role") if one in action)
        given = {"User": request.user_name, "Group": request.group_name, "Role": request.role_name}
        name = given.pop(noun)
        for other, value in given.items():
            if value is not None:
                raise BadRequestError(f"{other}Name", f"unknown parameter {other}Name", "UnknownParameter")
        if not name:
            raise BadRequestError("", f"The request must contain the parameter {noun}Name", _MISSING)
        return noun, name

    def _holder_arn(self, action: str, request: requests.NameRequest) -> str:
        return self._arn(*self._named(action, request), request)

    def _new_arn(self, noun: str, name: str, path: str, request: requests.IamRequest) -> str:
        if not _PATH.fullmatch(path):
            problem = "The specified value for path is invalid. It must begin and end with / and contain only ASCII"
            raise BadRequestError("Path", problem, "ValidationError")
        arn = iam_arn(self._account(request), noun.lower(), name, path)
        self._created.setdefault((noun, self._account(request), name.casefold()), arn)
        return arn

    def _create(
        self, action: str, request: requests.CreateHolderRequest, origin: ChangeOrigin
    ) -> CreateUser | CreateIamGroup | CreateRole:
        noun, name = self._named(action, request)
        _only(request, noun)
        tags = tuple(sorted((tag.key, tag.value) for tag in request.tags))
        arn = self._new_arn(noun, name, request.path, request)
        if noun == "Group":
            return CreateIamGroup(IamGroup(arn, new_unique_id("AGPA"), _now(), origin=origin.place), origin=origin)
        boundary = None if request.permissions_boundary is None else _policy_arn(request.permissions_boundary)
        if noun == "User":
            user = User(arn, new_unique_id("AIDA"), _now(), origin=origin.place, boundary=boundary, tags=tags)
            return CreateUser(user, origin=origin)
        if request.assume_role_policy_document is None:
            raise BadRequestError("", "The request must contain the parameter AssumeRolePolicyDocument", _MISSING)
        name_of_trust = f"trust policy of role {name}"
        trust = _policy(
            request.assume_role_policy_document, PolicyKind.TRUST, name_of_trust, "AssumeRolePolicyDocument"
        )
        role = Role(
            arn,
            new_unique_id("AROA"),
            _now(),
            origin=origin.place,
            trust=trust,
            boundary=boundary,
            tags=tags,
            description=request.description or "",
            max_session_duration=request.max_session_duration,
        )
        return CreateRole(role, origin=origin)

    def _delete(
        self, action: str, request: requests.NameRequest, origin: ChangeOrigin
    ) -> DeleteUser | DeleteIamGroup | DeleteRole:
        arn = self._holder_arn(action, request)
        if action == "DeleteUser":
            return DeleteUser(arn, origin=origin)
        return DeleteIamGroup(arn, origin=origin) if action == "DeleteGroup" else DeleteRole(arn, origin=origin)

    def _membership(
        self, action: str, request: requests.MembershipRequest, origin: ChangeOrigin
    ) -> AddUserToGroup | RemoveUserFromGroup:
        kind = AddUserToGroup if action == "AddUserToGroup" else RemoveUserFromGroup
        group, user = self._arn("Group", request.group_name, request), self._arn("User", request.user_name, request)
        return kind(group, user, origin=origin)

    def _attach(
        self, action: str, request: requests.AttachRequest, origin: ChangeOrigin
    ) -> AttachPolicy | DetachPolicy:
        kind = AttachPolicy if action.startswith("Attach") else DetachPolicy
        return kind(self._holder_arn(action, request), _policy_arn(request.policy_arn, "PolicyArn"), origin=origin)

    def _inline(
        self, action: str, request: requests.PutPolicyRequest, origin: ChangeOrigin
    ) -> PutInlinePolicy | DeleteInlinePolicy:
        noun, name = self._named(action, request)
        arn = self._arn(noun, name, request)
        if action.startswith("Delete"):
            if request.policy_document is not None:
                raise BadRequestError("PolicyDocument", "unknown parameter PolicyDocument", "UnknownParameter")
            return DeleteInlinePolicy(arn, request.policy_name, origin=origin)
        title = f"inline policy {request.policy_name} of {noun.lower()} {name}"
        policy = _policy(request.policy_document, PolicyKind.IDENTITY, title, "PolicyDocument")
        return PutInlinePolicy(arn, InlinePolicy(request.policy_name, policy), origin=origin)

    def _boundary(self, action: str, request: requests.BoundaryRequest, origin: ChangeOrigin) -> SetBoundary:
        arn = self._holder_arn(action, request)
        if action.startswith("Delete"):
            return SetBoundary(arn, None, origin=origin)
        if request.permissions_boundary is None:
            raise BadRequestError("", "The request must contain the parameter PermissionsBoundary", _MISSING)
        return SetBoundary(arn, _policy_arn(request.permissions_boundary), origin=origin)

    def _trust(self, _: str, request: requests.AssumePolicyRequest, origin: ChangeOrigin) -> UpdateTrust:
        title = f"trust policy of role {request.role_name}"
        trust = _policy(request.policy_document, PolicyKind.TRUST, title, "PolicyDocument")
        return UpdateTrust(self._arn("Role", request.role_name, request), trust, origin=origin)

    def _create_policy(self, _: str, request: requests.CreatePolicyRequest, origin: ChangeOrigin) -> CreatePolicy:
        title = f"policy {request.policy_name}"
        policy = _policy(request.policy_document, PolicyKind.IDENTITY, title, "PolicyDocument")
        arn = self._new_arn("Policy", request.policy_name, request.path, request)
        version = PolicyVersion("v1", policy, _now())
        made = ManagedPolicy(
            arn, (version,), "v1", new_unique_id("ANPA"), request.description or "", _now(), origin.place
        )
        return CreatePolicy(made, origin=origin)

    def _version(
        self, action: str, request: requests.VersionRequest, origin: ChangeOrigin
    ) -> CreatePolicyVersion | DeletePolicyVersion | SetDefaultVersion:
        arn = _policy_arn(request.policy_arn, "PolicyArn")
        if action == "CreatePolicyVersion":
            policy = _policy(request.policy_document, PolicyKind.IDENTITY, f"policy {arn}", "PolicyDocument")
            default = bool(request.set_as_default)
            return CreatePolicyVersion(arn, PolicyVersion("", policy, _now()), default, origin=origin)
        if not request.version_id:
            raise BadRequestError("", "The request must contain the parameter VersionId", _MISSING)
        kind = DeletePolicyVersion if action == "DeletePolicyVersion" else SetDefaultVersion
        return kind(arn, request.version_id, origin=origin)

    def _create_key(self, _: str, request: requests.AccessKeyRequest, origin: ChangeOrigin) -> CreateAccessKey:
        if not request.user_name:
            raise BadRequestError(
                "", "nothing tells who asks, so the call must name the user", _MISSING, "add UserName"
            )
        arn = self._arn("User", request.user_name, request)
        key_id = new_access_key_id()
        return CreateAccessKey(arn, key_id, new_secret(), _now(), origin=origin)

    def _update_key(
        self, action: str, request: requests.UpdateKeyRequest, origin: ChangeOrigin
    ) -> UpdateAccessKey | DeleteAccessKey:
        key_id = request.access_key_id
        if request.user_name:
            arn = self._arn("User", request.user_name, request)
        else:
            arn = self._key_owner(key_id)
        if action == "DeleteAccessKey":
            return DeleteAccessKey(arn, key_id, origin=origin)
        if request.status is None:
            raise BadRequestError("", "The request must contain the parameter Status", _MISSING)
        return UpdateAccessKey(arn, key_id, request.status, origin=origin)

    def _key_owner(self, key_id: str) -> str:
        for user in self._directory.users.values():
            if any(key.access_key_id == key_id for key in user.access_keys):
                return user.arn
        raise BadRequestError("AccessKeyId", f"The Access Key with id {key_id} cannot be found.", "NoSuchEntity")

    def _login(
        self, action: str, request: requests.LoginRequest, origin: ChangeOrigin
    ) -> CreateLoginProfile | UpdateLoginProfile | DeleteLoginProfile:
        arn = self._arn("User", request.user_name, request)
        password = None if request.password is None else Secret(request.password)
        if action == "DeleteLoginProfile":
            return DeleteLoginProfile(arn, origin=origin)
        if action == "UpdateLoginProfile":
            return UpdateLoginProfile(arn, password, new_salt(), request.password_reset_required, origin=origin)
        if password is None:
            raise BadRequestError("", "The request must contain the parameter Password", _MISSING)
        reset = bool(request.password_reset_required)
        return CreateLoginProfile(arn, password, new_salt(), reset, _now(), origin=origin)

    def _password_policy(
        self, _: str, request: requests.PasswordPolicyRequest, origin: ChangeOrigin
    ) -> SetPasswordPolicy:
        policy = PasswordPolicy(
            minimum_length=request.minimum_password_length,
            require_symbols=request.require_symbols,
            require_numbers=request.require_numbers,
            require_uppercase=request.require_uppercase_characters,
            require_lowercase=request.require_lowercase_characters,
            users_may_change=request.allow_users_to_change_password,
            max_age=request.max_password_age,
            reuse_prevention=request.password_reuse_prevention,
            hard_expiry=request.hard_expiry,
        )
        return SetPasswordPolicy(self._account(request), policy, origin=origin)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _only(request: requests.CreateHolderRequest, noun: str) -> None:
    """Parameters that only users or roles have."""
    of_roles = ("assume_role_policy_document", "description", "max_session_duration")
    foreign = {"User": of_roles, "Group": (*of_roles, "permissions_boundary", "tags"), "Role": ()}[noun]
    for name in foreign:
        if getattr(request, name):
            key = "".join(part.capitalize() for part in name.split("_"))
            raise BadRequestError(key, f"unknown parameter {key}", "UnknownParameter")


def _policy_arn(text: str, path: str = "PermissionsBoundary") -> str:
    """The ARN of a managed policy. Raises BadRequestError."""
    try:
        arn = parse_arn(text)
    except ModelError:
        arn = None
    if arn is None or arn.service != "iam" or arn.kind != "policy" or not arn.account_id:
        raise BadRequestError(path, f"ARN {text[:100]} is not valid.", "InvalidInput")
    return text


def _policy(document: str | None, kind: PolicyKind, name: str, path: str) -> Policy:
    """A policy of a request. Raises BadRequestError, which names the policy and the statement."""
    if document is None:
        raise BadRequestError("", f"The request must contain the parameter {path}", _MISSING)
    try:
        return plain_policy(document, kind)
    except PolicyError as error:
        where = f"{path}.{error.where}" if error.where else path
        raise BadRequestError(where, f"{name}: {error.problem}", error.code) from None
