"""Where a change comes from."""

from __future__ import annotations

from datetime import datetime

import msgspec

__all__ = ["BaseChange", "ChangeOrigin"]


class ChangeOrigin(msgspec.Struct, frozen=True):
    """Who asked for a change, when and through what, as far as the input tells.

    `time` is aware. `principal` is an ARN or a service; `source` an IP address or a service; `event` CloudTrail's
    name of the event with its id; `place` the file and the path inside it, for messages.
    """

    time: datetime | None = None
    principal: str = ""
    source: str = ""
    event: str = ""
    place: str = ""


class BaseChange(msgspec.Struct, frozen=True, kw_only=True):
    """Base: where a change comes from, None if it was made up here."""

    origin: ChangeOrigin | None = None
