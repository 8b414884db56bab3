"""What IAM refuses, with its own error codes (docs/iam.md D)."""

from __future__ import annotations

import re
from typing import Final

from sgsim.errors import ChangeError
from sgsim.model.arns import parse_arn
from sgsim.model.principals import Directory, Holder, IamGroup, ManagedPolicy, PasswordPolicy, Role, User
from sgsim.model.quotas import Quotas

__all__ = [
    "check_attachable",
    "check_deletable",
    "check_group_quota",
    "check_name",
    "check_password",
    "check_password_policy",
    "check_policy_quota",
    "check_session",
    "check_tags",
    "check_trust",
    "exceeded",
    "in_use",
    "missing",
    "noun",
    "taken",
]

_NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)
_HOLDER = re.compile(r"arn:[^:]+:iam::[0-9]{12}:(user|role)/.+", re.ASCII)
_LONGEST: Final = {"user": 64, "group": 128, "role": 64, "policy": 128}
_SYMBOLS: Final = frozenset("!@#$%^&*()_+-=[]{}|'")
_LONGEST_PASSWORD: Final = 128
_MOST_TAGS: Final = 50


def noun(holder: Holder | ManagedPolicy) -> str:
    """What a thing is called: user, group, role or policy."""
    for kind, name in ((User, "user"), (IamGroup, "group"), (Role, "role")):
        if isinstance(holder, kind):
            return name
    return "policy"


def missing(kind: str, name: str) -> ChangeError:
    """The error for a user, group or role that is not there."""
    return ChangeError("NoSuchEntity", f"The {kind} with name {name} cannot be found.", name)


def taken(kind: str, name: str) -> ChangeError:
    """The error for a name that is in use, in whatever case."""
    if kind == "policy":
        problem = f"A policy called {name} already exists. Duplicate names are not allowed."
    else:
        problem = f"{kind.capitalize()} with name {name} already exists."
    return ChangeError("EntityAlreadyExists", problem, name)


def exceeded(quota: str, limit: int, item: str) -> ChangeError:
    """The error for one too many."""
    return ChangeError("LimitExceeded", f"Cannot exceed quota for {quota}: {limit}", item)


def in_use(why: str, item: str) -> ChangeError:
    """The error for deleting what something else needs."""
    return ChangeError("DeleteConflict", f"Cannot delete entity, must {why} first.", item)


