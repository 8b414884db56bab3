"""The one place where secrets are shown: of access keys that were made just now."""

from __future__ import annotations

import msgspec

from sgsim.model import Environment
from sgsim.model.changes import ChangeSet
from sgsim.model.directory_changes import CreateAccessKey

__all__ = ["new_keys_json"]


def new_keys_json(changes: ChangeSet, after: Environment) -> bytes:
    """What CreateAccessKey answers, an object for each key that the changes made and left, b"" if there is none."""
    answers = []
    for change in changes.changes:
        if not isinstance(change, CreateAccessKey):
            continue
        user = after.directory.users.get(change.user_arn)
        held = {one.access_key_id: one for one in user.access_keys} if user is not None else {}
        key = held.get(change.access_key_id)
        if user is None or key is None:
            continue
        answer = {
            "UserName": user.name,
            "AccessKeyId": key.access_key_id,
            "Status": key.status,
            "SecretAccessKey": change.secret.reveal(),
            "CreateDate": None if key.created is None else key.created.isoformat(),
        }
        answers.append(msgspec.json.format(msgspec.json.encode({"AccessKey": answer}), indent=4) + b"\n")
    return b"".join(answers)
