"""Listings of IAM → Directory: users, groups, roles, policies, access keys, passwords."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from sgsim.errors import EnvironmentInputError, ModelError
from sgsim.importers import holders
from sgsim.importers.directory_json import AccessKeyItem, CredentialItem, LoginItem, PasswordPolicyItem
from sgsim.importers.listing import Listing, Origin, convert_all
from sgsim.importers.merge import Views
from sgsim.importers.organizations import OrganizationReader
from sgsim.importers.policies import moment
from sgsim.importers.problems import BadFieldError, printable
from sgsim.importers.scope import Collected
from sgsim.model.credentials import PasswordHash, SecretHash
from sgsim.model.principals import (
    AccessKey,
    Directory,
    IamGroup,
    LoginProfile,
    ManagedPolicy,
    PasswordPolicy,
    Role,
    User,
)
from sgsim.model.quotas import Quotas
from sgsim.model.trust import trust_circles, trusting_statement

__all__ = ["DirectoryReader"]

_COMMON = frozenset({"attached", "inline", "unique_id"})


class DirectoryReader:
    """Collects descriptions; `build` puts them together. Methods raise EnvironmentInputError."""

    def __init__(self) -> None:
        self._users = Views("user", _COMMON | {"group_names", "boundary"})
        self._groups = Views("group of users", _COMMON)
        self._roles = Views("role", _COMMON | {"trust", "boundary"})
        self._policies = Views("policy", frozenset({"versions", "default_version_id"}))
        self._organization = OrganizationReader()
        self._folders: dict[str, str] = {}
        self._keys: list[tuple[AccessKeyItem, Listing, int]] = []
        self._logins: list[tuple[LoginItem, Listing, int]] = []
        self._password_policies: list[tuple[PasswordPolicyItem, Listing]] = []
        self._secrets: dict[tuple[str, str], SecretHash] = {}
        self._passwords: dict[str, tuple[PasswordHash, tuple[PasswordHash, ...]]] = {}
        self._group_names: dict[str, dict[str, str]] = {}
        self._user_names: dict[str, list[str]] = {}
        self._incomplete: set[str] = set()
        self.warnings: list[str] = []

    @property
    def described(self) -> bool:
        """Whether there is a user, group, role or policy."""
        return any(views.fields for views in (self._users, self._groups, self._roles, self._policies))

    def add(self, listing: Listing) -> None:
        """Take a listing of IAM or Organizations; others are ignored."""
        items: dict[str, tuple[Views, Callable[[Any], dict[str, Any]]]] = {
            "UserDetailList": (self._users, holders.user_fields),
            "GroupDetailList": (self._groups, holders.group_fields),
            "RoleDetailList": (self._roles, holders.role_fields),
            "Policies": (self._policies, holders.managed_policy_fields),
        }
        if listing.incomplete and listing.source not in self._incomplete:
            self._incomplete.add(listing.source)
            self.warnings.append(
                f"{listing.source}: {listing.label} is incomplete (a Marker or NextToken is left over): what no file "
                "lists does not exist here; export without --max-items and --no-paginate"
            )
        if listing.key in items:
            views, fields_of = items[listing.key]

            def read(item: Any, index: int) -> None:
                fields = fields_of(item)
                self._folders.setdefault(fields["arn"], listing.folder)
                views.add(fields["arn"], fields, listing.origin(index))

            convert_all(listing, read)
        elif listing.key == "AccessKeyMetadata":
            self._keys += [(item, listing, index) for index, item in enumerate(listing.items)]
        elif listing.key == "LoginProfile":
            self._logins += [(item, listing, index) for index, item in enumerate(listing.items)]
        elif listing.key == "PasswordPolicy":
            self._password_policies += [(item, listing) for item in listing.items]
        elif listing.key == "SgsimCredentials":
            convert_all(listing, lambda item, _: self._add_credential(item))
        else:
            self._organization.add(listing)

    def _add_credential(self, item: CredentialItem) -> None:
        try:
            if item.access_key_id is not None:
                self._secrets[item.user_arn, item.access_key_id] = SecretHash.read(item.hash)
            else:
                previous = tuple(PasswordHash.read(one) for one in item.previous)
                self._passwords[item.user_arn] = PasswordHash.read(item.hash), previous
        except ModelError as error:
            raise BadFieldError("", str(error)) from None

    def build(self, collected: Mapping[str, Collected]) -> Directory:
        """The directory, checked: what is named exists."""
        self._check_names()
        for arn in self._groups.fields:
            self._group_names.setdefault(arn.split(":")[4], {})[arn.rpartition("/")[2]] = arn
        for arn in self._users.fields:
            self._user_names.setdefault(arn.rpartition("/")[2], []).append(arn)
        keys, logins = self._access_keys(), self._login_profiles()
        groups = self._made(self._groups, IamGroup)
        users = {}
        for arn, fields in self._users.fields.items():
            told = {name: value for name, value in fields.items() if name != "group_names"}
            users[arn] = User(
                **told,
                groups=self._group_arns(arn, fields["group_names"]),
                access_keys=keys.get(arn, ()),
                login=logins.get(arn),
                origin=str(self._users.origins[arn]),
            )
        directory = Directory(
            users,
            groups,
            self._made(self._roles, Role),
            self._made(self._policies, ManagedPolicy),
            self._account_password_policies(collected),
            self._organization.build(),
        )
        self.warnings += self._organization.warnings
        self._check_policies(directory)
        self._warn(directory)
        return directory

    def _made(self, views: Views, kind: Callable[..., Any]) -> dict[str, Any]:
        return {arn: kind(**fields, origin=str(views.origins[arn])) for arn, fields in views.fields.items()}

    def _group_arns(self, user_arn: str, names: tuple[str, ...]) -> tuple[str, ...]:
        account_id = user_arn.split(":")[4]
        known = self._group_names.get(account_id, {})
        for name in names:
            if name not in known:
                self._fail(
                    self._users.origins[user_arn],
                    f"user {user_arn} is in group {name}, which is not in the input",
                    "export the account's authorization details without --filter",
                )
        return tuple(known[name] for name in dict.fromkeys(names))

    def _user_arn(self, name: str, listing: Listing, index: int) -> str:
        """The user of this name, of the account that the file's folder describes if there are several."""
        found = self._user_names.get(name, [])
        beside = [arn for arn in found if self._folders[arn] == listing.folder]
        if len(found) > 1 and len(beside) == 1:
            found = beside
        if len(found) != 1:
            where = "in none of the accounts" if not found else "in several accounts"
            self._fail(
                listing.origin(index),
                f"user {name} is {where}",
                "add the output of 'aws iam get-account-authorization-details', one folder for each account",
            )
        return found[0]

    def _access_keys(self) -> dict[str, tuple[AccessKey, ...]]:
        keys: dict[str, dict[str, AccessKey]] = {}
        for item, listing, index in self._keys:
            arn = self._user_arn(item.user_name, listing, index)
            try:
                created = moment(item.create_date, "CreateDate")
            except BadFieldError as bad:
                raise bad.under(f"{listing.label}[{index}]").located(listing.source) from None
            if item.status not in ("Active", "Inactive", "Expired"):
                self._fail(listing.origin(index), f"{item.status[:40]!r} is no status of an access key", "export again")
            key = AccessKey(item.access_key_id, item.status, created, self._secrets.get((arn, item.access_key_id)))
            keys.setdefault(arn, {})[item.access_key_id] = key
        return {arn: tuple(held.values()) for arn, held in keys.items()}

    def _login_profiles(self) -> dict[str, LoginProfile]:
        profiles = {}
        for item, listing, index in self._logins:
            arn = self._user_arn(item.user_name, listing, index)
            try:
                created = moment(item.create_date, "CreateDate")
            except BadFieldError as bad:
                raise bad.under(f"{listing.label}[{index}]").located(listing.source) from None
            password, previous = self._passwords.get(arn, (None, ()))
            profiles[arn] = LoginProfile(created, item.password_reset_required, password, previous)
        return profiles

    def _account_password_policies(self, collected: Mapping[str, Collected]) -> dict[str, PasswordPolicy]:
        """By account: the one that is told, the one that the folder is of, or the only one there is."""
        policies = {}
        for item, listing in self._password_policies:
            accounts = {arn.split(":")[4] for arn, folder in self._folders.items() if folder == listing.folder}
            notes = collected.get(listing.folder)
            if notes is not None and notes.account_id is not None:
                accounts = {notes.account_id}
            accounts = (accounts or {arn.split(":")[4] for arn in self._folders}) - {"aws"}
            if listing.about:
                accounts = {listing.about}
            if len(accounts) != 1:
                self._fail(
                    Origin(listing.source, listing.label),
                    "nothing tells which account's password policy this is",
                    "put it beside the output of 'aws iam get-account-authorization-details'",
                )
            policies[accounts.pop()] = holders.password_policy(item)
        return policies

    def _check_names(self) -> None:
        """No two things of a kind have one name in an account, whatever their paths and the case of letters."""
        for views, noun in ((self._users, "user"), (self._groups, "group"), (self._roles, "role")):
            first: dict[tuple[str, str], str] = {}
            for arn in views.fields:
                known = first.setdefault((arn.split(":")[4], arn.rpartition("/")[2].casefold()), arn)
                if known != arn:
                    self._fail(
                        views.origins[arn],
                        f"{noun} {arn} has the name of {known}, which is in {views.origins[known]}",
                        "keep the files of one moment in time; in an account, no two have one name",
                    )

    def _check_policies(self, directory: Directory) -> None:
        """Policies that are attached, or are a boundary, are in the input or ship with sgsim."""
        for holder in (*directory.users.values(), *directory.groups.values(), *directory.roles.values()):
            boundary = getattr(holder, "boundary", None)
            for arn in (*holder.attached, *((boundary,) if boundary else ())):
                if directory.managed_policy(arn) is None:
                    what = "permissions boundary" if arn == boundary else "attached policy"
                    self._fail(
                        self._origin(holder.arn),
                        f"NoSuchEntity: the {what} of {holder.arn} is {arn}, which is not in the input",
                        "export the account's authorization details without --filter, with Policies",
                    )

    def _origin(self, arn: str) -> Origin:
        return next(views.origins[arn] for views in (self._users, self._groups, self._roles) if arn in views.origins)

    def _fail(self, origin: Origin, problem: str, advice: str) -> NoReturn:
        raise EnvironmentInputError(printable(problem), source=origin.source, where=origin.where, advice=advice)

    def _warn(self, directory: Directory) -> None:
        """What AWS would not have allowed, or what is odd."""
        quotas = Quotas()
        for user in directory.users.values():
            if len(user.groups) > quotas.groups_per_user:
                self.warnings.append(
                    f"{user.origin}: user {user.name} is in {len(user.groups)} groups, AWS allows "
                    f"{quotas.groups_per_user}"
                )
            if len(user.access_keys) > quotas.access_keys_per_user:
                self.warnings.append(
                    f"{user.origin}: user {user.name} has {len(user.access_keys)} access keys, AWS allows "
                    f"{quotas.access_keys_per_user}"
                )
        for circle in trust_circles(directory):
            names = " → ".join(one.rpartition("/")[2] for one in (*circle, circle[0]))
            last = directory.roles[circle[-1]]
            self.warnings.append(
                f"{last.origin}: roles trust each other in a circle: {names}; statement "
                f"{trusting_statement(last, circle[0])} of the trust policy of role {last.name} closes it"
            )
