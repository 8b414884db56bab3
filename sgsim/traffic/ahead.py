"""Work done one step ahead, in a thread: decoding gives up the GIL, so it runs beside whatever uses the batches."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")

_END = object()


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items in the same order, each made while its predecessor is in use; errors come where they happened.

    When the consumer stops early the iterator is closed by the thread, at its next item.
    """
    made: queue.Queue[object] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def run() -> None:
        last: object = _END
        try:
            for item in items:
                made.put(item)
                if stopped.is_set():
                    break
        except BaseException as error:
            last = _Failure(error)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()
            made.put(last)

    thread = threading.Thread(target=run, name="sgsim-decoder", daemon=True)
    thread.start()
    try:
        while True:
            item = made.get()
            if item is _END:
                return
            if isinstance(item, _Failure):
                raise item.error
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        while thread.is_alive():  # make room for a put that waits; a thread stuck in a read is left behind
            try:
                made.get(timeout=0.2)
            except queue.Empty:
                break
        thread.join(timeout=0.2)
