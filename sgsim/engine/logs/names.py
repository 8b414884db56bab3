"""Numbers for the ids that a log names, which last beyond the batch that brings them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["LastingNames"]


class LastingNames:
    """Ids in the order in which batches brought them; an id's number is its place in `texts`."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def of(self, texts: Sequence[str]) -> npt.NDArray[np.int32]:
        """The number of each text of a batch, and -1 at the end: what its code -1 (none) finds there."""
        numbers = self._numbers
        for text in texts:
            if text not in numbers:
                numbers[text] = len(numbers)
                self.texts.append(text)
        return np.array([*map(numbers.__getitem__, texts), -1], np.int32)
