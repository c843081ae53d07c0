"""Exceptions of strategies end where they should."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from workbench.live.isolation import Failure, Isolation


class _Name:
    def __init__(self, value: str) -> None:
        self.value = value


class Component:
    """A component as nautilus has them: it is called by handlers, and publishes."""

    def __init__(self, name: str = "A") -> None:
        self.id = _Name(name)
        self.is_running = True
        self.seen: list[Any] = []
        self.other: Component | None = None

    def handle_tick(self, tick: Any) -> None:
        self.on_tick(tick)

    def on_tick(self, tick: Any) -> None: ...

    def stop(self) -> None:
        self.is_running = False
        self.on_stop()

    def on_stop(self) -> None: ...

    def save(self) -> dict[str, bytes]:
        return self.on_save()

    def on_save(self) -> dict[str, bytes]:
        return {}


# As one of nautilus's own classes.
Component.__module__ = "nautilus_trader.fake"


class Users(Component):
    def on_tick(self, tick: Any) -> None:
        self.seen.append(tick)
        if tick == "bad":
            self.look(tick)
        if tick == "caught":
            try:
                self.look(tick)
            except ValueError:
                self.seen.append("mended")
        if tick == "publish" and self.other is not None:
            self.other.handle_tick("bad")
            self.seen.append("after")
        if tick == "self":
            self.handle_tick("bad")
            self.seen.append("after")

    def look(self, _: Any) -> None:
        raise ValueError("wrong")

    def on_stop(self) -> None:
        self.seen.append("stopped")

    def on_save(self) -> dict[str, bytes]:
        raise KeyError("state")

    async def later(self) -> None:
        raise ValueError("later")


class World:
    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.failures: list[Failure] = []
        self.isolation = Isolation(self.loop, lambda _, failure: self.failures.append(failure))
        self.kind = self.isolation.isolate(Users)

    def turn(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0))


@pytest.fixture
def world() -> Any:
    world = World()
    yield world
    world.loop.close()


def test_exception_of_a_handler_stops_its_component_in_the_loop(world: World) -> None:
    component = world.kind()
    component.handle_tick("good")
    component.handle_tick("bad")
    assert component.is_running
    component.handle_tick("late")
    world.turn()
    assert not component.is_running
    assert component.seen == ["good", "bad", "stopped"]
    (failure,) = world.failures
    assert (failure.component_id, failure.error) == ("A", "ValueError: wrong")
    assert failure.handler in ("on_tick", "handle_tick")
    assert "look" in failure.traceback
    assert "workbench/live/isolation.py" not in failure.traceback.splitlines()[1]


def test_class_that_is_isolated_keeps_its_name(world: World) -> None:
    assert (world.kind.__name__, world.kind.__module__) == ("Users", Users.__module__)
    assert world.isolation.isolate(Users) is world.kind
    assert issubclass(world.kind, Users)


def test_exception_that_the_component_catches_is_its_own_matter(world: World) -> None:
    component = world.kind()
    component.handle_tick("caught")
    world.turn()
    assert component.seen == ["caught", "mended"]
    assert world.failures == []


def test_exception_of_another_component_does_not_come_back_to_the_first(world: World) -> None:
    first, second = world.kind("A"), world.kind("B")
    first.other = second
    first.handle_tick("publish")
    world.turn()
    assert first.seen == ["publish", "after"]
    assert first.is_running
    assert not second.is_running
    assert [f.component_id for f in world.failures] == ["B"]


def test_exception_that_comes_back_through_nautilus_stops_at_its_entry(world: World) -> None:
    component = world.kind()
    component.handle_tick("self")
    world.turn()
    assert component.seen == ["self", "bad", "after", "stopped"]
    assert not component.is_running


def test_exception_of_a_callback_in_another_thread_stops_its_component(world: World) -> None:
    component = world.kind()
    thread = threading.Thread(target=component.look, args=(None,))
    thread.start()
    thread.join()
    assert component.is_running
    world.turn()
    assert not component.is_running
    assert [f.handler for f in world.failures] == ["look"]


def test_exception_of_a_save_gives_nothing_to_save(world: World) -> None:
    assert world.kind().save() == {}
    world.turn()
    assert [f.handler for f in world.failures] == ["on_save"]


def test_component_that_is_forgotten_is_heard_again(world: World) -> None:
    component = world.kind()
    component.handle_tick("bad")
    world.turn()
    world.isolation.forget("A")
    component.handle_tick("good")
    assert component.seen[-1] == "good"
