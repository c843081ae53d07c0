"""The error tree: every error says what was given, what was expected and what to do."""

from __future__ import annotations

__all__ = [
    "CatalogError",
    "ConfigError",
    "DataError",
    "ExistsError",
    "InputError",
    "NotFoundError",
    "RunError",
    "WorkbenchError",
    "WorkerError",
]


class WorkbenchError(Exception):
    """
    The root of every error that the workbench raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong, in one clause that names what was given.
    expected : str, optional
        What would have been accepted.
    advice : str, optional
        What to do about it: a command, a flag or a place to look.

    Attributes
    ----------
    code : str
        A stable, machine-readable name of the kind of error.
    exit_code : int
        The exit code of the command line: 2 for wrong input, 1 for work that failed.

    """

    code = "workbench_error"
    exit_code = 1

    def __init__(self, message: str, *, expected: str = "", advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.advice = advice

    def __str__(self) -> str:
        """Return the error as one line."""
        parts = [self.message]
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.advice:
            parts.append(self.advice)
        return "; ".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the named parts when the error crosses a process edge."""
        return _rebuild, (type(self), self.message, self.expected, self.advice)


def _rebuild(kind: type[WorkbenchError], message: str, expected: str, advice: str) -> WorkbenchError:
    return kind(message, expected=expected, advice=advice)


class InputError(WorkbenchError):
    """What the caller gave cannot be used: a wrong value, a missing file, a contradiction."""

    code = "input_invalid"
    exit_code = 2


class ConfigError(InputError):
    """A configuration does not describe something that can run."""

    code = "config_invalid"


class NotFoundError(InputError):
    """Something was named that does not exist."""

    code = "not_found"


class ExistsError(InputError):
    """Something stands already where the caller wants to write something else."""

    code = "exists"


class DataError(InputError):
    """Market data were refused: the message counts the reasons, with row numbers."""

    code = "data_refused"


class CatalogError(WorkbenchError):
    """A catalog cannot be read or written: a damaged file, a foreign schema, a full disk."""

    code = "catalog_error"


class RunError(WorkbenchError):
    """A run ended without doing its work."""

    code = "run_failed"


class WorkerError(WorkbenchError):
    """A child process broke its side of the agreement: it died, hung or spoke nonsense."""

    code = "worker_failed"
