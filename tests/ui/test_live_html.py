"""What a page may say to Python, what Python says to a page, and what a page is given."""

from __future__ import annotations

import gzip
from typing import Any

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.ui.live_html import Action, LiveHtml
from workbench.ui.static import load_runtime_key

CHART = '<div class="wb-chart" data-name="main"></div>'


class Line:
    """What a widget sent."""

    def __init__(self, widget: LiveHtml, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[tuple[dict[str, Any], list[bytes]]] = []
        monkeypatch.setattr(
            LiveHtml, "send", lambda _, message, buffers=None: self.sent.append((message, buffers or []))
        )
        self.widget = widget

    def say(self, message: Any) -> None:
        self.widget._hear(self.widget, message, [])


@pytest.mark.parametrize(
    ("message", "action"),
    [
        ({"name": "go", "key": "k", "value": None}, Action("go", "k", None)),
        ({"name": "go", "key": None}, Action("go", "", None)),
        ({"name": "set", "key": "k", "value": "text"}, Action("set", "k", "text")),
        ({"name": "set", "key": "k", "value": True}, Action("set", "k", True)),
        ({"name": "set", "key": "k", "value": 2}, Action("set", "k", 2)),
        ({"name": "view", "key": "main", "value": [1.5, 2]}, Action("view", "main", [1.5, 2])),
        ({"name": "", "key": "k"}, None),
        ({"name": 3, "key": "k"}, None),
        ({"name": "go", "key": 3}, None),
        ({"name": "go" * 40, "key": ""}, None),
        ({"name": "go", "key": "k" * 1_001}, None),
        ({"name": "set", "key": "k", "value": {"a": 1}}, None),
        ({"name": "set", "key": "k", "value": [{"a": 1}]}, None),
        ({"name": "set", "key": "k", "value": [1] * 1_001}, None),
        ({"name": "set", "key": "k", "value": "x" * 5_000_001}, None),
    ],
)
def test_message_is_an_action_or_nothing(message: dict[str, Any], action: Action | None) -> None:
    heard: list[Action] = []
    widget = LiveHtml("", on_action=heard.append)
    widget._hear(widget, {"type": "action", **message}, [])
    assert heard == ([] if action is None else [action])


@pytest.mark.parametrize("message", [None, [], "action", {}, {"type": "other", "name": "go"}])
def test_message_of_another_kind_is_nothing(message: Any) -> None:
    widget = LiveHtml("", on_action=lambda _: pytest.fail("heard"))
    widget._hear(widget, message, [])


def test_action_that_fails_is_told_and_forgotten_when_one_works() -> None:
    def act(action: Action) -> None:
        if action.name == "fail":
            raise ValueError("this went wrong")
        if action.name == "mute":
            raise KeyError

    widget = LiveHtml("", on_action=act)
    for name, problem in (("fail", "this went wrong"), ("mute", "KeyError"), ("go", "")):
        widget._hear(widget, {"type": "action", "name": name}, [])
        assert widget.problem == problem


def test_page_with_a_chart_knows_which_runtime_it_needs() -> None:
    assert LiveHtml("<p>text</p>").runtime_key == ""
    assert LiveHtml(CHART).runtime_key == load_runtime_key()
    later = LiveHtml("<p>text</p>")
    later.html = CHART
    assert later.runtime_key == load_runtime_key()


def test_page_that_asks_is_given_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(LiveHtml(CHART), monkeypatch)
    line.say({"type": "runtime"})
    ((message, (packed,)),) = line.sent
    assert message == {"type": "runtime", "key": load_runtime_key()}
    assert b"Bokeh" in gzip.decompress(packed)


def test_columns_travel_as_float64_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    widget = LiveHtml(CHART)
    line = Line(widget, monkeypatch)
    columns = {"ts": np.array([1, 2]), "y": np.array([0.5, np.nan])}
    widget.send_data("main", "line", columns, mode="append", rollover=10)
    ((message, buffers),) = line.sent
    assert message == {
        "type": "data",
        "chart": "main",
        "source": "line",
        "columns": ["ts", "y"],
        "mode": "append",
        "rollover": 10,
    }
    ts, y = (np.frombuffer(buffer, "<f8") for buffer in buffers)
    assert ts.tolist() == [1.0, 2.0]
    assert y[0] == 0.5
    assert np.isnan(y[1])


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="rows"):
        LiveHtml(CHART).send_data("main", "line", {"ts": np.zeros(2), "y": np.zeros(3)})


def test_file_focus_range_and_span_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    widget = LiveHtml(CHART)
    line = Line(widget, monkeypatch)
    widget.download("a.csv", b"1", "text/csv")
    widget.focus("#x")
    widget.set_range("main", 1.0, 2.0)
    widget.light("main", None, None)
    assert line.sent == [
        ({"type": "download", "name": "a.csv", "media_type": "text/csv"}, [b"1"]),
        ({"type": "focus", "selector": "#x"}, []),
        ({"type": "range", "chart": "main", "start": 1.0, "end": 2.0}, []),
        ({"type": "light", "chart": "main", "start": None, "end": None}, []),
    ]
