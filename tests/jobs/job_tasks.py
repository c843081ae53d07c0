"""What the children of these tests are told to do."""

from __future__ import annotations

import ctypes
import decimal
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from workbench.errors import ConfigError
from workbench.jobs.control import Control, RecycleError
from workbench.jobs.directory import JobDirectory
from workbench.records import Failure, Inspection, Progress, RunRecord
from workbench.stamps import utc_now
from workbench.states import JobState

Spec = dict[str, Any]

CALLS = 0


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def echo(spec: Spec, control: Control) -> Spec:
    return {**spec, "pid": os.getpid()}


def show_a_set(spec: Spec, control: Control) -> Spec:
    return {"order": list({f"O-{i}" for i in range(100)})}


def count_calls(spec: Spec, control: Control) -> Spec:
    global CALLS
    CALLS += 1
    return {"calls": CALLS, "pid": os.getpid()}


def change_everything(spec: Spec, control: Control) -> Spec:
    found = {
        "cwd": str(Path.cwd()),
        "path": "/nowhere" in sys.path,
        "variable": os.environ.get("LEFT_BEHIND"),
        "precision": decimal.getcontext().prec,
    }
    os.chdir(spec["directory"])
    sys.path.insert(0, "/nowhere")
    os.environ["LEFT_BEHIND"] = "yes"
    decimal.getcontext().prec = 3
    return found


def return_nothing(spec: Spec, control: Control) -> None:
    return None


def return_a_text(spec: Spec, control: Control) -> Any:
    return "text"


def return_an_object(spec: Spec, control: Control) -> Spec:
    return {"object": object()}


def return_too_much(spec: Spec, control: Control) -> Spec:
    return {"bytes": bytes(17 * 1024 * 1024)}


def return_a_wrong_state(spec: Spec, control: Control) -> Spec:
    return {"state": "NOWHERE"}


def raise_value_error(spec: Spec, control: Control) -> Spec:
    raise ValueError("no such luck")


def raise_config_error(spec: Spec, control: Control) -> Spec:
    raise ConfigError("the field is 3", expected="2", advice="change it")


def raise_system_exit(spec: Spec, control: Control) -> Spec:
    sys.exit(7)


def raise_keyboard_interrupt(spec: Spec, control: Control) -> Spec:
    raise KeyboardInterrupt


def raise_unprintable(spec: Spec, control: Control) -> Spec:
    raise UnprintableError


def raise_surrogates(spec: Spec, control: Control) -> Spec:
    raise ValueError("a name like \udcff")


def raise_a_novel(spec: Spec, control: Control) -> Spec:
    raise ValueError("x" * 20_000_000)


def exit_at_once(spec: Spec, control: Control) -> Spec:
    os.write(2, b"last words\n")
    os._exit(5)


def write_to_stderr(spec: Spec, control: Control) -> Spec:
    os.write(2, spec["text"].encode())
    return {}


def abort(spec: Spec, control: Control) -> Spec:
    os.abort()


def die_of_real_time_signal(spec: Spec, control: Control) -> Spec:
    os.kill(os.getpid(), 40)
    return {}


def kill_itself(spec: Spec, control: Control) -> Spec:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def break_the_line(spec: Spec, control: Control) -> Spec:
    os.write(int(sys.argv[1]), b"\xff\xff\xff\xff nonsense")
    time.sleep(60)
    return {}


def eat_memory(spec: Spec, control: Control) -> Spec:
    held = []
    while True:
        held.append(b"x" * 20_000_000)
        time.sleep(0.01)


def sleep_forever(spec: Spec, control: Control) -> Spec:
    control.report(Progress(stage="asleep"))
    time.sleep(600)
    return {}


def hold_the_interpreter(spec: Spec, control: Control) -> Spec:
    """Run compiled code that keeps the interpreter's lock: no thread of Python moves."""
    Path(spec["pid_file"]).write_text(str(os.getpid())) if "pid_file" in spec else None
    control.report(Progress(stage="held"))
    ctypes.PyDLL(None).usleep(600_000_000)
    return {}


def work_until_cancelled(spec: Spec, control: Control) -> Spec:
    """Report at every step, hold while paused, stop and keep the steps when cancelled."""
    step = 0
    waiting = threading.Event()
    while not control.is_cancelled and step < spec.get("steps", 100_000):
        step += 1
        control.report(Progress(stage="work", events=step))
        if control.is_paused:
            control.report(Progress(stage="work", events=step, state=JobState.PAUSED))
            control.wait_while_paused()
        waiting.wait(0.002)
    state = JobState.CANCELLED if control.is_cancelled else JobState.COMPLETED
    if "keep" in spec:
        Path(spec["keep"]).write_text(str(step))
    return {"state": str(state), "steps": step}


