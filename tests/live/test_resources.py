"""What a host takes of its machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.live import resources
from workbench.live.resources import ResourceMeter


def test_measures_are_of_this_process_and_kept_for_who_asks(tmp_path: Path) -> None:
    meter = ResourceMeter(tmp_path)
    first = meter.last
    assert first["memory_bytes"] > 10**6
    assert 0 < first["descriptors"] <= first["descriptors_limit"]
    assert first["threads"] >= 1
    assert 0 < first["disk_free_bytes"] <= first["disk_total_bytes"]
    assert first["cpu_percent"] == 0
    assert meter.measure() is meter.last is not first


def test_cpu_is_counted_over_ten_seconds_however_often_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = ResourceMeter(tmp_path)
    meter._times.clear()
    monkeypatch.setattr(resources, "_WINDOW_SECS", 10.0)
    counts = [meter._count_cpu(float(sec), sec * 0.5) for sec in range(20)]
    assert counts[0] == 0
    assert counts[1:] == pytest.approx([50.0] * 19)
    # A burst of one second is a tenth of ten.
    assert meter._count_cpu(20.0, 9.5 + 1.0) == pytest.approx(55.0)
