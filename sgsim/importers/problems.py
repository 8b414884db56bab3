"""What is wrong inside a document, on its way up to where the file is known."""

from __future__ import annotations

import re

import msgspec

from sgsim.errors import EnvironmentInputError

__all__ = ["EXPORT_AGAIN", "BadFieldError", "printable", "shown", "wrong_type"]

EXPORT_AGAIN = "correct it or export it again with the AWS CLI"

_WORDS = {
    "int": "a whole number",
    "float": "a number with a fraction",
    "str": "a string",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


class BadFieldError(Exception):
    """A field of a document cannot be used; `path` grows from the inside out as the exception rises."""

    def __init__(self, path: str, problem: str, advice: str = EXPORT_AGAIN) -> None:
        super().__init__(problem)
        self.path, self.problem, self.advice = path, problem, advice

    def under(self, outer: str) -> BadFieldError:
        """The same complaint, seen from the element `outer` that holds the field."""
        separator = "." if outer and self.path and not self.path.startswith("[") else ""
        return BadFieldError(f"{outer}{separator}{self.path}", self.problem, self.advice)

    def located(self, source: str) -> EnvironmentInputError:
        """The error for the user, with the file."""
        return EnvironmentInputError(printable(self.problem), source=source, where=self.path, advice=self.advice)


def printable(text: str) -> str:
    """A message with what a document said in it, without control characters and not too long."""
    text = text if len(text) <= 600 else f"{text[:400]}… ({len(text)} characters)"
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def shown(value: object) -> str:
    """A value from a document, short enough and free of control characters, for a message."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"


def wrong_type(error: msgspec.ValidationError) -> BadFieldError:
    """msgspec's complaint in plain words, with its path."""
    text, _, path = str(error).partition(" - at `")
    text = re.sub(
        r"`([a-z| ]+)`",
        lambda match: " or ".join(_WORDS.get(word, word) for word in match[1].split(" | ") if word != "null") or "null",
        text,
    ).replace("`", "")
    path = path.removesuffix("`").removeprefix("$").removeprefix(".")
    return BadFieldError(path, text[:1].lower() + text[1:])
