from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from ipywidgets import HTML

from workbench.client.client import Client
from workbench.client.transport import Endpoint, Transport
from workbench.config import load_settings
from workbench.ui import component as module
from workbench.ui.component import Component, Fragment
from workbench.ui.layout import Columns, Slot
from workbench.ui.runner import BacktestRunner
from workbench.ui.showing import Showing


class Word(Component):
    def __init__(self) -> None:
        self.built = self.closed = 0

    def build_html(self) -> str:
        return ""

    def build_widget(self) -> Any:
        self.built += 1
        return HTML("")

    def close(self) -> None:
        self.closed += 1


class Notebook:
    """Cells that run and show components."""

    def __init__(self) -> None:
        self.showing = Showing()

    def run(self, cell_id: str | None, *components: Component) -> None:
        self.showing.begin(cell_id)
        for component in components:
            _ = component.widget
            self.showing.note(component)
        self.showing.end()


def test_cell_that_runs_again_closes_what_it_showed() -> None:
    notebook, first, second = Notebook(), Word(), Word()
    notebook.run("a", first)
    widget = first.widget
    notebook.run("b")
    assert first.closed == 0
    notebook.run("a", second)
    assert (first.closed, second.closed) == (1, 0)
    assert widget.comm is None
    notebook.run("a")
    assert (first.closed, second.closed) == (1, 1)


def test_component_that_is_shown_again_or_elsewhere_stays() -> None:
    notebook, word = Notebook(), Word()
    notebook.run("a", word)
    notebook.run("a", word)
    notebook.run("b", word)
    notebook.run("a")
    assert (word.closed, word.built) == (0, 1)
    notebook.run("b")
    assert word.closed == 1


def test_part_of_a_layout_stays_while_a_cell_shows_it() -> None:
    notebook, kept, gone, held = Notebook(), Word(), Word(), Word()
    slot = Slot("empty")
    slot.show(held)
    columns = Columns([kept], [gone, slot])
    notebook.run("a", columns)
    notebook.run("b", kept)
    outer = columns.widget
    notebook.run("a")
    assert (kept.closed, gone.closed, held.closed) == (0, 1, 1)
    assert outer.comm is None
    assert kept.widget.comm is not None
    notebook.run("b", slot)
    assert (kept.closed, held.built) == (1, 2)


def test_cells_without_an_id_close_nothing() -> None:
    notebook, word = Notebook(), Word()
    notebook.run(None, word)
    notebook.run(None, Word())
    assert word.closed == 0


def test_component_shown_after_its_end_has_widgets_of_its_own() -> None:
    class Clock(Word):
        def __init__(self) -> None:
            super().__init__()
            self.fragment = Fragment(lambda: "<p>12</p>")

        def build_widget(self) -> Any:
            return self.fragment.widget

    notebook, clock = Notebook(), Clock()
    notebook.run("a", clock)
    first = clock.widget
    notebook.run("a")
    clock.fragment.refresh()
    assert first.comm is None
    notebook.run("b", clock)
    assert clock.widget is not first
    assert clock.widget.html == "<p>12</p>"


def test_feed_of_a_runner_ends_with_its_cell_and_begins_with_the_next() -> None:
    def count() -> int:
        return sum(thread.name == "workbench-job-feed" for thread in threading.enumerate())

    def wait_for(expected: int) -> None:
        deadline = time.monotonic() + 10
        while count() != expected:
            assert time.monotonic() < deadline, f"{count()} threads follow the server"
            time.sleep(0.02)

    before, notebook = count(), Notebook()
    for _ in range(3):  # a client and a runner of its own each time, as in a cell
        client = Client(Transport(Endpoint("http://127.0.0.1:9", "token")), settings=load_settings())
        notebook.run("a", BacktestRunner(client))
        wait_for(before + 1)
    notebook.run("a")
    wait_for(before)


def test_component_is_noted_where_it_is_displayed(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[Component] = []
    monkeypatch.setattr(module, "_has_kernel", lambda: True)
    monkeypatch.setattr(module._SHOWING, "note", noted.append)
    word = Word()
    word._repr_mimebundle_()
    assert noted == [word]
