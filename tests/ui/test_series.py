from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from workbench.errors import InputError
from workbench.ui.series import read_floats, read_millis, require_columns


def test_read_floats_decimals_with_none_gives_nan() -> None:
    column = pd.Series([Decimal("1.5"), None], dtype=object)
    np.testing.assert_array_equal(read_floats(column), [1.5, np.nan])


def test_read_floats_arrow_decimals_gives_floats() -> None:
    column = pd.Series(
        pa.array([Decimal("1.5"), None], pa.decimal128(38, 16)), dtype=pd.ArrowDtype(pa.decimal128(38, 16))
    )
    np.testing.assert_array_equal(read_floats(column), [1.5, np.nan])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_read_millis_any_unit_and_zone_gives_utc_milliseconds(unit: str) -> None:
    stamps = pd.Series(pd.DatetimeIndex(["2012-02-01 01:00", None]).tz_localize("Europe/Berlin")).dt.as_unit(
        unit
    )
    np.testing.assert_array_equal(read_millis(stamps, "ts"), [1_328_054_400_000.0, np.nan])


def test_read_millis_integers_are_nanoseconds() -> None:
    assert read_millis(pd.Series([1_500_000]), "ts").tolist() == [1.5]


def test_read_millis_without_zone_raises_and_says_what_to_do() -> None:
    with pytest.raises(InputError, match="tz_localize"):
        read_millis(pd.Series(pd.DatetimeIndex(["2012-02-01"])), "ts")


def test_require_columns_missing_column_names_it_and_what_there_is() -> None:
    with pytest.raises(InputError, match=r"no column equity.*it has ts"):
        require_columns(pd.DataFrame({"ts": []}), ("ts", "equity"), "the equity")


def test_require_columns_not_a_frame_raises() -> None:
    with pytest.raises(InputError, match="list"):
        require_columns([1], ("ts",), "the equity")  # type: ignore[arg-type]
