"""Gets what contenders need: Debian packages by apt-get (as root), PyPI projects by pip into this environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version

from benchmarks.contest import Contender

__all__ = ["install"]


def install(contenders: Iterable[Contender], say: Callable[[str], None]) -> None:
    """Install what is missing; says what could not be had."""
    listed = list(contenders)
    debian = sorted({name for contender in listed for name in contender.needs.debian if not _has_package(name)})
    pypi = sorted({name for contender in listed for name in contender.needs.pypi if not _has_project(name)})
    if debian and (os.geteuid() or not shutil.which("apt-get")):
        say(f"not installed, which takes root and apt-get: {' '.join(debian)}")
    elif debian:
        say(f"installing {' '.join(debian)}")
        _run(["apt-get", "update", "-qq"], say)
        for name in debian:  # one by one: one that is not to be had does not hold up the others
            _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", name], say)
    for name in pypi:
        say(f"installing {name}")
        _run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", name], say)


def _has_package(name: str) -> bool:
    asked = (
        subprocess.run(["dpkg-query", "-W", "-f=${Status}", name], capture_output=True, text=True, check=False)
        if shutil.which("dpkg-query")
        else None
    )
    return asked is not None and asked.stdout.startswith("install ok installed")


def _has_project(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _run(command: list[str], say: Callable[[str], None]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        say(f"  failed: {' '.join(command)}: {last}")
