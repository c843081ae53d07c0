"""A component is a widget where a kernel runs and HTML elsewhere; a fragment shows what is true, not too often."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from ipywidgets import HTML

from workbench.config import Settings
from workbench.ui import component as module
from workbench.ui.component import Component, Fragment
from workbench.ui.layout import Columns, Slot
from workbench.ui.live_html import Action

VIEW = "application/vnd.jupyter.widget-view+json"


class Word(Component):
    def __init__(self, word: str) -> None:
        self.word = word
        self.built = 0
        self.is_closed = False

    def build_html(self) -> str:
        return f"<p>{self.word}</p>"

    def build_widget(self) -> Any:
        self.built += 1
        return HTML(self.word)

    def close(self) -> None:
        self.is_closed = True


def _settings(monkeypatch: pytest.MonkeyPatch, settings: Settings, *, is_static: bool) -> None:
    changed = {name: getattr(settings, name) for name in settings.__struct_fields__}
    monkeypatch.setattr(module, "load_settings", lambda: Settings(**{**changed, "is_static": is_static}))


def test_component_without_a_kernel_is_static() -> None:
    bundle = Word("hello")._repr_mimebundle_()
    assert VIEW not in bundle
    assert "<p>hello</p>" in bundle["text/html"]


@pytest.mark.parametrize("is_static", [True, False])
def test_component_in_a_kernel_is_a_widget_unless_static_is_wanted(
    monkeypatch: pytest.MonkeyPatch, is_static: bool
) -> None:
    _settings(monkeypatch, module.load_settings(), is_static=is_static)
    monkeypatch.setattr(module, "_has_kernel", lambda: True)
    word = Word("hello")
    bundle = word._repr_mimebundle_()
    assert (VIEW in bundle) is not is_static
    assert word.built == (0 if is_static else 1)


def test_component_builds_its_widget_once() -> None:
    word = Word("hello")
    assert word.widget is word.widget
    assert word.built == 1


def test_component_is_closed_by_a_with_block() -> None:
    with Word("hello") as word:
        assert not word.is_closed
    assert word.is_closed


def test_fragment_without_a_loop_shows_every_change() -> None:
    words = ["one"]
    fragment = Fragment(lambda: words[-1])
    assert fragment.widget.html == "one"
    words.append("two")
    fragment.refresh()
    assert fragment.widget.html == "two"


def test_fragment_refreshed_from_many_threads_renders_ten_times_a_second_on_one() -> None:
    async def play() -> tuple[list[int], str]:
        state, idents = {"n": 0}, []

        def render() -> str:
            idents.append(threading.get_ident())
            return str(state["n"])

        fragment = Fragment(render)
        shown = fragment.widget
        idents.clear()

        def produce() -> None:
            for _ in range(200):
                state["n"] += 1
                fragment.refresh()

        threads = [threading.Thread(target=produce) for _ in range(3)]
        for thread in threads:
            thread.start()
        await asyncio.to_thread(lambda: [thread.join() for thread in threads])
        fragment.refresh()
        await asyncio.sleep(0.35)
        assert shown.html == str(state["n"])
        return idents, shown.html

    idents, _ = asyncio.run(play())
    assert 1 <= len(idents) <= 6
    assert set(idents) == {threading.get_ident()}


def test_fragment_that_cannot_render_says_so_until_it_can() -> None:
    state = {"is_broken": False}

    def render() -> str:
        if state["is_broken"]:
            raise ValueError("no such run")
        return "fine"

    fragment = Fragment(render)
    assert fragment.widget.problem == ""
    state["is_broken"] = True
    with pytest.raises(ValueError, match="no such run"):
        fragment.refresh()
    assert "no such run" in fragment.widget.problem
    assert fragment.widget.html == "fine"
    state["is_broken"] = False
    fragment.refresh()
    assert fragment.widget.problem == ""


def test_fragment_hands_actions_on() -> None:
    heard: list[Action] = []
    widget = Fragment(lambda: "", on_action=heard.append).widget
    widget._hear(widget, {"type": "action", "name": "go", "key": "k"}, [])
    assert heard == [Action("go", "k")]


def test_columns_hold_the_static_and_the_live_forms() -> None:
    columns = Columns([Word("left")], [Word("right"), Word("below")])
    html = columns.build_html()
    assert html.index("left") < html.index("right") < html.index("below")
    (inner,) = columns.widget.children
    assert [[child.value for child in column.children] for column in inner.children] == [
        ["left"],
        ["right", "below"],
    ]


def test_slot_says_what_to_do_shows_one_component_and_closes_the_last() -> None:
    slot, first, second = Slot("Open <a> run"), Word("first"), Word("second")
    assert "Open &lt;a&gt; run" in slot.build_html()
    box = slot.widget
    assert "Open &lt;a&gt; run" in box.children[1].html
    told: list[Any] = []
    anchor = box.children[0]
    anchor.send = lambda content, buffers=None: told.append(content)
    slot.show(first)
    assert box.children == (anchor, first.widget)
    assert told == [{"type": "reveal"}]
    assert slot.build_html() == "<p>first</p>"
    slot.show(second)
    assert slot.shown is second
    assert box.children == (anchor, second.widget)
    assert (first.is_closed, second.is_closed) == (True, False)
    slot.close()
    assert second.is_closed
