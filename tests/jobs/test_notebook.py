"""A notebook runs in a worker cell by cell, and what it came to is kept, also when a cell fails."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.errors import InputError, NotFoundError
from workbench.jobs.control import Control
from workbench.jobs.notebook import TASK, execute
from workbench.jobs.worker import Outcome, Worker
from workbench.records import Progress
from workbench.states import JobState

KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}


def _write(path: Path, *cells: str) -> Path:
    """Write a notebook of a parameters cell, a text and code cells."""
    parameters = new_code_cell("number = 1\ntext: str = 'a'", metadata={"tags": ["parameters"]})
    nodes = [new_markdown_cell("# Title"), parameters, *(new_code_cell(cell) for cell in cells)]
    notebook = new_notebook(
        cells=nodes, metadata={"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}
    )
    nbformat.write(notebook, path)
    return path


def _spec(tmp_path: Path, source: Path, **parameters: Any) -> dict[str, Any]:
    return {
        "notebook": str(source),
        "output": str(tmp_path / "out" / "done.ipynb"),
        "parameters": parameters,
        "cwd": str(tmp_path),
    }


def _run(worker: Worker, spec: dict[str, Any], **more: Any) -> Outcome:
    return worker.run(TASK, spec, **more)


def _texts(path: str) -> list[str]:
    """Return what the cells of the notebook printed."""
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [
        output["text"] for output in outputs if output.output_type == "stream" and output.name == "stdout"
    ]


def test_notebook_runs_with_its_parameters_and_reports_every_cell(tmp_path: Path, worker: Worker) -> None:
    source = _write(tmp_path / "in.ipynb", "print(number, text)", "import os\nprint(os.getcwd())")
    before = source.read_bytes()
    seen: list[Progress] = []
    spec = _spec(tmp_path, source, number=7)
    outcome = _run(worker, spec, on_progress=seen.append)
    assert (outcome.state, outcome.failure) == (JobState.COMPLETED, None)
    assert _texts(spec["output"]) == ["7 a\n", f"{tmp_path}\n"]
    assert source.read_bytes() == before
    # The text, the parameters, the cell that papermill puts behind them, and two more.
    assert [progress.events for progress in seen] == [0, 1, 2, 3, 4]
    assert [progress.fraction for progress in seen] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert {progress.stage for progress in seen} == {"run"}


def test_failing_cell_is_a_failure_and_the_notebook_keeps_its_error(tmp_path: Path, worker: Worker) -> None:
    source = _write(
        tmp_path / "in.ipynb", "print('so far')", "raise ValueError('first\\nsecond')", "print('never')"
    )
    spec = _spec(tmp_path, source)
    outcome = _run(worker, spec)
    assert outcome.state == JobState.FAILED
    assert outcome.failure is not None
    assert outcome.failure.message.startswith("cell 3 of in.ipynb failed: ValueError: first; see ")
    assert outcome.failure.message.endswith(spec["output"])
    assert outcome.failure.traceback == ""
    assert _texts(spec["output"]) == ["so far\n"]
    errors = [
        output.evalue
        for cell in nbformat.read(spec["output"], as_version=4).cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    assert errors == ["first\nsecond"]
    # The worker is as good as new.
    again = _spec(tmp_path, _write(tmp_path / "in.ipynb", "print('well')"))
    assert _run(worker, again).state == JobState.COMPLETED
    assert _texts(again["output"]) == ["well\n"]


def _refused(spec: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        execute(spec, Control(lambda progress: None))
    assert "\n" not in str(caught.value)
    assert not Path(spec["output"]).exists()


def test_unknown_parameter_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    source = _write(tmp_path / "in.ipynb", "print(number)")
    spec = _spec(tmp_path, source, numbr=2, number=1)
    _refused(spec, InputError, r"^in\.ipynb has no parameter numbr; expected some of number, text$")


def test_notebook_that_is_not_there_or_is_none_is_refused(tmp_path: Path) -> None:
    _refused(_spec(tmp_path, tmp_path / "none.ipynb"), NotFoundError, r"there is no notebook .*none\.ipynb")
    for content in (b"", b"print(1)\n", b"[]", b'{"cells": 1}', b"\xff\xfe"):
        source = tmp_path / "broken.ipynb"
        source.write_bytes(content)
        _refused(_spec(tmp_path, source), InputError, r"broken\.ipynb is not a notebook")


def test_cell_that_kills_its_kernel_is_a_failure_that_names_the_notebook(
    tmp_path: Path, worker: Worker
) -> None:
    source = _write(tmp_path / "in.ipynb", "print('so far')", "import os\nos._exit(1)")
    outcome = _run(worker, _spec(tmp_path, source))
    assert outcome.state == JobState.FAILED
    assert outcome.failure is not None
    assert "in.ipynb" in outcome.failure.message


def test_cancel_interrupts_the_running_cell_and_keeps_the_notebook(tmp_path: Path, worker: Worker) -> None:
    """The cell says that it runs by opening a named pipe; what the one before it printed is in the notebook by then."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    cell = f"open({str(pipe)!r}, 'w').close()\nimport time\ntime.sleep(600)"
    spec = _spec(tmp_path, _write(tmp_path / "in.ipynb", "print('so far')", cell, "print('never')"))
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(_run(worker, spec)))
    thread.start()
    with pipe.open() as opened:  # Waits for the cell
        assert opened.read() == ""
    worker.cancel()
    thread.join(timeout=60)
    assert not thread.is_alive()
    (outcome,) = outcomes
    assert (outcome.state, outcome.failure) == (JobState.CANCELLED, None)
    assert _texts(spec["output"]) == ["so far\n"]
    again = _spec(tmp_path, _write(tmp_path / "in.ipynb", "print('well')"))
    assert _run(worker, again).state == JobState.COMPLETED
