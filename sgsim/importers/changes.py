"""Files of changes → ChangeSet: requests to the API, CloudTrail's records, or a second environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sgsim.errors import ChangeInputError, InputError
from sgsim.importers.actions import ActionReader
from sgsim.importers.aws_json import COLLECTION_KEY, LIST_KEYS
from sgsim.importers.cloudtrail import EventReader
from sgsim.importers.directory_actions import IamActionReader
from sgsim.importers.directory_json import DIRECTORY_KEYS
from sgsim.importers.directory_requests import DIRECTORY_REQUESTS, AttributeRequest, IamRequest
from sgsim.importers.documents import broken_json, content_of, find_files, wrong_type
from sgsim.importers.environment import read_environment
from sgsim.importers.launch_actions import LaunchReader
from sgsim.importers.permission_actions import PermissionActionReader
from sgsim.importers.problems import shown
from sgsim.importers.requests import ADVICE, REQUESTS, BadRequestError, LaunchRequest, Request
from sgsim.model import Environment
from sgsim.model.apply_permissions import known_accounts
from sgsim.model.changes import Change, ChangeOrigin, ChangeSet
from sgsim.model.difference import difference

__all__ = ["read_changes"]

_KINDS = "one request or a list of them, CloudTrail records, or a second environment"
_SHAPES: dict[str, type[Request] | type[IamRequest]] = {**REQUESTS, **DIRECTORY_REQUESTS}
_RECORD_MARKS = (b'"eventSource"', b'"eventVersion"', b'"CloudTrailEvent"')


def read_changes(path: str | os.PathLike[str], environment: Environment) -> ChangeSet:
    """The changes in a file or directory, to be made to the environment (docs/changes.md).

    A request is what `--cli-input-json` takes, with the name of the call under `Action`. Events are sorted by their
    time and count as accepted by AWS; so does the difference to a second environment. Raises ChangeInputError, one
    line with the file, the place inside it, the problem and what to do; EnvironmentInputError for a second
    environment that cannot be read.
    """
    source = os.fsencode(path).decode("utf-8", "backslashreplace")
    try:
        named, found = find_files((path,))
        contents = [(one, content_of(one)) for one in [*named, *found]]
    except InputError as error:
        raise ChangeInputError(error.problem, source=error.source, advice=error.advice) from None
    if found:
        records = [(one, data) for one, data in contents if any(mark in data for mark in _RECORD_MARKS)]
        if not records:
            return _to_second(path, source, environment)
        return _read(records, environment)
    (one, data) = contents[0]
    if _describes(data):
        return _to_second(path, source, environment)
    return _read([(one, data)], environment)


def _describes(data: bytes) -> bool:
    """Whether a file is an environment and no change."""
    try:
        document = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError):
        return False
    keys = document.keys() & {*LIST_KEYS, *DIRECTORY_KEYS, COLLECTION_KEY}
    return bool(keys) and not {"Action", "eventName"} & document.keys()


def _to_second(path: str | os.PathLike[str], source: str, environment: Environment) -> ChangeSet:
    """The difference to a second environment, which must be of the same accounts."""
    second = read_environment(path)
    if environment.groups and not second.groups:
        problem = "this environment describes no security groups, so the difference would take all away"
        raise ChangeInputError(problem, source=source, advice="add the output of 'aws ec2 describe-security-groups'")
    here, there = known_accounts(environment), known_accounts(second)
    if here and there and here.isdisjoint(there):
        raise ChangeInputError(
            f"this environment is of account {', '.join(sorted(there))}, the first one of {', '.join(sorted(here))}",
            source=source,
            advice="compare two exports of the same account",
        )
    return difference(environment, _with_the_untold(environment, second))


def _with_the_untold(first: Environment, second: Environment) -> Environment:
    """The second environment with the first one's principals, images and snapshots where it describes none at all."""
    told = second.directory
    empty = not (told.users or told.groups or told.roles or told.policies or told.organization)
    return replace(
        second,
        directory=first.directory if empty else told,
        images=second.images or first.images,
        volume_snapshots=second.volume_snapshots or first.volume_snapshots,
    )


class _Item(NamedTuple):
    """A request or an event, and the file and path where it stands."""

    body: dict[str, Any]
    source: str
    where: str

    @property
    def place(self) -> str:
        return f"{self.source}, {self.where}" if self.where else self.source


def _read(files: list[tuple[Path, bytes]], environment: Environment) -> ChangeSet:
    network = ActionReader(environment)
    readers = _Readers(
        network, LaunchReader(environment, network), IamActionReader(environment), PermissionActionReader(environment)
    )
    events = EventReader(environment)
    changes: list[Change] = []
    requests = 0
    notes: list[str] = []
    for file, data in files:
        source = os.fsencode(file).decode("utf-8", "backslashreplace")
        for item in _items(data, source):
            if "Action" in item.body:
                requests += 1
                changes += _request(readers, item, notes)
            else:
                changes += events.read(item.body, item.place)
    if not requests:
        changes.sort(key=_time)
    remarks = (*notes, *readers.launches.notes, *readers.permissions.notes, *events.notes)
    return ChangeSet(tuple(changes), remarks, accepted=not requests)


def _time(change: Change) -> float:
    assert change.origin is not None and change.origin.time is not None  # events without time give no change
    return change.origin.time.timestamp()


