"""The task that executes one notebook with papermill; runs in a worker's child process."""

from __future__ import annotations

import _thread
import os
import threading
from pathlib import Path
from typing import Any

from workbench.errors import InputError, NotFoundError, RunError
from workbench.jobs.control import Control
from workbench.notebook_imports import quick_imports
from workbench.records import Progress
from workbench.states import JobState

with quick_imports():
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines
    from papermill.exceptions import PapermillExecutionError

__all__ = ["TASK", "execute"]

TASK = f"{__name__}:execute"
_ENGINE = "workbench"
_POLL_SECS = 0.2


class _ReportingEngine(NBClientEngine):  # type: ignore[misc]
    """Papermill's engine, which reports every finished cell."""

    control: Control

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, **kwargs: Any
    ) -> None:
        count = sum(cell.cell_type == "code" for cell in nb_man.nb.cells) or 1
        complete, done = nb_man.cell_complete, 0

        def report(cell: Any, *args: Any, **named: Any) -> None:
            nonlocal done
            complete(cell, *args, **named)
            done += cell.cell_type == "code"
            cls.control.report(Progress(stage="run", fraction=min(done / count, 1.0), events=done))

        nb_man.cell_complete = report
        super().execute_managed_notebook(nb_man, kernel_name, **kwargs)


def execute(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """
    Execute a notebook and keep it, also when a cell fails.

    Parameters
    ----------
    spec : dict
        ``notebook``, ``output``: paths; ``parameters``: for its parameters cell; ``cwd``: where it runs.
    control : Control
        Progress out, a finished cell at a time; a cancel interrupts the running cell.

    Raises
    ------
    InputError
        If there is no such notebook, or it has no such parameter.
    RunError
        If a cell fails; the notebook is saved with its error.

    """
    source, output = Path(spec["notebook"]), Path(spec["output"])
    parameters = spec["parameters"]
    known = _inspect(source)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise InputError(
            f"{source.name} has no parameter {', '.join(unknown)}",
            expected=f"some of {', '.join(sorted(known))}",
        )
    _ReportingEngine.control = control
    papermill_engines.register(_ENGINE, _ReportingEngine)
    output.parent.mkdir(parents=True, exist_ok=True)
    os.environ["WORKBENCH_DISPLAY"] = (
        "static"  # For the kernel: nobody can use a widget of a notebook that is kept
    )
    done = threading.Event()
    threading.Thread(target=_interrupt_on_cancel, args=(control, done), daemon=True).start()
    try:
        papermill.execute_notebook(
            str(source),
            str(output),
            parameters=parameters,
            engine_name=_ENGINE,
            kernel_name="python3",
            progress_bar=False,
            cwd=spec.get("cwd"),
        )
    except PapermillExecutionError as e:
        reason = (e.evalue.splitlines() or [""])[0]
        raise RunError(
            f"cell {e.exec_count} of {source.name} failed: {e.ename}: {reason}", advice=f"see {output}"
        ) from None
    except DeadKernelError:
        raise RunError(f"the kernel of {source.name} died in a cell", advice=f"see {output}") from None
    except KeyboardInterrupt:
        return {"state": JobState.CANCELLED}
    finally:
        done.set()
    return {}


def _inspect(source: Path) -> dict[str, Any]:
    """Return the parameters of the notebook."""
    if not source.is_file():
        raise NotFoundError(f"there is no notebook {source}")
    try:
        known: dict[str, Any] = papermill.inspect_notebook(str(source))
    except Exception as e:  # nbformat and papermill raise whatever the content led them to
        reason = (str(e).splitlines() or [""])[0]
        raise InputError(
            f"{source} is not a notebook that can run: {type(e).__name__}: {reason[:200]}",
            expected="a Jupyter notebook with a kernel's name",
        ) from e
    return known


def _interrupt_on_cancel(control: Control, done: threading.Event) -> None:
    while not done.wait(_POLL_SECS):
        if control.is_cancelled:
            _thread.interrupt_main()
            return
