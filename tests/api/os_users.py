"""Processes of other OS users, as numbers: no account is needed, but root is."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
_CAP_DAC_OVERRIDE = 1
_KEEP_CAPS, _CAP_AMBIENT, _CAP_AMBIENT_RAISE = 8, 47, 2
_VERSION = 0x20080522


def become(uid: int, *, can_read: bool = False) -> None:
    """
    Make this process, root's, one of OS user `uid`, for good.

    Where Python lies in root's home nobody else can start it: `can_read` lets this process and its children read and
    write as root does. It is for those who are protected, never for those from whom.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if can_read:
        libc.prctl(_KEEP_CAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if can_read:
        bit = 1 << _CAP_DAC_OVERRIDE
        header = (ctypes.c_uint32 * 2)(_VERSION, 0)
        data = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
        if libc.capset(header, data) or libc.prctl(_CAP_AMBIENT, _CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0):
            raise OSError(ctypes.get_errno(), "the right to read cannot be kept")


def build_command(uid: int, *arguments: str) -> list[str]:
    """Return the command that runs Python with `arguments` as OS user `uid`, who can start it."""
    program = (
        "import os, sys; from tests.api.os_users import become; become(int(sys.argv[1]), can_read=True); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
    )
    return [sys.executable, "-c", program, str(uid), *arguments]


def run_as(uid: int, function: str, *arguments: Any) -> Any:
    """Return what `function`, of a module of the tests, returns to an OS user who has no more than their own rights."""
    module, _, name = function.partition(":")
    program = (
        f"import json, sys; from {module} import {name}; "
        f"json.dump({name}(int(sys.argv[1]), *json.load(sys.stdin)), sys.stdout)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(uid)],
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    return json.loads(done.stdout)
