"""The text of a policy and what JSON says of it: plain or URL-encoded, each key once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import unquote

from sgsim.errors import PolicyError

__all__ = ["document_text", "read_document"]


def read_document(document: str | bytes) -> tuple[str, Any]:
    """The JSON text, decoded if it was URL-encoded, and what it says. Raises PolicyError."""
    if isinstance(document, bytes):
        try:
            document = document.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise PolicyError("the policy is not UTF-8 text") from None
    text = document
    if text.lstrip()[:1] == "%":  # an encoded document begins with %7B, or with white space that is encoded too
        text = unquote(text)
    try:
        body = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        return text, body
    except UnicodeEncodeError:
        raise PolicyError("the policy has half a character (an unpaired surrogate)") from None
    except RecursionError:
        raise PolicyError("the policy is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise PolicyError(f"the policy is not JSON: {error.msg}", where=f"line {error.lineno}") from None
    except ValueError as error:  # NaN, a number of more digits than Python reads or larger than it knows
        raise PolicyError(f"the policy is not JSON: {error}") from None


def document_text(document: Mapping[str, Any]) -> str:
    """JSON text of a policy that was read already. Raises PolicyError."""
    try:
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise PolicyError("the policy cannot be said in JSON") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different; JSON itself would let the last one win."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise PolicyError(f"the key {json.dumps(twice[:100])} is given twice in one element")
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON value")
