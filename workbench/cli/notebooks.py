"""Where the project's notebooks are."""

from __future__ import annotations

from pathlib import Path

import workbench
from workbench.errors import NotFoundError

__all__ = ["find_notebook"]


def find_notebook(name: str) -> Path:
    """
    Return the path of one of the project's notebooks.

    Raises
    ------
    NotFoundError
        If the package was installed without its notebooks.

    """
    path = Path(workbench.__file__).resolve().parent.parent / "notebooks" / name
    if not path.is_file():
        raise NotFoundError(
            f"the notebook {name} is not beside the package", advice="run from a checkout of the project"
        )
    return path
