"""Secrets of users: made with `secrets`, kept as hashes, and never shown by accident.

Nothing here prints what it holds: `repr` and `str` of a secret or a hash are fixed words, and no exception quotes one.
What a secret says is had by `reveal()` alone, which the command line calls once, for a new access key.

A secret access key has 240 random bits, so one SHA-256 of it is as hard to guess as the key itself; a password has
not, so it is hashed with scrypt (docs/iam.md D). A hash cannot verify a signature of AWS's, which needs the secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import string
from typing import Final

from sgsim.errors import ModelError

__all__ = ["PasswordHash", "Secret", "SecretHash", "new_access_key_id", "new_salt", "new_secret", "new_unique_id"]

#: OWASP's least parameters for scrypt: 128 MiB and about a third of a second for each password.
COST: Final = 2**17
_BLOCK, _PARALLEL, _MEMORY = 8, 1, 2**28

_SECRET_LENGTH = 40
_ID_LENGTH = 20
_BASE32 = string.ascii_uppercase + "234567"
_BASE62_PLUS = string.ascii_letters + string.digits + "/+"


class Secret:
    """A text that must not be seen: a password or a secret access key."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "<secret>"

    def __format__(self, _: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(_encoded(self), _encoded(other))

    def __hash__(self) -> int:
        return hash((Secret, self._text))


def _encoded(secret: Secret) -> bytes:
    return secret.reveal().encode("utf-8", "surrogatepass")


class _Hidden:
    """Base: a value that shows its class alone."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.stored() == other.stored()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self.stored())

    def stored(self) -> str:
        """The hash as text, for the one file that keeps it."""
        raise NotImplementedError


class SecretHash(_Hidden):
    """The SHA-256 of a secret access key."""

    __slots__ = ("_digest",)

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    @classmethod
    def of(cls, secret: Secret) -> SecretHash:
        """The hash of a secret."""
        return cls(hashlib.sha256(_encoded(secret)).digest())

    @classmethod
    def read(cls, text: str) -> SecretHash:
        """What `stored` gave. Raises ModelError."""
        kind, _, digest = text.partition("$")
        raw = _unpacked(digest)
        if kind != "sha256" or len(raw) != 32:
            raise ModelError("this is not the hash of a secret access key")
        return cls(raw)

    def matches(self, secret: Secret) -> bool:
        """Whether this is the hash of the secret, in time that does not depend on either."""
        return hmac.compare_digest(self._digest, hashlib.sha256(_encoded(secret)).digest())

    def stored(self) -> str:
        return f"sha256${_packed(self._digest)}"


class PasswordHash(_Hidden):
    """The scrypt hash of a password with its salt and cost."""

    __slots__ = ("_cost", "_digest", "_salt")

    def __init__(self, digest: bytes, salt: bytes, cost: int) -> None:
        self._digest, self._salt, self._cost = digest, salt, cost

    @classmethod
    def of(cls, password: Secret, salt: bytes, *, cost: int = COST) -> PasswordHash:
        """The hash of a password; only tests give another cost than OWASP's least."""
        return cls(_scrypt(password, salt, cost), salt, cost)

    @classmethod
    def read(cls, text: str) -> PasswordHash:
        """What `stored` gave. Raises ModelError."""
        kind, cost, salt, digest = (*text.split("$"), "", "", "")[:4]
        raw, raw_salt = _unpacked(digest), _unpacked(salt)
        power = int(cost) if cost.isascii() and cost.isdigit() and len(cost) < 9 else 0
        if kind != "scrypt" or len(raw) != 64 or len(raw_salt) < 16 or not 1 < power <= COST or power & (power - 1):
            raise ModelError("this is not the hash of a password")
        return cls(raw, raw_salt, power)

    def matches(self, password: Secret) -> bool:
        """Whether this is the hash of the password."""
        return hmac.compare_digest(self._digest, _scrypt(password, self._salt, self._cost))

    def stored(self) -> str:
        return f"scrypt${self._cost}${_packed(self._salt)}${_packed(self._digest)}"


def _scrypt(password: Secret, salt: bytes, cost: int) -> bytes:
    return hashlib.scrypt(_encoded(password), salt=salt, n=cost, r=_BLOCK, p=_PARALLEL, maxmem=_MEMORY)


def _packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unpacked(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def new_salt() -> bytes:
    """16 random bytes."""
    return secrets.token_bytes(16)


def new_secret() -> Secret:
    """A secret access key as AWS makes them: 40 characters of 64, 240 bits."""
    return Secret("".join(secrets.choice(_BASE62_PLUS) for _ in range(_SECRET_LENGTH)))


def new_access_key_id() -> str:
    """The identifier of a long-term access key: `AKIA` and 16 characters."""
    return "AKIA" + _random_base32(_ID_LENGTH - 4)


def new_unique_id(prefix: str) -> str:
    """A unique id as AWS has them, 21 characters: `AIDA…` of a user, `AROA…` of a role, `AGPA…` of a group."""
    return prefix + _random_base32(21 - len(prefix))


def _random_base32(length: int) -> str:
    return "".join(secrets.choice(_BASE32) for _ in range(length))
