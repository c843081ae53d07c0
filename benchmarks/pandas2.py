"""
The same runs as `run_gbpusd.py`, EMACross 2/3, in an environment with pandas 2.3.

Nautilus's bookkeeping costs far less on pandas 2 than on pandas 3. The environment is built in a temporary
directory with the versions of requirements.lock for everything but pandas, or given with ``--python``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from rounds import run_script

__all__ = ["measure"]

ROOT = Path(__file__).resolve().parent.parent
# What a run imports; the rest of the project is not needed here.
PACKAGES = ("nautilus_trader", "click", "msgspec", "numpy", "psutil", "pyarrow", "pyyaml")


def measure(rounds: int = 3, quick: bool = False, python: str | None = None) -> list[dict[str, Any]]:
    """Measure in the environment of `python`, or in one that is built for it."""
    with tempfile.TemporaryDirectory() as folder:
        python = python or str(_build(Path(folder)))
        command = [python, str(Path(__file__).parent / "run_gbpusd.py"), "--json", "--rounds", str(rounds)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command + ["--quick"] * quick, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
        return rows


def _build(folder: Path) -> Path:
    """Make the environment and return its interpreter."""
    pins = re.findall(r"^([\w.-]+==\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(p for p in pins if not p.startswith("pandas==")))
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-qq", "-c", constraints, "pandas==2.3.*", *PACKAGES]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(install, env=environment, check=True, stdout=sys.stderr)
    return python


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--python", help="an interpreter with nautilus_trader and pandas 2.3 (default: build one)"
    )


if __name__ == "__main__":
    run_script(measure, __doc__, _add)
