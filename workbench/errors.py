"""The error tree: every error says what was given, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "AuthenticationError",
    "CatalogError",
    "ConfigError",
    "ConfirmationRequiredError",
    "ConflictError",
    "DataError",
    "ExistsError",
    "ForbiddenError",
    "InputError",
    "NotFoundError",
    "RunError",
    "ServerError",
    "StartError",
    "StoreError",
    "WorkbenchError",
    "WorkerError",
    "find_error",
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
    field : str, optional
        The place in the input that is wrong, such as ``data.0.catalog_path``.
    errors : Sequence[WorkbenchError]
        Everything that is wrong with the input, where more than the first was looked for.

    Attributes
    ----------
    code : str
        A stable, machine-readable name of the kind of error.
    exit_code : int
        The exit code of the command line: 2 for wrong input, 1 for work that failed.
    errors : tuple[WorkbenchError, ...]
        One error for each wrong place, the one at `field` first; empty where only this one is known.

    """

    code = "workbench_error"
    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        expected: str = "",
        advice: str = "",
        field: str = "",
        errors: Sequence[WorkbenchError] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.advice = advice
        self.field = field
        self.errors = tuple(errors)

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
        return _rebuild, (type(self), self.message, self.expected, self.advice, self.field, self.errors)


def _rebuild(
    kind: type[WorkbenchError],
    message: str,
    expected: str,
    advice: str,
    field: str,
    errors: tuple[WorkbenchError, ...],
) -> WorkbenchError:
    return kind(message, expected=expected, advice=advice, field=field, errors=errors)


def find_error(code: str) -> type[WorkbenchError] | None:
    """Return the kind of error that has this `code`."""
    kinds = [WorkbenchError]
    for kind in kinds:  # Grows by the children of what it has come to
        if kind.code == code:
            return kind
        kinds += kind.__subclasses__()
    return None


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


class ConflictError(InputError):
    """What was asked does not fit the present state: a finished job cannot be paused."""

    code = "conflict"


class ConfirmationRequiredError(ConflictError):
    """
    What was asked for raises risk: whoever asks must see the risks, and ask again with the token.

    Parameters
    ----------
    message, expected, advice, field, errors
        As for every error.
    risks : Mapping[str, Any]
        What is at stake: the fields of `workbench.engine_records.Risks`.
    confirm_token : str
        What the second call carries: good for a minute, once, for this change and this person.

    """

    code = "confirmation_required"

    def __init__(
        self,
        message: str,
        *,
        expected: str = "",
        advice: str = "",
        field: str = "",
        errors: Sequence[WorkbenchError] = (),
        risks: Mapping[str, Any] | None = None,
        confirm_token: str = "",
    ) -> None:
        super().__init__(message, expected=expected, advice=advice, field=field, errors=errors)
        self.risks = dict(risks or {})
        self.confirm_token = confirm_token

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the risks and the token too."""
        kept = {"risks": self.risks, "confirm_token": self.confirm_token}
        return (*super().__reduce__(), kept)


class AuthenticationError(InputError):
    """Nobody, or nobody known, has asked."""

    code = "unauthenticated"


class ForbiddenError(InputError):
    """The one who asked may not do this."""

    code = "forbidden"


class DataError(InputError):
    """Market data were refused: the message counts the reasons, with row numbers."""

    code = "data_refused"


class CatalogError(WorkbenchError):
    """A catalog cannot be read or written: a damaged file, a foreign schema, a full disk."""

    code = "catalog_error"


class RunError(WorkbenchError):
    """A run ended without doing its work."""

    code = "run_failed"


class StartError(RunError):
    """An engine did not come up: its configuration, its venue or a strategy is at fault; its log says which."""

    code = "start_failed"


class WorkerError(WorkbenchError):
    """A child process broke its side of the agreement: it died, hung or spoke nonsense."""

    code = "worker_failed"


class StoreError(WorkbenchError):
    """The records cannot be read or written: no such database, a newer schema, a full disk."""

    code = "store_failed"


class ServerError(WorkbenchError):
    """The workspace's server cannot be started or reached, is busy for too long, or is of another version."""

    code = "server_failed"
