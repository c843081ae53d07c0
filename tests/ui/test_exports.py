from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from workbench.errors import InputError
from workbench.ui.exports import build_export, list_tables
from workbench.ui.figures import RunFigures
from workbench.ui.run_view import RunView


@pytest.fixture(scope="module")
def figures(run: RunView) -> RunFigures:
    part = replace(
        run, equity=run.equity.iloc[:2_000], fills=run.fills.iloc[:40], positions=run.positions.iloc[:20]
    )
    return RunFigures(replace(part, manifest={**run.manifest, "name": "EMA: 10/20 <b>"}))


def test_export_name_carries_name_and_id_and_is_safe(figures: RunFigures) -> None:
    export = build_export(figures, "fills", "csv")
    assert export.name == "EMA-10-20-b-20120201T000000-a91f3c-fills.csv"
    assert export.media_type.startswith("text/csv")


def test_export_csv_reads_back_equal(figures: RunFigures) -> None:
    content = build_export(figures, "fills", "csv").content
    as_text = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(figures.run.fills.columns, "string"), strings_can_be_null=False
    )
    read = pyarrow.csv.read_csv(io.BytesIO(content), convert_options=as_text).to_pandas()
    assert [Decimal(text) for text in read["last_px"]] == figures.run.fills["last_px"].tolist()
    assert [Decimal(text) for text in read["commission"]] == figures.run.fills["commission"].tolist()
    assert pd.to_datetime(read["ts_event"]).tolist() == figures.run.fills["ts_event"].tolist()
    assert not read["last_qty"].str.contains("[eE]").any()


def test_export_parquet_keeps_decimals_and_times(figures: RunFigures) -> None:
    table = pq.read_table(io.BytesIO(build_export(figures, "equity", "parquet").content))
    assert str(table.schema.field("equity").type) == "decimal128(38, 16)"
    read = table.to_pandas()
    assert read["equity"].tolist() == figures.run.equity["equity"].tolist()
    assert read["ts"].tolist() == figures.run.equity["ts"].tolist()


def test_export_json_says_types_and_holds_no_float_of_money(figures: RunFigures) -> None:
    found = json.loads(build_export(figures, "trades", "json").content)
    types = {column["name"]: column["type"] for column in found["columns"]}
    assert types["net_pnl"] == types["mae"] == types["entry_price"] == "decimal"
    assert types["entry_time"] == "time"
    at = [column["name"] for column in found["columns"]].index("net_pnl")
    assert [Decimal(row[at]) for row in found["rows"]] == figures.trades["net_pnl"].tolist()
    assert found["total"] == 20


def test_export_missing_values_stay_missing(figures: RunFigures) -> None:
    equity = figures.run.equity.iloc[:2].copy()
    equity["equity"] = pd.Series([None, Decimal("0E-16")], dtype=object)
    part = RunFigures(replace(figures.run, equity=equity))
    rows = json.loads(build_export(part, "equity", "json").content)["rows"]
    assert [row[1] for row in rows] == [None, "0"]


def test_export_zip_holds_every_table_and_a_manifest_of_hashes(figures: RunFigures) -> None:
    first, second = (build_export(figures, "all", "zip").content for _ in range(2))
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        names = {name.rpartition("/")[2] for name in archive.namelist()}
        folder = archive.namelist()[0].partition("/")[0]
        manifest = json.loads(archive.read(f"{folder}/manifest.json"))
        for name, entry in manifest["files"].items():
            content = archive.read(f"{folder}/{name}")
            assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    assert names == {*manifest["files"], "manifest.json"}
    assert {
        f"{table}.{form}" for table in list_tables(figures.run) for form in ("csv", "parquet", "json")
    } <= names
    assert manifest["files"]["trades.csv"]["rows"] == 20
    assert manifest["run"]["run_id"] == figures.run.run_id


def test_export_report_is_one_page_that_asks_for_nothing(figures: RunFigures) -> None:
    text = build_export(figures, "report", "html").content.decode()
    assert text.startswith("<!doctype html>")
    assert "default-src 'none'" in text
    assert "EMA: 10/20 &lt;b&gt;" in text
    assert "data-wb-runtime" in text


@pytest.mark.parametrize(
    ("what", "form"), [("secrets", "csv"), ("fills", "exe"), ("orders", "csv"), ("all", "csv")]
)
def test_export_of_what_is_not_there_says_what_is(figures: RunFigures, what: str, form: str) -> None:
    with pytest.raises(InputError, match="there is no export"):
        build_export(RunFigures(replace(figures.run, orders=None)), what, form)