def ignore_the_cancel(spec: Spec, control: Control) -> Spec:
    while True:
        control.report(Progress(stage="deaf"))
        time.sleep(0.01)


def meet(spec: Spec, control: Control) -> Spec:
    """Return when another task has come here as well: proof that both run at once."""
    mine, other = Path(spec["mine"]), Path(spec["other"])
    mine.touch()
    while not other.exists() and not control.is_cancelled:
        control.report(Progress())
        time.sleep(0.005)
    return {}


def want_a_fresh_process(spec: Spec, control: Control) -> Spec:
    """Refuse a process that has run this before."""
    if hasattr(sys, "was_here"):
        raise RecycleError("it ran here before")
    sys.was_here = True  # type: ignore[attr-defined]
    while control.is_paused:
        control.report(Progress(state=JobState.PAUSED))
        control.wait_while_paused()
    return {"pid": os.getpid(), "cancelled": control.is_cancelled}


def want_the_impossible(spec: Spec, control: Control) -> Spec:
    raise RecycleError("never satisfied")


def name_a_temporary_file(spec: Spec, control: Control) -> Spec:
    return {"path": tempfile.mkdtemp()}


def start_a_process(spec: Spec, control: Control) -> Spec:
    """Start a process that outlives this one; it must not keep the line to the parent open."""
    process = subprocess.Popen(["sleep", "600"], close_fds=False)
    Path(spec["pid_file"]).write_text(str(process.pid))
    os._exit(9)


def load_local_module(spec: Spec, control: Control) -> Spec:
    import local_module

    local_module.COUNT += 1
    return {"value": local_module.VALUE, "count": local_module.COUNT, "pid": os.getpid()}


def prepare_walk(spec: Spec, control: Control) -> Spec:
    """Check a wish to walk."""
    if not isinstance(spec.get("steps"), int):
        raise ConfigError(f"steps is {spec.get('steps')!r}", expected="a number", field="steps")
    if spec.get("must_crash"):
        os.abort()
    kept = {key: value for key, value in spec.items() if key != "runs"}
    return {
        "spec": {**kept, "search_path": [str(Path(__file__).parent)]},
        "files": {"path/to/note.txt": "a file\n"},
        "rows": spec["steps"],
        "lineage": "walks:Walk",
        "dataset": spec.get("dataset", "somewhere"),
        "preview": {"steps": spec["steps"], **{n: spec[n] for n in ("start", "end") if n in spec}},
    }


def walk(spec: Spec, control: Control) -> Spec:
    """Go so many steps, and keep how far it came, as a backtest does."""
    directory = JobDirectory(Path(spec["path"]))
    started, waiting, step, held = utc_now(), threading.Event(), 0, bytearray(spec.get("bytes", 0))
    while not control.is_cancelled and step < spec["steps"]:
        step += 1
        if control.is_paused:
            control.inspect(
                Inspection(simulated_ts_ns=step, positions=[{"quantity": str(step)}], orders=[], accounts=[])
            )
            control.report(Progress(state=JobState.PAUSED, events=step))
            control.wait_while_paused()
        control.report(
            Progress(
                events=step,
                fraction=step / spec["steps"],
                simulated_ts_ns=step,
                equity=f"{step}.00",
                currency="USD",
            )
        )
        waiting.wait(spec.get("step_secs", 0.002))
    state = JobState.COMPLETED
    if control.is_cancelled:
        state = JobState.INTERRUPTED if control.is_interrupted else JobState.CANCELLED
    failure = Failure(kind="interrupted", message="stopped") if control.is_interrupted else None
    if spec.get("must_fail"):
        raise ValueError("a stone in the way")
    record = RunRecord(
        run_id=directory.run_id,
        name=spec.get("name", ""),
        state=state,
        failure=failure,
        started_at=started,
        finished_at=utc_now(),
        backtest_start=spec.get("start"),
        backtest_end=spec.get("end"),
        rows=step,
        lineage="walks:Walk",
        dataset=spec.get("dataset", "somewhere"),
    )
    directory.write_json("metrics.json", {"steps": step, "held": len(held)})
    directory.write_manifest(record)
    return {"state": str(state)}
