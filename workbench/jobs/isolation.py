"""Keep one task of a process from another: what the first one loads and changes is put back."""

from __future__ import annotations

import contextlib
import decimal
import importlib
import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

__all__ = ["isolated"]


@contextlib.contextmanager
def isolated(search_path: list[str]) -> Iterator[None]:
    """
    Run a task as a fresh process would, and leave nothing of it behind.

    Modules of the user's own (those outside the interpreter's libraries) are forgotten afterwards: the next
    task imports them again and gets their present source, and none of the state that the last one left.

    Parameters
    ----------
    search_path : list[str]
        Where the caller finds modules; what is not on the path here is appended for the task.

    """
    modules, path, environ = set(sys.modules), list(sys.path), dict(os.environ)
    directory = _find_cwd()
    sys.path += [p for p in search_path if p not in path]
    importlib.invalidate_caches()
    decimal.setcontext(decimal.Context())
    try:
        yield
    finally:
        sys.path[:] = path
        if os.environ != environ:
            os.environ.clear()
            os.environ.update(environ)
        if directory is not None and _find_cwd() != directory:
            with contextlib.suppress(OSError):  # Removed meanwhile: not ours to mend
                os.chdir(directory)
        for name in set(sys.modules) - modules:
            module = sys.modules.get(name)
            if module is not None and _is_users(name, module):
                del sys.modules[name]


def _find_cwd() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # The directory is gone
        return None


def _find_libraries() -> tuple[str, ...]:
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    paths += [*site.getsitepackages(), site.getusersitepackages()]
    return tuple(sorted({str(q) + os.sep for p in paths for q in (Path(p), Path(p).resolve())}))


_LIBRARIES = _find_libraries()


def _is_users(name: str, module: ModuleType) -> bool:
    """Return whether the module is somebody's own source, not an installed library or the workbench."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py"):
        return False  # A compiled extension cannot be loaded twice
    own = __name__.partition(".")[0]
    if name == "__main__" or name.partition(".")[0] == own:
        return False
    return not (file.startswith(_LIBRARIES) or str(Path(file).resolve()).startswith(_LIBRARIES))
