"""The decorators of all kernels: compiled without the GIL, cached on disk, recompiled when any kernel changes.

Numba's own file cache looks at the file of the cached function only, so that an edit to a helper in another module
goes unnoticed. Here the cache directory is named by a hash of every source in this package, the versions of numba,
llvmlite, numpy and Python, and the CPU: an edit or an upgrade starts an empty directory.

The directory is looked for under `NUMBA_CACHE_DIR`, `XDG_CACHE_HOME` (or `~/.cache`), then the temporary directory;
the installation itself is never written to. If nothing can be written kernels are compiled again by each process.

Use `@kernel` for what Python calls and `@helper` for what only kernels call: a helper ends up inside its callers'
cached code, so caching it too would cost a second compilation and a second file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, overload

import llvmlite
import numba
import numpy as np
from llvmlite import binding
from numba.core import caching
from numba.core.compiler import CompilerBase, DefaultPassBuilder

__all__ = ["cache_directory", "helper", "kernel"]

F = TypeVar("F", bound=Callable[..., Any])

_SOURCES = Path(__file__).parent

#: How long a process waits for another one that compiles the same kernel, and how often it looks.
_CLAIM_SECONDS = 0.02
_CLAIM_POLLS = 1500


class _NoAliasCompiler(CompilerBase):  # type: ignore[misc]
    """Tells LLVM that the array arguments do not overlap, so that table look-ups become vector gathers."""

    def define_pipelines(self) -> list[Any]:
        self.state.flags.noalias = True
        return [DefaultPassBuilder.define_nopython_pipeline(self.state)]


class _Locator(caching._CacheLocator):  # type: ignore[misc]
    """Puts every kernel into `cache_directory()`; the directory's name is all the freshness there is."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        self._py_file = py_file
        self._lineno = py_func.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        return str(cache_directory())

    def get_source_stamp(self) -> str:
        return _source_hash()

    def get_disambiguator(self) -> str:
        return str(self._lineno)

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _Locator:
        return cls(py_func, py_file)


