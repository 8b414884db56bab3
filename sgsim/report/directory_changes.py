"""What changes do to principals, images and snapshots, as lines under the name of each. No secret, no hash."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sgsim.model import Environment
from sgsim.model.directory_changes import SetEntry, SetPasswordPolicy
from sgsim.model.directory_difference import entries_of
from sgsim.model.images import Permission
from sgsim.model.principals import AccessKey, InlinePolicy, LoginProfile, ManagedPolicy, Role, User

__all__ = ["entry_lines", "password_policy_line"]

_NOUNS = {
    "users": "user",
    "groups": "group",
    "roles": "role",
    "policies": "policy",
    "images": "image",
    "volume_snapshots": "snapshot",
}


def password_policy_line(change: SetPasswordPolicy, before: Environment) -> tuple[str, str]:
    """(thing, line) of an account's password policy."""
    known = change.account_id in before.directory.password_policies
    mark = "-" if change.policy is None else "~" if known else "+"
    return f"account {change.account_id}", f"{mark} the password policy"


def entry_lines(change: SetEntry, before: Environment) -> Iterator[tuple[str, str]]:
    """(thing, line) pairs of a user, group, role, policy, image or snapshot."""
    noun = _NOUNS[change.kind]
    old, new = entries_of(before, change.kind).get(change.key), change.value
    if new is None:
        yield change.key, f"- the {noun}"
        return
    if old is None:
        yield change.key, f"+ the {noun}"
    if change.kind in ("images", "volume_snapshots"):
        lines = _sharing(getattr(old, "permissions", None), getattr(new, "permissions", None))
    elif isinstance(new, ManagedPolicy):
        lines = _versions(old, new)
    else:
        lines = _holder(old, new)
    yield from ((change.key, line) for line in lines)


def _sharing(old: frozenset[Permission] | None, new: frozenset[Permission] | None) -> Iterator[str]:
    yield from _each("shared with {}", map(str, old or ()), map(str, new or ()))


def _each(text: str, old: Iterable[str], new: Iterable[str]) -> Iterator[str]:
    """What is gone, then what is new, in their order."""
    olds, news = tuple(old), tuple(new)
    yield from (f"- {text.format(one)}" for one in sorted(olds) if one not in news)
    yield from (f"+ {text.format(one)}" for one in news if one not in olds)


def _versions(old: ManagedPolicy | None, new: ManagedPolicy) -> Iterator[str]:
    known = old.versions if old is not None else ()
    yield from _each("version {}", (one.version_id for one in known), (one.version_id for one in new.versions))
    if old is not None and old.default_version_id != new.default_version_id:
        yield f"~ version {old.default_version_id} → {new.default_version_id} holds"


def _holder(old: Any, new: Any) -> Iterator[str]:
    if isinstance(new, Role) and old is not None and old.trust != new.trust:
        yield "~ the trust policy"
    if isinstance(new, User):
        yield from _each("in group {}", getattr(old, "groups", ()), new.groups)
    yield from _each("policy {}", getattr(old, "attached", ()), new.attached)
    yield from _inline(getattr(old, "inline", ()), new.inline)
    boundaries = [getattr(one, "boundary", None) for one in (old, new)]
    yield from _each("boundary {}", *((one,) if one else () for one in boundaries))
    if isinstance(new, User):
        yield from _keys(getattr(old, "access_keys", ()), new.access_keys)
        yield from _login(getattr(old, "login", None), new.login)
    if old is not None and getattr(old, "tags", ()) != getattr(new, "tags", ()):
        yield "~ the tags"


def _inline(old: Iterable[InlinePolicy], new: Iterable[InlinePolicy]) -> Iterator[str]:
    olds, news = {one.name: one for one in old}, {one.name: one for one in new}
    yield from _each("inline policy {}", olds, news)
    yield from (f"~ inline policy {name}" for name, one in news.items() if name in olds and olds[name] != one)


def _keys(old: Iterable[AccessKey], new: Iterable[AccessKey]) -> Iterator[str]:
    """A new key has no name yet: what is shown now is not what is made later."""
    olds, news = {one.access_key_id: one for one in old}, {one.access_key_id: one for one in new}
    yield from (f"- access key {name}" for name in sorted(olds) if name not in news)
    yield from ("+ an access key" for name in news if name not in olds)
    for name, one in news.items():
        if name in olds and olds[name].status != one.status:
            yield f"~ access key {name} {olds[name].status} → {one.status}"


def _login(old: LoginProfile | None, new: LoginProfile | None) -> Iterator[str]:
    if old is None and new is not None:
        yield f"+ a password{', to be changed at the next sign-in' if new.reset_required else ''}"
    elif old is not None and new is None:
        yield "- the password"
    elif old is not None and new is not None and old != new:
        yield f"~ the password{', to be changed at the next sign-in' if new.reset_required else ''}"
