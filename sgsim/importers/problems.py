"""What is wrong inside a document, on its way up to where the file is known."""

from __future__ import annotations

from sgsim.errors import EnvironmentInputError

__all__ = ["EXPORT_AGAIN", "BadFieldError", "shown"]

EXPORT_AGAIN = "correct it or export it again with the AWS CLI"


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
        return EnvironmentInputError(self.problem, source=source, where=self.path, advice=self.advice)


def shown(value: object) -> str:
    """A value from a document, short enough and free of control characters, for a message."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"
