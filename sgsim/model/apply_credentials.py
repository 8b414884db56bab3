"""How access keys, passwords and password policies change; part of `apply` (docs/iam.md D)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from sgsim.errors import ChangeError
from sgsim.model import directory_refusals as refusals
from sgsim.model.apply_directory import find_user, with_entries
from sgsim.model.credentials import PasswordHash, Secret, SecretHash
from sgsim.model.directory_changes import (
    CreateAccessKey,
    CreateLoginProfile,
    DeleteAccessKey,
    DeleteLoginProfile,
    SetPasswordPolicy,
    UpdateAccessKey,
    UpdateLoginProfile,
)
from sgsim.model.environment import Environment
from sgsim.model.principals import AccessKey, LoginProfile, User
from sgsim.model.quotas import Quotas

__all__ = ["CREDENTIAL_STEPS"]


def _with_user(environment: Environment, user: User, **changed: Any) -> Environment:
    return with_entries(environment, "users", {user.arn: msgspec.structs.replace(user, **changed)})


def _key(user: User, access_key_id: str) -> AccessKey:
    for key in user.access_keys:
        if key.access_key_id == access_key_id:
            return key
    problem = f"The Access Key with id {access_key_id} cannot be found."
    raise ChangeError("NoSuchEntity", problem, user.arn)


def _create_key(environment: Environment, change: CreateAccessKey, quotas: Quotas | None) -> Environment:
    """Of the secret, the environment keeps its hash. Inactive keys count towards the quota."""
    user = find_user(environment, change.user_arn)
    if quotas is not None and len(user.access_keys) >= quotas.access_keys_per_user:
        raise refusals.exceeded("AccessKeysPerUser", quotas.access_keys_per_user, user.arn)
    if any(key.access_key_id == change.access_key_id for key in user.access_keys):
        raise ChangeError("EntityAlreadyExists", f"Access key {change.access_key_id} already exists.", user.arn)
    key = AccessKey(change.access_key_id, "Active", change.created, SecretHash.of(change.secret))
    return _with_user(environment, user, access_keys=(*user.access_keys, key))


def _update_key(environment: Environment, change: UpdateAccessKey, _: Quotas | None) -> Environment:
    user = find_user(environment, change.user_arn)
    known = _key(user, change.access_key_id)
    if change.status not in ("Active", "Inactive"):
        problem = f"Value '{change.status}' at 'status' failed to satisfy constraint: Active or Inactive"
        raise ChangeError("ValidationError", problem, change.access_key_id)
    changed = msgspec.structs.replace(known, status=change.status)
    return _with_user(
        environment, user, access_keys=tuple(changed if key is known else key for key in user.access_keys)
    )


def _delete_key(environment: Environment, change: DeleteAccessKey, _: Quotas | None) -> Environment:
    user = find_user(environment, change.user_arn)
    known = _key(user, change.access_key_id)
    return _with_user(environment, user, access_keys=tuple(key for key in user.access_keys if key is not known))


def _create_login(environment: Environment, change: CreateLoginProfile, quotas: Quotas | None) -> Environment:
    user = find_user(environment, change.user_arn)
    if user.login is not None:
        problem = f"Login Profile for user {user.name} already exists."
        raise ChangeError("EntityAlreadyExists", problem, user.arn)
    _check_password(environment, user, change.password, quotas)
    password = PasswordHash.of(change.password, change.salt)
    return _with_user(environment, user, login=LoginProfile(change.created, change.reset_required, password))


def _login(user: User) -> LoginProfile:
    if user.login is None:
        problem = f"Login Profile for User {user.name} cannot be found."
        raise ChangeError("NoSuchEntity", problem, user.arn)
    return user.login


def _check_password(environment: Environment, user: User, password: Secret, quotas: Quotas | None) -> None:
    if quotas is not None:
        policy = environment.directory.password_policies.get(user.account_id)
        refusals.check_password(policy, password.reveal(), user)


def _update_login(environment: Environment, change: UpdateLoginProfile, quotas: Quotas | None) -> Environment:
    user = find_user(environment, change.user_arn)
    login = _login(user)
    if change.reset_required is not None:
        login = msgspec.structs.replace(login, reset_required=change.reset_required)
    if change.password is not None:
        _check_password(environment, user, change.password, quotas)
        login = _with_password(environment, user, login, change.password, change.salt)
    return _with_user(environment, user, login=login)


def _with_password(
    environment: Environment, user: User, login: LoginProfile, password: Secret, salt: bytes
) -> LoginProfile:
    """The profile with another password; as many old ones are remembered as the password policy asks for."""
    policy = environment.directory.password_policies.get(user.account_id)
    remembered = (policy.reuse_prevention or 0) if policy is not None else 0
    known = (*((login.password,) if login.password is not None else ()), *login.previous)[:remembered]
    if any(one.matches(password) for one in known):
        problem = "The password was used before and may not be used again"
        raise ChangeError("PasswordPolicyViolation", problem, user.arn)
    return msgspec.structs.replace(login, password=PasswordHash.of(password, salt), previous=known)


def _delete_login(environment: Environment, change: DeleteLoginProfile, _: Quotas | None) -> Environment:
    user = find_user(environment, change.user_arn)
    _login(user)
    return _with_user(environment, user, login=None)


def _set_password_policy(environment: Environment, change: SetPasswordPolicy, quotas: Quotas | None) -> Environment:
    policies = dict(environment.directory.password_policies)
    if change.policy is None:
        if policies.pop(change.account_id, None) is None and quotas is not None:
            problem = f"The Password Policy with domain name {change.account_id} cannot be found."
            raise ChangeError("NoSuchEntity", problem, change.account_id)
    else:
        refusals.check_password_policy(change.policy)
        policies[change.account_id] = change.policy
    return replace(environment, directory=replace(environment.directory, password_policies=policies))


CREDENTIAL_STEPS: dict[type, Callable[[Environment, Any, Quotas | None], Environment]] = {
    CreateAccessKey: _create_key,
    UpdateAccessKey: _update_key,
    DeleteAccessKey: _delete_key,
    CreateLoginProfile: _create_login,
    UpdateLoginProfile: _update_login,
    DeleteLoginProfile: _delete_login,
    SetPasswordPolicy: _set_password_policy,
}
