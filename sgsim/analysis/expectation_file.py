"""Files of expectations: YAML, with line and column of everything that is wrong.

- accept: tcp 10.0.1.5 > sg-database:5432
- reject: internet > any:22
  name: nobody logs in from outside
- accept: [udp sg-web > 10.0.0.2:53, tcp sg-web > 10.0.0.2:53]
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

from sgsim.analysis.expectation_text import Expectation, Place, parse_expectation
from sgsim.errors import InputError
from sgsim.verdicts import Verdict

__all__ = ["parse_expectations", "read_expectations"]

_SHAPE = "write a list of entries such as '- accept: tcp 10.0.1.5 > sg-database:5432'"
_WORDS = {"accept": Verdict.ACCEPT, "reject": Verdict.REJECT}


def read_expectations(path: str | os.PathLike[str]) -> list[Expectation]:
    """Every expectation in a file. Raises InputError, one line with file, line and column."""
    source = os.fsencode(path).decode("utf-8", "backslashreplace")
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=source) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("is not text in UTF-8", source=source) from None
    return parse_expectations(text, source)


def parse_expectations(text: str, source: str = "") -> list[Expectation]:
    """Every expectation in a YAML text, in its order. Raises InputError."""
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source, mark.line + 1, mark.column + 1) if mark else Place(source)
        place.fail(f"is not YAML: {error.problem or error.context}", advice="text with : # [ ] or quotes stands in '…'")
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"is not YAML: {error}", source=source) from None
    if root is None:
        Place(source).fail("holds no expectations", advice=_SHAPE)
    found: list[Expectation] = []
    for entry in _sequence(root, source, "expectations"):
        found += _entry(entry, source)
    if not found:
        _fail(root, source, "holds no expectations")
    return found


def _entry(node: Any, source: str) -> list[Expectation]:
    """One entry: `accept` or `reject` with a line or a list of lines, and a name if it has one."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        _fail(node, source, "an entry is not of the form 'accept: …' or 'reject: …'")
    lines: list[tuple[Verdict, Any]] = []
    name = ""
    seen: set[str] = set()
    for key, value in node.value:
        word = key.value if isinstance(key, yaml.ScalarNode) else None
        if word in seen:
            _fail(key, source, f"{word!r} stands here twice in one entry")
        if word == "name":
            name = _scalar(value, source)
        elif word in _WORDS:
            lines += ((_WORDS[word], line) for line in _lines(value))
        else:
            _fail(key, source, f"{word!r} is not one of accept, reject, name")
        seen.add(word)
    if len(seen - {"name"}) != 1:
        _fail(node, source, "an entry has one of accept and reject")
    return [parse_expectation(verdict, _scalar(line, source), _place(line, source), name) for verdict, line in lines]


def _sequence(root: Any, source: str, key: str) -> list[Any]:
    """The entries: the document itself, or what it has under one key."""
    import yaml

    if isinstance(root, yaml.MappingNode):
        under = [value for name, value in root.value if getattr(name, "value", None) == key]
        if len(under) != 1 or len(root.value) != 1:
            _fail(root, source, "this is not a list of expectations")
        root = under[0]
    if not isinstance(root, yaml.SequenceNode):
        _fail(root, source, "this is not a list of expectations")
    return list(root.value)


def _lines(node: Any) -> list[Any]:
    import yaml

    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def _scalar(node: Any, source: str) -> str:
    import yaml

    if not isinstance(node, yaml.ScalarNode):
        _fail(node, source, "text is expected here")
    return str(node.value)


def _place(node: Any, source: str) -> Place:
    """Where the text of a scalar begins; inside quotes, if it is quoted."""
    mark = node.start_mark
    return Place(source, mark.line + 1, mark.column + 1 + (getattr(node, "style", None) in ("'", '"')))


def _fail(node: Any, source: str, problem: str) -> NoReturn:
    mark = node.start_mark
    Place(source, mark.line + 1, mark.column + 1).fail(problem, advice=_SHAPE)