class _CacheImpl(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class _KernelCache(caching.FunctionCache):  # type: ignore[misc]
    """Numba's cache, except that a cache that cannot be read or written never fails a call."""

    _impl_class = _CacheImpl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = self._load(sig, target_context)
        if found is None and not _claim(self._claim_of(sig)):
            found = self._load(sig, target_context)  # another process has compiled it meanwhile
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(OSError):  # read-only or full
            super().save_overload(sig, data)
        with contextlib.suppress(OSError):
            self._claim_of(sig).unlink()

    def _load(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # a torn or foreign file: unpickling may raise anything; compile instead
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def _claim_of(self, sig: Any) -> Path:
        """The file that says who is compiling the function for these types."""
        digest = hashlib.sha256(str(sig).encode()).hexdigest()[:16]
        return Path(self.cache_path) / f"{self._impl.filename_base}.{digest}.claim"


def _claim(path: Path) -> bool:
    """Claim a compilation; False if another process had claimed it and is done (or took longer than anyone waits).

    Two processes that start on an empty cache share the work instead of doing it twice.
    """
    for _ in range(_CLAIM_POLLS):
        try:
            with path.open("x") as file:
                file.write(str(os.getpid()))
            return True
        except FileExistsError:
            if not _is_held(path):
                with contextlib.suppress(OSError):
                    path.unlink()
                return False
        except OSError:  # read-only: everybody compiles for themselves
            return True
        time.sleep(_CLAIM_SECONDS)
        if not path.exists():
            return False
    return False


def _is_held(path: Path) -> bool:
    """Whether the process that made the claim still runs."""
    try:
        holder = path.read_text()
        if not holder:  # made, but not yet signed
            return time.time() - path.stat().st_mtime < 1
        if int(holder) != os.getpid():
            os.kill(int(holder), 0)
    except PermissionError:  # somebody else's process
        return True
    except (OSError, ValueError, OverflowError):
        return False
    return int(holder) != os.getpid()


@overload
def kernel(function: F) -> F: ...
@overload
def kernel(*, noalias: bool = False) -> Callable[[F], F]: ...
def kernel(function: F | None = None, *, noalias: bool = False) -> F | Callable[[F], F]:
    """Compile a function from arrays to arrays on its first call, without the GIL, and cache the machine code.

    `noalias` promises that no two array arguments overlap (an output never shares memory with an input).
    """

    def decorate(python_function: F) -> F:
        options: dict[str, Any] = {"pipeline_class": _NoAliasCompiler} if noalias else {}
        dispatcher: Any = numba.njit(nogil=True, error_model="numpy", **options)(python_function)
        if cache_directory() is not None and hasattr(dispatcher, "_cache"):
            dispatcher._cache = _KernelCache(python_function)
        return dispatcher  # type: ignore[no-any-return]

    return decorate if function is None else decorate(function)


@overload
def helper(function: F) -> F: ...
@overload
def helper(*, inline: bool = False, noalias: bool = False) -> Callable[[F], F]: ...
def helper(function: F | None = None, *, inline: bool = False, noalias: bool = False) -> F | Callable[[F], F]:
    """Compile a function that only kernels call; never cached by itself.

    LLVM inlines small helpers anyway; `inline` makes it. `noalias` is as for `kernel`.
    """

    def decorate(python_function: F) -> F:
        # Without wrappers for calls from Python, all kernels together compile an eighth faster.
        options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": inline}
        if noalias:
            options["pipeline_class"] = _NoAliasCompiler
        return numba.njit(nogil=True, error_model="numpy", **options)(python_function)  # type: ignore[no-any-return]

    return decorate if function is None else decorate(function)


@cache
def cache_directory() -> Path | None:
    """The directory of the compiled kernels, made if need be; None where none can be written or read."""
    name = f"kernels-{_source_hash()[:24]}"
    for base in _bases():
        directory = base / name
        if _usable(directory):
            return directory
    return None


@cache
def _source_hash() -> str:
    """Changes with every kernel source, the compiler's versions and the CPU."""
    digest = hashlib.sha256()
    for path in sorted(_SOURCES.rglob("*.py")):
        digest.update(f"\0{path.relative_to(_SOURCES)}\0".encode())
        digest.update(path.read_bytes())
    cpu = f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}"
    flags = sorted((name, value) for name, value in os.environ.items() if name.startswith("NUMBA_"))
    versions = (numba.__version__, llvmlite.__version__, np.__version__, sys.version, sys.platform, cpu, flags)
    digest.update(repr(versions).encode())
    return digest.hexdigest()


def _bases() -> list[Path]:
    """Where caches may live, best first."""
    bases = []
    if numba_directory := os.environ.get("NUMBA_CACHE_DIR"):
        bases.append(Path(numba_directory) / "sgsim")
    if user_directory := os.environ.get("XDG_CACHE_HOME"):
        bases.append(Path(user_directory) / "sgsim")
    else:
        with contextlib.suppress(RuntimeError):  # a user without a home
            bases.append(Path.home() / ".cache" / "sgsim")
    owner = os.getuid() if hasattr(os, "getuid") else "user"
    return [*bases, Path(tempfile.gettempdir()) / f"sgsim-{owner}"]


def _usable(directory: Path) -> bool:
    """Whether kernels can be kept in the directory, or are there to be read.

    A cache is code: a directory that someone else owns or may write to, as in a shared `/tmp`, is refused.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (directory, directory.parent):
            status = path.stat()
            foreign = hasattr(os, "getuid") and status.st_uid not in (os.getuid(), 0)
            if foreign or status.st_mode & stat.S_IWOTH:
                return False
        with tempfile.TemporaryFile(dir=directory):
            return True
    except OSError:
        return any(directory.glob("*.nbi")) if os.access(directory, os.R_OK | os.X_OK) else False
