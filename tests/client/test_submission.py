"""What is sent for a backtest."""

from __future__ import annotations

import hashlib
import json
import sys
import sysconfig
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from workbench.client.submission import anchor_paths, build_config, find_search_path, load_sources
from workbench.errors import ConfigError, NotFoundError


class Written:
    """Writes itself as nautilus's configurations do."""

    def json(self) -> bytes:
        return b'{"start": "2012-01-01", "chunk_size": 18446744073709551615}'


@pytest.mark.parametrize("text", ['{"start": null}', b'{"start": null}', {"start": None}])
def test_config_as_text_or_dict_is_the_same(text: Any) -> None:
    assert build_config(text) == {"start": None}


def test_config_that_writes_itself_is_taken() -> None:
    assert build_config(Written()) == {"start": "2012-01-01", "chunk_size": 18446744073709551615}


def test_decimal_in_a_dict_is_sent_as_text() -> None:
    assert build_config({"leverage": Decimal("0.10")}) == {"leverage": "0.10"}


@pytest.mark.parametrize("config", ["{", b"\xff", "[1]", "1", 7, None, {"a": object()}, ["a"]])
def test_what_is_no_config_is_refused(config: Any) -> None:
    with pytest.raises(ConfigError, match="the configuration"):
        build_config(config)


def test_relative_catalogs_become_absolute_and_nothing_else(tmp_path: Path) -> None:
    plain: dict[str, Any] = {
        "data": [
            {"catalog_path": "catalogs/a"},
            {"catalog_path": "catalogs/b", "catalog_fs_protocol": "file"},
            {"catalog_path": "/elsewhere/c"},
            {"catalog_path": "bucket/d", "catalog_fs_protocol": "s3"},
            {"catalog_path": "s3://bucket/e"},
            {"catalog_path": 5},
            "nonsense",
        ],
        "engine": {"catalogs": [{"path": "catalogs/f"}, {"path": "bucket/g", "fs_protocol": "gcs"}]},
    }

    anchor_paths(plain, tmp_path)

    assert [d["catalog_path"] for d in plain["data"][:6]] == [
        str(tmp_path / "catalogs/a"),
        str(tmp_path / "catalogs/b"),
        "/elsewhere/c",
        "bucket/d",
        "s3://bucket/e",
        5,
    ]
    assert [c["path"] for c in plain["engine"]["catalogs"]] == [str(tmp_path / "catalogs/f"), "bucket/g"]


@pytest.mark.parametrize(
    "plain", [{}, {"data": None, "engine": None}, {"data": "x", "engine": {"catalogs": 1}}]
)
def test_config_of_a_wrong_shape_is_left_to_the_server(plain: dict[str, Any], tmp_path: Path) -> None:
    before = json.dumps(plain)

    anchor_paths(plain, tmp_path)

    assert json.dumps(plain) == before


def test_captured_modules_that_are_named_are_read(tmp_path: Path) -> None:
    text = "class Slow: ...\n# \N{EURO SIGN}\n"
    name = f"workbench_strategy_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    (tmp_path / f"{name}.py").write_text(text)
    plain = {
        "engine": {"strategies": [{"strategy_path": f"{name}:Slow", "config_path": f"{name}:SlowConfig"}]}
    }

    assert load_sources(plain, tmp_path) == {name: text}
    assert load_sources(plain, tmp_path, {name}) == {}
    assert load_sources({"engine": {}}, tmp_path) == {}


def test_captured_module_that_is_missing_is_named(tmp_path: Path) -> None:
    plain = {"strategy_path": "workbench_strategy_0123456789abcdef:Slow"}

    with pytest.raises(NotFoundError, match="workbench_strategy_0123456789abcdef"):
        load_sources(plain, tmp_path)


def test_search_path_holds_own_directories_and_no_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, cwd = tmp_path / "own", tmp_path / "cwd"
    own.mkdir()
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    libraries = [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")]
    monkeypatch.setattr(sys, "path", ["", str(own), *libraries, str(tmp_path / "gone"), str(own)])

    assert find_search_path() == [str(cwd), str(own)]
