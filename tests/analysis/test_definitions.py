from __future__ import annotations

import importlib
import json
import pkgutil
from decimal import Decimal

import pytest

import workbench.analysis
from workbench.analysis.definitions import DEFINITIONS, Unknown, build_definitions, build_metrics
from workbench.analysis.display import format_metric
from workbench.analysis.glossary import READER_DEFINITIONS

UNITS = {"%", "bp", "ratio", "money", "days", "s", "count", "time"}


def test_definitions_are_complete_and_json():
    every = build_definitions(DEFINITIONS)
    assert list(every) == list(DEFINITIONS)
    assert json.loads(json.dumps(every)) == every
    for definition in DEFINITIONS.values():
        assert definition.unit in UNITS
        assert definition.label
        assert definition.text.endswith(".")
        assert definition.source


def test_definitions_that_a_run_stores_are_not_those_of_its_readers():
    stored = build_definitions()
    assert stored["sharpe"]["label"] == "Sharpe ratio"
    assert not set(stored) & set(READER_DEFINITIONS)
    assert set(stored) | set(READER_DEFINITIONS) == set(DEFINITIONS)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.5000", "1.5"),
        ("100", "100"),
        ("-0.00", "0"),
        ("1E+3", "1000"),
        ("1e-17", "0"),
        ("-0.00000001", "-0.00000001"),
    ],
)
def test_metric_money_is_a_plain_decimal_string(value, text):
    assert build_metrics({"pnl": Decimal(value)}, currency="USD")["pnl"] == {
        "value": text,
        "unit": "USD",
        "reason": None,
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_metric_is_never_nan_or_infinite(value):
    metric = build_metrics({"sharpe": value}, currency="USD")["sharpe"]
    assert metric["value"] is None
    assert metric["reason"]


def test_metric_unknown_keeps_its_reason():
    metric = build_metrics({"pnl": Unknown("no rate")}, currency="EUR")["pnl"]
    assert metric == {"value": None, "unit": "EUR", "reason": "no rate"}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        ("1234567.891", "USD", "1,234,567.89 USD"),
        ("-0.5", "USD", "−0.50 USD"),
        ("9.125", "USD", "9.12 USD"),
        ("0.000000001", "BTC", "0.00 BTC"),
        ("0", "USD", "0.00 USD"),
        ("0.00012345", "BTC", "0.0001234 BTC"),
        (0.0512, "%", "5.12 %"),
        (-0.25, "%", "−25.00 %"),
        (0.00015, "bp", "1.50 bp"),
        (1.234, "ratio", "1.23"),
        (12345, "count", "12,345"),
        (2.5, "days", "2.5 days"),
        (30.0, "s", "30.0 s"),
        (90.0, "s", "1.5 min"),
        (5400.0, "s", "1.5 h"),
        (172800.0, "s", "2.0 days"),
        ("2024-01-02T03:04:00+00:00", "time", "2024-01-02 03:04 UTC"),
        (None, "USD", "—"),
    ],
)
def test_metric_reads_well(value, unit, text):
    assert format_metric({"value": value, "unit": unit, "reason": None}) == text


def test_modules_export_names_that_exist():
    for info in pkgutil.iter_modules(workbench.analysis.__path__):
        module = importlib.import_module(f"workbench.analysis.{info.name}")
        assert all(hasattr(module, name) for name in module.__all__)
