"""Who holds these credentials? A wrong secret takes as long as an unknown name, and both get the same answer."""

from __future__ import annotations

from functools import cache

from sgsim.model import Environment
from sgsim.model.credentials import PasswordHash, Secret, SecretHash
from sgsim.model.overlay import Overlay
from sgsim.model.principals import User

__all__ = ["authenticate", "check_password"]

_NOBODY = SecretHash(bytes(32))


def authenticate(environment: Environment, access_key_id: str, secret: str | Secret) -> str | None:
    """The ARN of the user to whom an active access key with this secret belongs; None if there is none.

    Keys of which the input has no secret's hash, as in AWS's own listings, authenticate nobody.
    """
    given = secret if isinstance(secret, Secret) else Secret(secret)
    user = next(Overlay.of(environment.directory.users).having(_key_ids, access_key_id), None)
    keys = () if user is None else (one for one in user.access_keys if one.access_key_id == access_key_id)
    key = next(iter(keys), None)
    known = None if key is None else key.secret_hash
    right = (known or _NOBODY).matches(given)
    if user is None or key is None or known is None or key.status != "Active":
        return None
    return user.arn if right else None


def _key_ids(user: User) -> tuple[str, ...]:
    return tuple(key.access_key_id for key in user.access_keys)


def check_password(environment: Environment, user_arn: str, password: str | Secret) -> bool:
    """Whether this is the user's password; False also where the input has no hash of it."""
    given = password if isinstance(password, Secret) else Secret(password)
    user = environment.directory.users.get(user_arn)
    known = user.login.password if user is not None and user.login is not None else None
    right = (known or _nobody()).matches(given)
    return known is not None and right


@cache
def _nobody() -> PasswordHash:
    """A hash that takes as long as another and is nobody's."""
    return PasswordHash.of(Secret(""), bytes(16))
