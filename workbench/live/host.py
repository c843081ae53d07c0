"""
The host of an engine: ``python -P -m workbench.live.host DIRECTORY [--liquidate]``.

One process for one engine, for as long as it holds the lock of its directory. Its main thread is nautilus's; a thread
of its own answers, writes the heartbeat and shuts the gate, whatever the main thread does. How it ends: `HostExit`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from workbench.config import load_settings
from workbench.engine_records import HostMode, HostRecord
from workbench.errors import ConflictError, InputError, WorkbenchError
from workbench.gate.rules import TradingState
from workbench.live.clearings import journal_clearings
from workbench.live.context import HostContext
from workbench.live.ending import catch_signals, force_end
from workbench.live.engine_directory import EngineDirectory, make_socket_path
from workbench.live.exits import HostExit
from workbench.live.heartbeat import build_heartbeat
from workbench.live.host_output import HostOutput
from workbench.live.journal import Journal
from workbench.live.service import Service
from workbench.stamps import utc_now
from workbench.states import EngineState, EngineTrigger

__all__ = ["main", "run_host"]

_SWITCH_SECS = 0.001


def run_host(directory: EngineDirectory, *, is_liquidating: bool = False) -> HostExit:
    """
    Be the host of an engine until it ends.

    Parameters
    ----------
    directory : EngineDirectory
        The engine.
    is_liquidating : bool
        Whether to close what is open, without any strategy, and end.

    Raises
    ------
    ConflictError
        If it has a host already.
    WorkbenchError
        If it cannot be set up, or its node cannot be built.

    """
    with directory.hold_lock("host"):
        context, has_crashed = _open(directory, is_liquidating=is_liquidating)
        catch_signals(context)
        service = Service(context, _find_guardian(directory))
        service.start()
        last = directory.load_supervision()
        context.tell(
            "engine",
            "HostStarted",
            {"host": context.record, "has_crashed": has_crashed, "last_exit": last and last.last_exit},
        )
        journal_clearings(directory, context)
        force_end(context)
        code = HostExit.BROKEN
        try:
            # Not above: nautilus takes a second to import, and the service answers meanwhile.
            from workbench.live.trading import Trading

            code = Trading(context, service, has_crashed=has_crashed).run()
        except InputError as e:
            code = HostExit.CONFIG
            context.tell("alarm", "HostFailed", {"error": str(e), "field": e.field})
            raise
        except BaseException as e:
            context.tell("alarm", "HostFailed", {"error": f"{type(e).__name__}: {e}"})
            raise
        finally:
            _close(context, service, code)
        return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the host of the engine that the arguments name, and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    is_liquidating = "--liquidate" in arguments
    names = [a for a in arguments if a != "--liquidate"]
    if len(names) != 1 or names[0].startswith("-"):
        print("usage: python -P -m workbench.live.host DIRECTORY [--liquidate]", file=sys.stderr)  # noqa: T201
        return HostExit.CONFIG
    try:
        return run_host(EngineDirectory(Path(names[0])), is_liquidating=is_liquidating)
    except ConflictError as e:
        print(e, file=sys.stderr)  # noqa: T201
        return HostExit.BUSY
    except InputError as e:
        is_named = not e.field or e.field in e.message
        print(e if is_named else f"{e.field}: {e}", file=sys.stderr)  # noqa: T201
        return HostExit.CONFIG
    except WorkbenchError as e:
        print(e, file=sys.stderr)  # noqa: T201
        return HostExit.BROKEN


def _open(directory: EngineDirectory, *, is_liquidating: bool) -> tuple[HostContext, bool]:
    settings = load_settings()
    # The service's thread waits no longer than this for the one that trades.
    sys.setswitchinterval(_SWITCH_SECS)
    # What was captured from notebooks and files.
    sys.path.append(str(settings.runs / "_strategies"))
    sys.dont_write_bytecode = True
    before, desired = directory.load_host(), directory.load_desired()
    last = directory.load_heartbeat()
    version = directory.load_version(None if desired is None else desired.config_version)
    config = directory.load_config(version.version)
    record = HostRecord(
        pid=os.getpid(),
        incarnation=1 if before is None else before.incarnation + 1,
        config_version=version.version,
        environment=config.environment,
        mode=HostMode.LIQUIDATE if is_liquidating else HostMode.TRADE,
        started_at=utc_now(),
        socket=str(make_socket_path(directory, settings.runtime)),
    )
    directory.write_host(record)
    # The restriction comes with the next heartbeat where trouble is there from the beginning.
    contexts: list[HostContext] = []

    output = HostOutput()

    def shut(trouble: str) -> None:
        output.mute()
        for context in contexts:
            context.restrict("journal", TradingState.REDUCING, f"the journal cannot be written: {trouble}")

    journal = Journal.open(directory.journal, incarnation=record.incarnation, on_trouble=shut)
    contexts.append(HostContext(directory, config, record, journal))
    contexts[0].output = output
    return contexts[0], last is not None and last.state != EngineState.STOPPED


def _find_guardian(directory: EngineDirectory) -> Callable[[], object] | None:
    from workbench.live.launch import ensure_guardian  # It names this module

    return lambda: ensure_guardian(directory)


def _close(context: HostContext, service: Service, code: HostExit) -> None:
    if code == HostExit.ORDERLY:
        context.advance(EngineTrigger.END)
    else:
        context.fail()
    context.tell("engine", "HostEnded", {"code": code, "reason": code.name})
    service.stop()
    context.journal.close()
    if context.output is not None:
        context.output.close()
    context.directory.write_heartbeat(build_heartbeat(context))
    context.has_ended.set()


if __name__ == "__main__":
    CODE = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of adapters and of nautilus's runtime must not hold up the end.
    os._exit(CODE)