def check_name(kind: str, name: str) -> None:
    """Characters and length of a new name."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST[kind]:
        problem = f"The specified value for {kind}Name is invalid. It must contain only alphanumeric characters and/or"
        raise ChangeError("ValidationError", f"{problem} the following: +=,.@_- (at most {_LONGEST[kind]})", name)


def check_tags(holder: User | Role) -> None:
    """At most 50 tags, whose keys differ in more than case."""
    keys = {key.casefold() for key, _ in holder.tags}
    if len(keys) < len(holder.tags):
        problem = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        raise ChangeError("InvalidInput", problem, holder.arn)
    if len(keys) > _MOST_TAGS:
        raise _out_of_range(str(len(keys)), "tags", 0, _MOST_TAGS, holder.arn)


def check_session(role: Role) -> None:
    """Sessions of a role last from one to twelve hours."""
    seconds = role.max_session_duration
    if seconds is not None and not 3600 <= seconds <= 43200:
        raise _out_of_range(str(seconds), "maxSessionDuration", 3600, 43200, role.arn)


def _out_of_range(value: str, name: str, least: int, most: int, item: str = "") -> ChangeError:
    problem = f"Value '{value}' at '{name}' failed to satisfy constraint: from {least} to {most}"
    return ChangeError("ValidationError", problem, item)


def check_attachable(directory: Directory, holder: Holder, policy_arn: str) -> None:
    """A managed policy exists, and belongs to the account or to AWS."""
    policy = directory.managed_policy(policy_arn)
    if policy is None or policy.account_id not in ("aws", holder.account_id):
        raise ChangeError("NoSuchEntity", f"Policy {policy_arn} does not exist or is not attachable.", holder.arn)


def check_trust(directory: Directory, role: Role) -> None:
    """Users and roles that a trust policy names exist, as far as their accounts are described; the role's own is."""
    named = [
        one.name for statement in role.trust.statements for one in (*statement.principals, *statement.not_principals)
    ]
    for name in named:
        if not _HOLDER.fullmatch(name) or name in directory.users or name in directory.roles:
            continue
        account_id = parse_arn(name).account_id
        described = (*directory.users.values(), *directory.roles.values())
        if account_id == role.account_id or any(one.account_id == account_id for one in described):
            raise ChangeError("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{name}"', role.arn)


def check_policy_quota(holder: Holder, quotas: Quotas) -> None:
    """One more managed policy fits."""
    if len(holder.attached) >= quotas.policies_per_holder:
        raise exceeded(f"PoliciesPer{noun(holder).capitalize()}", quotas.policies_per_holder, holder.arn)


def check_group_quota(user: User, quotas: Quotas) -> None:
    """One more group fits."""
    if len(user.groups) >= quotas.groups_per_user:
        raise exceeded("GroupsPerUser", quotas.groups_per_user, user.arn)


def check_deletable(directory: Directory, holder: User | IamGroup | Role) -> None:
    """Nothing is left on a user, group or role."""
    if isinstance(holder, User):
        if holder.groups:
            raise in_use("remove user from all groups", f"{holder.arn} is in {holder.groups[0]}")
        if holder.access_keys:
            raise in_use("delete access keys", holder.arn)
        if holder.login is not None:
            raise in_use("delete login profile", holder.arn)
    elif isinstance(holder, IamGroup):
        member = next(directory.members(holder.arn), None)
        if member is not None:
            raise in_use("remove users from group", f"{member.arn} is in {holder.arn}")
    elif holder.service_linked:
        raise ChangeError("UnmodifiableEntity", "A service-linked role is deleted through its service", holder.arn)
    if holder.attached:
        raise in_use("detach all policies", holder.arn)
    if holder.inline:
        raise in_use("delete policies", holder.arn)


def check_password_policy(policy: PasswordPolicy) -> None:
    """The numbers of a password policy are in AWS's ranges."""
    for name, value, least, most in (
        ("minimumPasswordLength", policy.minimum_length, 6, _LONGEST_PASSWORD),
        ("maxPasswordAge", policy.max_age, 1, 1095),
        ("passwordReusePrevention", policy.reuse_prevention, 1, 24),
    ):
        if value is not None and not least <= value <= most:
            raise _out_of_range(str(value), name, least, most)


def check_password(policy: PasswordPolicy | None, password: str, user: User) -> None:
    """A password follows the account's policy, by default AWS's. Says what is missing, never what was given."""
    classes = {
        "symbol": any(one in _SYMBOLS for one in password),
        "number": any(one.isascii() and one.isdigit() for one in password),
        "uppercase letter": any(one.isascii() and one.isupper() for one in password),
        "lowercase letter": any(one.isascii() and one.islower() for one in password),
    }
    if len(password) > _LONGEST_PASSWORD or not password.isprintable():
        raise _violation(f"at most {_LONGEST_PASSWORD} printable characters", user)
    least = 8 if policy is None else policy.minimum_length
    if len(password) < least:
        raise _violation(f"a minimum length of {least}", user)
    if policy is None:
        if sum(classes.values()) < 3:
            raise _violation("three of: symbols, numbers, uppercase letters, lowercase letters", user)
        if password.casefold() in (user.account_id, user.name.casefold()):
            raise _violation("another content than the name of the account or the user", user)
        return
    wanted = (policy.require_symbols, policy.require_numbers, policy.require_uppercase, policy.require_lowercase)
    for (name, found), required in zip(classes.items(), wanted):
        if required and not found:
            raise _violation(f"at least one {name}", user)


def _violation(wanted: str, user: User) -> ChangeError:
    return ChangeError("PasswordPolicyViolation", f"Password should have {wanted}", user.arn)