class _Readers(NamedTuple):
    """What reads the requests to each API."""

    network: ActionReader
    launches: LaunchReader
    iam: IamActionReader
    permissions: PermissionActionReader

    def read(self, action: str, request: Request | IamRequest, origin: ChangeOrigin) -> list[Change]:
        """The changes that the request asks for. Raises BadRequestError."""
        if isinstance(request, IamRequest):
            return [self.iam.read(action, request, origin)]
        if isinstance(request, AttributeRequest):
            change = self.permissions.read(action, request, origin)
            return [] if change is None else [change]
        if isinstance(request, LaunchRequest):
            return [self.launches.read(request, origin)]
        return self.network.read(action, request, origin)


def _request(readers: _Readers, item: _Item, notes: list[str]) -> list[Change]:
    """The changes of one request. Raises ChangeInputError."""
    action = item.body["Action"]
    if not isinstance(action, str) or action not in _SHAPES:
        raise ChangeInputError(
            f"{shown(action)} is not a call that sgsim can make",
            source=item.source,
            where=f"{item.where}.Action" if item.where else "Action",
            advice=_similar(action),
            code="InvalidAction",
        )
    parameters = {key: value for key, value in item.body.items() if key not in ("Action", "Version")}
    try:
        try:
            request = msgspec.convert(parameters, _SHAPES[action])
        except msgspec.ValidationError as error:
            raise _wrong_parameter(error) from None
        if isinstance(request, Request) and request.dry_run:
            notes.append(f"{item.place}: a dry run changes nothing and is left out")
            return []
        changes = readers.read(action, request, ChangeOrigin(event=action, place=item.place))
    except BadRequestError as bad:
        raise (bad.under(item.where) if item.where else bad).refused(item.source) from None
    except RecursionError:
        raise ChangeInputError("the request is nested too deeply", source=item.source, where=item.where) from None
    if not changes:
        notes.append(f"{item.place}: {action} changes nothing here that decides a verdict")
    return changes


def _similar(action: Any) -> str:
    """What may have been meant; there are too many calls to name them all."""
    near = get_close_matches(action, _SHAPES, 3, 0.7) if isinstance(action, str) else []
    return f"did you mean {' or '.join(near)}?" if near else "docs/changes.md lists the calls"


def _wrong_parameter(error: msgspec.ValidationError) -> BadRequestError:
    """What does not fit the call's parameters, with AWS's code for it."""
    bad = wrong_type(error)
    problem, code = bad.problem, "InvalidParameterValue"
    if "missing required field" in problem:
        code = "MissingParameter"
    elif "unknown field" in problem:
        problem, code = problem.replace("object contains unknown field", "unknown parameter"), "UnknownParameter"
    return BadRequestError(bad.path, problem, code)


def _items(data: bytes, source: str) -> Iterator[_Item]:
    """The requests and events of a file. Raises ChangeInputError."""
    try:
        document = msgspec.json.decode(data)
    except (ValueError, RecursionError) as error:
        lines = _json_lines(data)
        if lines is None:
            problem = broken_json(data, source, error if isinstance(error, ValueError) else ValueError("too deep"))
            raise ChangeInputError(problem.problem, source=source, where=problem.where, advice=ADVICE) from None
        for number, document in lines:
            yield from _unwrapped(document, source, f"line {number}")
        return
    yield from _unwrapped(document, source, "")


def _json_lines(data: bytes) -> list[tuple[int, Any]] | None:
    """One JSON value on each line, with line numbers; None if it is not that."""
    documents = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            try:
                documents.append((number, msgspec.json.decode(line)))
            except (ValueError, RecursionError):
                return None
    return documents if len(documents) > 1 else None


def _unwrapped(document: Any, source: str, where: str) -> Iterator[_Item]:
    """Requests and events inside their wrappers: lists, Records, Events, EventBridge's detail."""
    if isinstance(document, list):
        for index, one in enumerate(document):
            yield from _unwrapped(one, source, f"{where}[{index}]")
        return
    if not isinstance(document, dict):
        raise _unknown(document, source, where)
    if "Action" in document or "eventName" in document:
        yield _Item(document, source, where)
        return
    inner = f"{where}." if where else ""
    if "CloudTrailEvent" in document:
        yield from _unwrapped(_parsed(document["CloudTrailEvent"], source, where), source, f"{inner}CloudTrailEvent")
        return
    for key in ("Records", "Events", "detail"):
        if isinstance(document.get(key), (list, dict)):
            yield from _unwrapped(document[key], source, inner + key)
            return
    raise _unknown(document, source, where)


def _parsed(value: Any, source: str, where: str) -> Any:
    """An event, which `lookup-events` prints as text."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (ValueError, RecursionError):
        raise ChangeInputError(
            "the event is not JSON", source=source, where=where, advice="run 'aws cloudtrail lookup-events' again"
        ) from None


def _unknown(document: Any, source: str, where: str) -> ChangeInputError:
    # A text that stands alone may be a password in the wrong place.
    keys = ", ".join(list(map(str, document))[:5]) if isinstance(document, dict) else f"a {type(document).__name__}"
    return ChangeInputError(
        f"this is neither a request (no Action) nor a CloudTrail event (no eventName): {shown(keys)[1:-1]}",
        source=source,
        where=where,
        advice=f"give {_KINDS}",
    )
