"""The lab of network namespaces, made once for all tests that need it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.lab import Host, lab, why_not

HOSTS = 5


@pytest.fixture(scope="session")
def linux() -> None:
    """Skips, and says why, where the machine cannot play the interfaces."""
    if lack := why_not():
        pytest.skip(f"the comparison with Linux {lack}")


@pytest.fixture(scope="session")
def hosts(linux: None) -> Iterator[list[Host]]:
    """Namespaces that each play one interface."""
    with lab(HOSTS) as made:
        yield made
