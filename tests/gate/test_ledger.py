"""What the gate counts as orders change is what there is: in a real engine, after every event of random orders."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.gate.raw import to_decimal, to_raw

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("examples", [80])
def test_counts_are_equal_to_counting_anew_after_every_event(examples: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.gate.ledger_machine", str(examples)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=280,
    )
    assert ended.stdout.splitlines()[-1:] == ["equal"], (ended.stdout + ended.stderr)[-6_000:]


@given(amount=st.decimals(-(10**12), 10**12, allow_nan=False, places=20))
def test_raw_number_is_never_above_what_it_stands_for(amount: Decimal) -> None:
    assert 0 <= amount - to_decimal(to_raw(amount)) < Decimal("1e-15")
