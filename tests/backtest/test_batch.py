"""A batch that is interrupted cancels every notebook: what runs, what waits, and what is just about to start."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench.backtest import batch
from workbench.backtest.batch import BatchItem, BatchResult, Sweep, run_batch
from workbench.states import JobState

KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
PATIENCE_SECS = 60.0


def _write_sweep(tmp_path: Path, *cells: str) -> Sweep:
    metadata = {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}
    parameters = new_code_cell("number = 1\nruns = None\nname = None", metadata={"tags": ["parameters"]})
    nodes = [parameters, *(new_code_cell(cell) for cell in cells)]
    nbformat.write(new_notebook(cells=nodes, metadata=metadata), tmp_path / "in.ipynb")
    return Sweep(notebook="in.ipynb", grid={"number": [1, 2, 3]}, output="out", parallel=1)


def test_interrupt_reaches_an_item_that_is_taken_but_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = _write_sweep(tmp_path, f"import time\ntime.sleep({PATIENCE_SECS})", "print('the end')")
    find_path, switches = batch._Batch._path, []

    def interrupt_once(self: batch._Batch, item: BatchItem) -> Path:
        # The thread has taken the first item, and has not given it to its worker.
        if not switches:
            switches.extend(self._switches.values())
            os.kill(os.getpid(), signal.SIGINT)
            deadline = time.monotonic() + PATIENCE_SECS
            while any(s.cancelled_at is None for s in switches) and time.monotonic() < deadline:
                time.sleep(0.01)
        return find_path(self, item)

    monkeypatch.setattr(batch._Batch, "_path", interrupt_once)
    results: list[BatchResult] = []
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_batch(sweep, base=tmp_path, name="b", on_result=results.append)
    assert time.monotonic() - began < PATIENCE_SECS
    assert [r.name for r in results] == ["0001", "0002", "0003"]
    assert {r.state for r in results} == {JobState.CANCELLED}
    assert [r.error for r in results[1:]] == ["cancelled before it started"] * 2
    assert "the end" not in "".join(p.read_text() for p in (tmp_path / "out").glob("*.ipynb")).replace(
        "print('the end')", ""
    )
    assert not (tmp_path / "out" / "summary.json").exists()
