"""What a reader takes away of a run: each table as CSV, Parquet or JSON, all of them as a zip, the whole as HTML."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from workbench.errors import InputError

if TYPE_CHECKING:
    from workbench.ui.figures import RunFigures
    from workbench.ui.run_view import RunView

__all__ = ["EXPORT_FORMATS", "Export", "build_export", "build_page_html", "list_tables"]

EXPORT_FORMATS: Mapping[str, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "json": "application/json",
}
# As the server stores money; wider than any price or quantity of nautilus.
_AMOUNT = pa.decimal128(38, 16)
_TIME = pa.timestamp("ns", tz="UTC")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # The earliest that a zip can say: equal runs make equal files


@dataclass(frozen=True)
class Export:
    """A file for the reader's browser."""

    name: str
    content: bytes
    media_type: str


def list_tables(run: RunView) -> list[str]:
    """Return the names under which the tables of a run are exported; those that it has not are left out."""
    optional = [name for name in ("orders", "fills", "accounts") if getattr(run, name) is not None]
    return ["equity", "trades", "positions", *optional]


def _load(figures: RunFigures, name: str) -> pd.DataFrame:
    frame: pd.DataFrame = figures.trades if name == "trades" else getattr(figures.run, name)
    return frame


def build_export(figures: RunFigures, what: str, form: str) -> Export:
    """
    Return one file.

    Parameters
    ----------
    figures : RunFigures
        The run.
    what : str
        A table (see `list_tables`), ``metrics`` (as JSON), ``config`` (as JSON), ``all`` (as zip) or ``report``
        (as html).
    form : str
        ``csv``, ``parquet``, ``json``, ``zip`` or ``html``. Amounts are decimal text in CSV and JSON and decimals in
        Parquet, never floats.

    Raises
    ------
    InputError
        If there is no such table or format.

    """
    stem = _build_stem(figures)
    if (what, form) == ("all", "zip"):
        return Export(f"{stem}.zip", _build_zip(figures), "application/zip")
    if (what, form) == ("report", "html"):
        from workbench.ui.report import Report

        html = build_page_html(
            Report(figures.run).to_html(), title=f"{figures.run.name} {figures.run.run_id}"
        )
        return Export(f"{stem}-report.html", html.encode(), "text/html; charset=utf-8")
    if what in ("metrics", "config") and form == "json":
        plain = figures.run.metrics if what == "metrics" else figures.run.config
        return Export(f"{stem}-{what}.json", _write_json(plain), EXPORT_FORMATS["json"])
    tables = list_tables(figures.run)
    if what not in tables or form not in EXPORT_FORMATS:
        raise InputError(
            f"there is no export of {what!r} as {form!r}",
            expected=f"{', '.join(tables)} as {', '.join(EXPORT_FORMATS)}; all as zip; report as html",
        )
    return Export(f"{stem}-{what}.{form}", _encode(_load(figures, what), form), EXPORT_FORMATS[form])


def build_page_html(body: str, *, title: str) -> str:
    """Return a page of its own around HTML that has its style sheet and runtime with it: it asks for nothing."""
    policy = (
        "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data: blob:"
    )
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'><link rel='icon' href='data:,'>"
        f"<title>{escape(title)}</title><style>:root{{color-scheme:light dark}}"
        "body{margin:0;padding:24px 32px;background:#fff}"
        "@media (prefers-color-scheme:dark){body{background:#0f131a}}"
        "body>.wb{max-width:1280px;margin:0 auto}</style></head>"
        f"<body>{body}</body></html>\n"
    )


def _build_stem(figures: RunFigures) -> str:
    """Return a file name with the run's name and id, safe on every system."""
    parts = [figures.run.name, figures.run.run_id]
    return (
        "-".join(filter(None, (re.sub(r"[^A-Za-z0-9.]+", "-", part).strip("-.")[:80] for part in parts)))
        or "run"
    )


def _build_zip(figures: RunFigures) -> bytes:
    """Return all tables in all formats, with a manifest of what is in it, written last."""
    run = figures.run
    files: dict[str, bytes] = {
        "metrics.json": _write_json(run.metrics),
        "config.json": _write_json(run.config),
    }
    rows: dict[str, int] = {}
    for name in list_tables(run):
        frame = _load(figures, name)
        for form in EXPORT_FORMATS:
            files[f"{name}.{form}"] = _encode(frame, form)
            rows[f"{name}.{form}"] = len(frame)
    listed = {
        name: {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            **({"rows": rows[name]} if name in rows else {}),
        }
        for name, content in files.items()
    }
    files["manifest.json"] = _write_json({"schema": 1, "run": run.manifest, "files": listed})
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(f"{_build_stem(figures)}/{name}", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return sink.getvalue()


def _write_json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, default=str, allow_nan=False) + "\n").encode()


def _encode(frame: pd.DataFrame, form: str) -> bytes:
    if form == "parquet":
        sink = io.BytesIO()
        pq.write_table(_build_table(frame), sink, compression="zstd")
        return sink.getvalue()
    plain = _build_table(frame, is_text=True)
    if form == "csv":
        buffer = io.BytesIO()
        pyarrow.csv.write_csv(plain, buffer)
        return buffer.getvalue()
    columns = [{"name": name, "type": _name_type(frame[name])} for name in plain.column_names]
    rows = list(zip(*(column.to_pylist() for column in plain.columns), strict=True))
    return msgspec.json.encode({"columns": columns, "rows": rows, "total": len(rows)})


def _build_table(frame: pd.DataFrame, *, is_text: bool = False) -> pa.Table:
    """Return a frame as Arrow; with `is_text` its decimals and times as text."""
    arrays = {str(name): _build_array(frame[name], is_text=is_text) for name in frame.columns}
    return pa.table(arrays)


def _build_array(column: pd.Series, *, is_text: bool) -> pa.Array:
    kind = _name_type(column)
    if kind == "time":
        stamps = pa.array(column, type=_TIME, from_pandas=True)
        if not is_text:
            return stamps
        return pc.strftime(stamps, format="%Y-%m-%dT%H:%M:%SZ")
    if kind == "duration":
        seconds = [None if pd.isna(value) else value.total_seconds() for value in column]
        return pa.array(seconds, pa.float64())
    if kind == "decimal":
        values = [None if value is None or pd.isna(value) else value for value in column]
        if is_text:
            return pa.array(
                [None if value is None else _write_decimal(value) for value in values], pa.string()
            )
        try:
            return pa.array(values, _AMOUNT)
        except pa.ArrowInvalid:  # More decimals than money has: as many as they need
            return pa.array(values)
    return pa.array(column, from_pandas=True)


def _name_type(column: pd.Series) -> str:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return "time"
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        return "duration"
    if pd.api.types.is_bool_dtype(column.dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(column.dtype):
        return "integer"
    if pd.api.types.is_float_dtype(column.dtype):
        return "float"
    return "decimal" if any(isinstance(value, Decimal) for value in column) else "text"


def _write_decimal(value: Decimal) -> str:
    """Return a number as people write it: no exponent, no zeros at the end."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
