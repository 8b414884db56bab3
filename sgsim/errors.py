"""The exceptions of sgsim.

    SgsimError                        everything that sgsim raises on purpose
    ├── InputError                    something that the user gave cannot be used
    │   ├── EnvironmentInputError     an account's export
    │   ├── TrafficInputError         a capture or a log
    │   ├── ChangeInputError          a file of changes
    │   ├── PolicyError               a policy that AWS would not let anybody attach
    │   └── NotationError             text such as 'tcp 10.0.1.5:40000 > 10.0.2.7:443'
    ├── ChangeError                   a change that AWS would refuse; nothing is applied
    ├── ModelError                    a rule, group or address that cannot exist (also a ValueError)
    ├── CollectError                  an account cannot be read over AWS's API
    ├── OutputError                   a result cannot be written
    ├── UnknownVerdictError           --strict, and some verdict is UNKNOWN
    └── MissingExtraError             a part of sgsim that is not installed

An error speaks to a person: what is wrong, where, and what to do about it.
"""

from __future__ import annotations


class SgsimError(Exception):
    """Base of every exception that sgsim raises on purpose."""


class InputError(SgsimError):
    """What the user gave cannot be used.

    `source` is the file (or `<stdin>`), `where` a path inside the document or a record number, `problem`
    what is wrong, `advice` what to do. `str()` is one line made of them.
    """

    def __init__(self, problem: str, *, source: str = "", where: str = "", advice: str = "") -> None:
        self.problem, self.source, self.where, self.advice = problem, source, where, advice
        place = ", ".join(part for part in (source, where) if part)
        text = f"{place}: {problem}" if place else problem
        super().__init__(" ".join(f"{text}; {advice}".split()) if advice else " ".join(text.split()))


class EnvironmentInputError(InputError):
    """An account's export cannot be used."""


class TrafficInputError(InputError):
    """A capture or a log cannot be used."""


class ChangeInputError(InputError):
    """A file of changes cannot be used; `code` is AWS's error code where AWS would refuse the request as it stands."""

    def __init__(self, problem: str, *, source: str = "", where: str = "", advice: str = "", code: str = "") -> None:
        self.code = code
        super().__init__(f"{code}: {problem}" if code else problem, source=source, where=where, advice=advice)


class PolicyError(InputError):
    """A policy that AWS would refuse to attach; `code` is AWS's. Nothing of it is ever passed over instead."""

    code = "MalformedPolicyDocument"

    def __init__(self, problem: str, *, source: str = "", where: str = "", advice: str = "") -> None:
        super().__init__(f"{self.code}: {problem}", source=source, where=where, advice=advice)
        self.problem = problem

    def within(self, element: str) -> PolicyError:
        """The same complaint, seen from the element that holds the place."""
        where = ".".join(part for part in (element, self.where) if part)
        return PolicyError(self.problem, source=self.source, where=where, advice=self.advice)

    def of(self, name: str, source: str = "") -> PolicyError:
        """The same complaint with the policy's name and the file that it was read from."""
        where = ", ".join(part for part in (name, self.where) if part)
        return PolicyError(self.problem, source=source or self.source, where=where, advice=self.advice)


class NotationError(InputError):
    """Text that should name a flow, an address or a rule cannot be understood."""


class ChangeError(SgsimError):
    """A change that AWS would refuse, or that does not fit the environment; nothing of its change set is applied.

    `code` is AWS's error code, `message` AWS's words, `item` what it is about, `place` where the change was read
    (file and path), "" if it was made up in the program.
    """

    def __init__(self, code: str, message: str, item: str = "", place: str = "") -> None:
        self.code, self.message, self.item, self.place = code, message, item, place
        text = f"{place}: {code}: {_clipped(message)}" if place else f"{code}: {_clipped(message)}"
        super().__init__(" ".join((f"{text} ({_clipped(item)})" if item else text).split()))

    def __reduce__(self) -> tuple[type[ChangeError], tuple[str, str, str, str]]:
        return type(self), (self.code, self.message, self.item, self.place)


def _clipped(text: str) -> str:
    """What a file said, short enough and without control characters, for a message."""
    text = text if len(text) <= 400 else f"{text[:300]}… ({len(text)} characters)"
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


class ModelError(SgsimError, ValueError):
    """A value of the model that cannot exist, such as a port above 65535."""


class CollectError(SgsimError):
    """An account cannot be read over AWS's API: credentials, Region, network or permissions."""


class OutputError(SgsimError):
    """A result cannot be written."""


class UnknownVerdictError(SgsimError):
    """`--strict` was asked for and some verdict is UNKNOWN."""


class MissingExtraError(SgsimError):
    """A part of sgsim is not installed; the message names the extra."""
