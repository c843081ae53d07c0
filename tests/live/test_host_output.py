"""A process that prints on a disk that is full, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.live.engines import ROOT

PRINTER = """
import os
from workbench.live.host_output import HostOutput
output = HostOutput()
def say(text):
    os.write(1, text.encode()); os.write(2, text.encode())
say("before\\n")
output.mute()
output.mute()
say("while it is full\\n")
output.unmute()
output.unmute()
say("after\\n")
output.mute()
output.close()
say("end\\n")
"""


def _run(stdout: int | None) -> bytes:
    done = subprocess.run(
        [sys.executable, "-P", "-c", PRINTER],
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=60,
    )
    return done.stdout or b""


def test_muted_output_goes_nowhere_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    with path.open("ab") as file:
        _run(file.fileno())
        blocks = os.fstat(file.fileno()).st_blocks

    words = [b"before", b"before", b"after", b"after", b"end", b"end"]
    assert path.read_bytes().split(b"\n")[:-1] == words
    # Room was taken, and the file is no longer for it.
    assert blocks * 512 >= 256 * 1024
    assert _run(None).split(b"\n")[:-1] == words
