from __future__ import annotations

import pytest

from workbench.catalog.columns import FIELDS, DataType, map_columns
from workbench.errors import InputError


@pytest.mark.parametrize(
    ("data_type", "names", "expected"),
    [
        ("bars", "timestamp,open,high,low,close", "timestamp,open,high,low,close"),
        ("bars", "Date,Open,High,Low,Close,Volume", "Date,Open,High,Low,Close,Volume"),
        ("bars", ",open,high,low,close", ",open,high,low,close"),
        ("bars", "t,o,h,l,c,v", "t,o,h,l,c,v"),
        ("bars", "Gmt time,Open,High,Low,Close,Volume", "Gmt time,Open,High,Low,Close,Volume"),
        (
            "quotes",
            "ts_event,bid_price,ask_price,bid_size,ask_size",
            "ts_event,bid_price,ask_price,bid_size,ask_size",
        ),
        ("quotes", "ask,bid,datetime", "datetime,bid,ask"),
        ("trades", "id,price,qty,time,is_buyer_maker", "time,price,qty,is_buyer_maker,id"),
        ("trades", "timestamp,side,amount,price,trade_id", "timestamp,price,amount,side,trade_id"),
    ],
)
def test_common_names_are_mapped(data_type: DataType, names: str, expected: str) -> None:
    mapping = map_columns(names.split(","), data_type)
    assert list(mapping.columns.values()) == expected.split(",")


def test_date_and_time_of_day_in_two_columns_belong_together() -> None:
    names = ["<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<TICKVOL>"]
    mapping = map_columns(names, "bars")
    assert (mapping.columns["timestamp"], mapping.columns["time"]) == ("<DATE>", "<TIME>")
    assert mapping.columns["volume"] == "<TICKVOL>"


def test_second_time_stamp_is_unknown_rather_than_a_time_of_day() -> None:
    with pytest.raises(InputError, match="unknown columns: 'time'"):
        map_columns(["timestamp", "time", "open", "high", "low", "close"], "bars")


def test_override_wins_over_the_guess() -> None:
    names = ["timestamp", "bid", "ask", "mid"]
    mapping = map_columns(names, "quotes", overrides={"ask": "mid"}, ignored=["ask"])
    assert mapping.columns["ask"] == "mid"
    assert mapping.ignored == ("ask",)
    assert mapping.describe() == "timestamp=timestamp, bid=bid, ask=mid; ignored: ask"


def test_every_field_has_a_name_of_its_own() -> None:
    for data_type, (required, optional) in FIELDS.items():
        names = [*required, *(name for name in optional if name != "time")]
        assert map_columns(names, data_type).columns == dict(zip(names, names, strict=True))
