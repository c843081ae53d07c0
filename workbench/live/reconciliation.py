"""
Where the journal does not tell all that a sandbox held: what it tells, and that a person takes it for the truth.

A start refuses such a journal. Who has looked at it accepts exactly what was shown; the next host takes it once, and
writes down who agreed to what.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from workbench.engine_records import Risks
from workbench.errors import (
    ConfirmationRequiredError,
    ConflictError,
    InputError,
    NotFoundError,
    ServerError,
    StoreError,
)
from workbench.files import write_atomically
from workbench.live.engine_directory import EngineDirectory
from workbench.live.history import read_history
from workbench.live.journal_reader import JournalReader
from workbench.live.sandbox_state import SandboxState, collect_state
from workbench.stamps import utc_now

__all__ = ["Acceptance", "accept_journal", "end_acceptance", "load_acceptance", "load_state", "make_digest"]

_ACCOUNT = "the account"


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a person took for the truth.

    Attributes
    ----------
    at : str
        When, ISO 8601 UTC.
    by, reason : str
        Who, and why.
    digest : str
        Of what was shown to them: it holds for nothing else.

    """

    at: str
    by: str
    reason: str
    digest: str


def load_state(journal: Path) -> SandboxState:
    """
    Return what a journal tells of the sandbox venues, with what it does not tell.

    A journal that was lost or damaged and begun anew does not know what was held: nobody shall take the starting
    balances for that.

    Raises
    ------
    StoreError
        If it cannot be read.

    """
    state = collect_state(read_history(journal))
    with JournalReader(journal) as reader:
        first = reader.first_seq
    if first > 1 and not state.accounts and not state.is_accepted:
        state.disputed.append(_ACCOUNT)
        state.problems.append(
            f"the journal begins with event {first}: what was held before that is not known, and a start begins "
            "with the starting balances and no position"
        )
    return state


def make_digest(state: SandboxState) -> str:
    """Return what names this state: another balance, position or problem has another."""
    return hashlib.sha256(msgspec.json.encode(state.describe(), order="sorted")).hexdigest()[:16]


def accept_journal(
    directory: EngineDirectory, *, by: str, reason: str, confirm_token: str = ""
) -> dict[str, Any]:
    """
    Take what the journal tells for what the sandbox holds, at the next start; return it as plain values.

    Parameters
    ----------
    directory : EngineDirectory
        The engine, which does not run.
    by, reason : str
        Who takes it, and why.
    confirm_token : str
        What the error of the first call gave: it stands for what was shown.

    Raises
    ------
    ConfirmationRequiredError
        If it is the first call: what is at stake, and the token of the second.
    ConflictError
        If a host runs, or there is nothing to accept.
    InputError
        If there is no reason.
    NotFoundError
        If the engine has no journal.
    StoreError, ServerError
        If the journal cannot be read, or the directory not be written.

    """
    if not reason.strip():
        raise InputError("the journal is accepted for a reason", field="reason")
    if directory.is_held("host"):
        raise ConflictError(f"the engine {directory.name} runs", advice="stop it first")
    if not directory.journal.exists():
        raise NotFoundError(f"the engine {directory.name} has no journal")
    state = load_state(directory.journal)
    if not state.problems:
        raise ConflictError(
            f"the journal of the engine {directory.name} tells all: there is nothing to accept"
        )
    digest = make_digest(state)
    if confirm_token != digest:
        raise ConfirmationRequiredError(
            f"the journal of the engine {directory.name} does not tell all that was held",
            risks=msgspec.to_builtins(_build_risks(directory, state)),
            confirm_token=digest,
        )
    acceptance = Acceptance(at=utc_now(), by=by, reason=reason, digest=digest)
    try:
        write_atomically(_find_path(directory), msgspec.json.encode(acceptance) + b"\n")
    except OSError as e:
        raise ServerError(f"reconcile.json of {directory.name} cannot be written: {e.strerror}") from e
    return state.describe()


def load_acceptance(
    directory: EngineDirectory, state: SandboxState, *, is_liquidating: bool = False
) -> Acceptance | None:
    """
    Return who took this state for the truth; nothing where nobody did, or something else was shown to them.

    A host that only closes what is open asks nobody: what the journal says is open is what it tries to close. What an
    account held it cannot know either.

    Raises
    ------
    StoreError
        If that cannot be read.

    """
    if not state.problems:
        return None
    digest = make_digest(state)
    try:
        acceptance = msgspec.json.decode(_find_path(directory).read_bytes(), type=Acceptance)
    except FileNotFoundError:
        acceptance = None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as e:
        raise StoreError(f"reconcile.json of the engine {directory.name} cannot be read: {e}") from e
    if acceptance is not None and acceptance.digest == digest:
        return acceptance
    if is_liquidating and _ACCOUNT not in state.disputed:
        reason = "an emergency stop closes what the journal says is open"
        return Acceptance(at=utc_now(), by="guardian", reason=reason, digest=digest)
    return None


def end_acceptance(directory: EngineDirectory) -> None:
    """Let an acceptance hold no longer: it was written into the journal."""
    _find_path(directory).unlink(missing_ok=True)


def _build_risks(directory: EngineDirectory, state: SandboxState) -> Risks:
    positions = state.describe()["positions"]
    lines = [
        *state.problems,
        *(
            f"{name} of {held['strategy_id']} will be {held['signed_quantity']} {held['instrument_id']}"
            + ("; its realised PnL and commissions begin at nothing" if name in state.disputed else "")
            for name, held in positions.items()
        ),
        *(
            f"{name} will hold {', '.join(balances)}"
            for name, balances in state.describe()["balances"].items()
        ),
    ]
    return Risks(engine=directory.name, action="reconcile", environment="SANDBOX", word="y", lines=lines)


def _find_path(directory: EngineDirectory) -> Path:
    return directory.path / "reconcile.json"
