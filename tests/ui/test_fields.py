"""What is typed into a field becomes a value, and back; what is wrong is said in words."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.ui.fields import Field, read_number
from workbench.ui.places import MISSING, find_value, remove_value, set_value

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20)
NUMBER = st.integers(-(10**12), 10**12)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
MONEY = st.tuples(st.decimals(-(10**9), 10**9, places=2), st.sampled_from(("USD", "BTC", "USDT"))).map(
    lambda pair: f"{pair[0]:f} {pair[1]}"
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)
)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("int", NUMBER),
        ("float", FLOAT),
        ("decimal", st.decimals(allow_nan=False, allow_infinity=False, places=8).map(lambda d: f"{d:f}")),
        ("text", TEXT.map(str.strip).filter(bool)),
        ("bool", st.booleans()),
        ("list", st.lists(TEXT)),
        ("money", st.lists(MONEY, min_size=1, max_size=3)),
        ("amount", MONEY),
        ("json", JSON.filter(lambda v: v is not None and (not isinstance(v, str) or v.strip() == v != ""))),
    ],
)
def test_value_written_and_read_is_the_same(kind: Any, values: st.SearchStrategy[Any]) -> None:
    field = Field("a", "A", kind)

    @given(values)
    def check(value: Any) -> None:
        back = field.read(field.write(value))
        if kind == "list" and not value:
            assert back in ([], MISSING)
        elif kind == "decimal":
            assert Decimal(back) == Decimal(value)
        else:
            assert back == value
            assert type(back) is type(value)
        assert field.check(value) == ""

    check()


@given(st.lists(st.integers(-1000, 1000) | st.floats(-1e6, 1e6), min_size=1))
def test_list_of_numbers_written_and_read_is_the_same(values: list[float]) -> None:
    field = Field("a", "A", "list", item="number")
    assert field.read(field.write(values)) == values


@given(st.datetimes(min_value=datetime(1970, 1, 1)))
def test_time_written_and_read_is_the_same_moment(stamp: Any) -> None:
    field = Field("start", "Start", "time")
    iso = f"{stamp.isoformat()}Z"
    assert field.write(field.read(iso)) == field.write(iso)
    assert field.check(field.read(iso)) == ""


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("100,000", "100000"),
        ("1,234,567.50", "1234567.50"),
        ("-3", "-3"),
        ("−3", "-3"),
        ("1e3", "1E+3"),
        (".5", "0.5"),
        ("1_000", "1000"),
        ("1,5", None),
        ("10,00", None),
        ("", None),
        (".", None),
        ("abc", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("0x10", None),
    ],
)
def test_number_typed_with_commas_counts_only_between_thousands(typed: str, number: str | None) -> None:
    assert read_number(typed) == (None if number is None else Decimal(number))


def test_time_typed_without_zone_is_utc_and_shown_short() -> None:
    field = Field("start", "Start", "time", is_nullable=True)
    assert field.read("2012-02-06") == "2012-02-06T00:00:00Z"
    assert field.read("2012-02-06 01:30 UTC") == "2012-02-06T01:30:00Z"
    assert field.read("2012-02-06T01:30:00+02:00") == "2012-02-05T23:30:00Z"
    assert field.write("2012-02-06T00:00:00.000000001Z") == "2012-02-06 00:00:00.000000001"
    assert field.write(1_328_486_400_000_000_000) == "2012-02-06 00:00"
    assert field.read("") is None
    for wrong in ("now", "12", "2012-13-01", "yesterday"):
        assert field.read(wrong) == wrong
        assert "2012-02-06 00:00" in field.check(wrong)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (Field("a", "Period", "int", lowest=Decimal(0), is_above=True), 0, "above 0"),
        (Field("a", "Period", "int", lowest=Decimal(0), is_above=True), 1, ""),
        (Field("a", "Period", "int"), "abc", "a whole number"),
        (Field("a", "Period", "int"), 1.5, "a whole number"),
        (Field("a", "Period", "int"), True, "a whole number"),
        (Field("a", "Chance", "float", lowest=Decimal(0), highest=Decimal(1)), 1.5, "0 to 1"),
        (Field("a", "Chance", "float", lowest=Decimal(0), highest=Decimal(1)), 1, ""),
        (Field("a", "Size", "decimal", is_required=True), MISSING, "missing"),
        (Field("a", "Size", "decimal"), "1,5", "decimal"),
        (Field("a", "Size", "decimal"), None, "nothing"),
        (Field("a", "Size", "decimal", is_nullable=True), None, ""),
        (Field("a", "Type", "choice", choices=[("CASH", "CASH")]), "MAGIC", "one of CASH"),
        (Field("a", "Start with", "money"), ["1000 USD", "x"], "1,000,000 USD"),
        (Field("a", "Start with", "money"), [], "1,000,000 USD"),
        (Field("a", "Wait", "int", scale=1_000_000, lowest=Decimal(0)), -1, "at least 0"),
    ],
)
def test_value_that_is_wrong_is_described(field: Field, value: Any, words: str) -> None:
    found = field.check(value)
    assert words in found
    assert bool(found) == bool(words)


def test_scaled_field_shows_milliseconds_and_keeps_nanoseconds() -> None:
    field = Field("a", "Latency", "int", scale=1_000_000, unit="ms")
    assert field.read("0.25") == 250_000
    assert field.write(250_000) == "0.25"
    assert field.write(50_000_000) == "50"


def test_several_balances_are_typed_with_semicolons_or_commas_after_the_currency() -> None:
    field = Field("a", "Start with", "money")
    wanted = ["1000000 USD", "2.5 BTC"]
    assert field.read("1,000,000 USD; 2.5 BTC") == wanted
    assert field.read("1,000,000 usd, 2.5 btc") == wanted
    assert field.write(wanted) == "1,000,000 USD; 2.5 BTC"


def test_values_are_set_found_and_removed_by_path() -> None:
    document: dict[str, Any] = {"venues": [{"name": "SIM"}]}
    set_value(document, "venues.0.fill_model.config.random_seed", 7)
    set_value(document, "engine.debug", True)
    assert find_value(document, "venues.0.fill_model.config.random_seed") == 7
    assert find_value(document, "venues.1.name") is MISSING
    assert find_value(document, "venues.name") is MISSING
    remove_value(document, "venues.0.fill_model.config.random_seed")
    remove_value(document, "nothing.here")
    assert document == {"venues": [{"name": "SIM", "fill_model": {"config": {}}}], "engine": {"debug": True}}


def test_fraction_is_shown_as_a_percentage_and_kept_exactly() -> None:
    field = Field(
        "a", "A", "decimal", unit="%", scale=Decimal("0.01"), lowest=Decimal(0), highest=Decimal(100)
    )
    for text, value in (("5", "0.05"), ("5 %", "0.05"), ("10", "0.1"), ("0.125", "0.00125"), ("100", "1")):
        assert field.read(text) == value
        assert field.check(value) == ""
        assert field.read(field.write(value)) == value
    assert "0 to 100" in field.check(field.read("100.01"))
    assert field.read("5 USD") == "5 USD"


def test_number_with_commas_in_a_configuration_is_checked_as_any_other() -> None:
    field = Field("a", "A", "decimal", highest=Decimal(500))
    assert field.check("400") == ""
    assert field.check("1,000") == "It must be at most 500, not 1,000"


def test_rule_says_what_is_wrong_with_a_text() -> None:
    field = Field("a", "A", rule=lambda text: "" if text == "x" else f"{text} is not x")
    assert field.check("x") == ""
    assert field.check("y") == "y is not x"
    assert "text" in field.check(3)


def test_last_name_of_a_place_may_have_dots() -> None:
    assert find_value({"a": [{"X.Y": {"b": 1}, "X": {"Y": 2}}]}, "a.0.X.Y") == {"b": 1}
    assert find_value({"a": {"b": 2}}, "a.b") == 2
    assert find_value({"a": {"X.Y": 1}}, "a.X") is MISSING
