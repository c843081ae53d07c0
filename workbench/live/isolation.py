"""An exception in a strategy stops that strategy, and not the engine."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
import traceback
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from nautilus_trader.common.config import msgspec_encoding_hook, resolve_config_path, resolve_path
from nautilus_trader.trading.controller import Controller
from nautilus_trader.trading.trader import Trader

__all__ = ["Failure", "IsolatingController", "Isolation"]

# The end of a component, which is heard even after it failed.
_ENDINGS = frozenset({"on_stop", "on_save", "on_reset", "on_dispose", "on_fault", "on_degrade"})
# Nautilus would go on with what these return.
_DEFAULTS: dict[str, Callable[[], Any]] = {"on_save": dict}
_MOST_TEXT = 16_000


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A component that was stopped: by what exception, in which handler, with its traceback."""

    component_id: str
    handler: str
    error: str
    traceback: str


class _Component(Protocol):
    @property
    def id(self) -> Any: ...
    @property
    def is_running(self) -> bool: ...
    def stop(self) -> None: ...


class Isolation:
    """
    Builds strategies, actors and execution algorithms whose exceptions end here.

    Nautilus lets an exception of a handler end the whole process, and swallows one of a timer. Each class is replaced
    by a generated subclass of the same name. Its handlers, and every method that the user's own classes define, catch
    what comes out of the outermost of them; inside, exceptions travel as they always do.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        Where the component is stopped: timers call from threads of their own.
    on_failure : Callable[[Any, Failure], None]
        Called in the loop after the component was stopped.

    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_failure: Callable[[Any, Failure], None]) -> None:
        self._loop = loop
        self._on_failure = on_failure
        self._inside = threading.local()
        self._classes: dict[type, type] = {}
        self.failures: dict[str, Failure] = {}

    def build(self, path: str, config_path: str, config: dict[str, Any]) -> Any:
        """
        Return a component from where its class is, where that of its configuration is, and the fields of that.

        Any exception of the user's module or constructor comes through.
        """
        kind = self.isolate(resolve_path(path))
        text = msgspec.json.encode(config, enc_hook=msgspec_encoding_hook)
        return kind(config=resolve_config_path(config_path).parse(text))

    def isolate(self, kind: type) -> type:
        """Return the subclass of `kind` whose exceptions end here."""
        if kind not in self._classes:
            members = {n: self._guard(n, f) for n, f in _find_methods(kind).items()}
            names = {
                "__module__": kind.__module__,
                "__qualname__": kind.__qualname__,
                "__doc__": kind.__doc__,
            }
            self._classes[kind] = type(kind)(kind.__name__, (kind,), {**members, **names})
        return self._classes[kind]

    def forget(self, component_id: str) -> None:
        """Forget that a component failed: it may be started again."""
        self.failures.pop(component_id, None)

    def _guard(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        inside, failures, default = self._inside, self.failures, _DEFAULTS.get(name, lambda: None)
        is_ending = name in _ENDINGS
        # Nautilus comes in here, perhaps on behalf of the component itself: what is raised must not go back through it.
        is_entry = name.startswith("handle_")

        @functools.wraps(method)
        def guarded(component: Any, *args: Any, **kwargs: Any) -> Any:
            outer = getattr(inside, "component", None)
            if outer is component and not is_entry:
                return method(component, *args, **kwargs)
            if failures and not is_ending and component.id.value in failures:
                return default()
            inside.component = component
            try:
                return method(component, *args, **kwargs)
            except Exception as e:  # noqa: BLE001 - whatever somebody's strategy raises
                self._fail(component, name, e)
                return default()
            finally:
                inside.component = outer

        return guarded

    def _fail(self, component: _Component, handler: str, error: Exception) -> None:
        # Without the frames of this module, which say nothing
        lines = traceback.format_exception(type(error), error, _skip_own(error.__traceback__))
        failure = Failure(
            component_id=component.id.value,
            handler=handler,
            error=f"{type(error).__name__}: {error}",
            traceback="".join(lines)[-_MOST_TEXT:],
        )
        self.failures.setdefault(failure.component_id, failure)
        self._loop.call_soon_threadsafe(self._stop, component, failure)

    def _stop(self, component: _Component, failure: Failure) -> None:
        if component.is_running:
            component.stop()
        self._on_failure(component, failure)


class IsolatingController(Controller):
    """Adds strategies and actors to a running engine, isolated as those from the beginning are."""

    def __init__(self, trader: Trader, config: Any = None) -> None:
        super().__init__(trader=trader, config=config)
        self.isolation: Isolation | None = None

    def create_strategy_from_config(self, strategy_config: Any, start: bool = True) -> None:
        """Build a strategy, and add it."""
        if self.isolation is None:
            raise RuntimeError("the controller is not connected to its engine")
        c = strategy_config
        self.create_strategy(self.isolation.build(c.strategy_path, c.config_path, c.config), start)

    def create_actor_from_config(self, actor_config: Any, start: bool = True) -> None:
        """Build an actor, and add it."""
        if self.isolation is None:
            raise RuntimeError("the controller is not connected to its engine")
        c = actor_config
        self.create_actor(self.isolation.build(c.actor_path, c.config_path, c.config), start)

    def on_stop(self) -> None:
        """Do nothing: nautilus warns where this is missing."""


def _find_methods(kind: type) -> dict[str, Callable[..., Any]]:
    """Return the handlers of a class, and what its user's classes define."""
    found: dict[str, Callable[..., Any]] = {}
    for base in kind.__mro__:
        is_users = not base.__module__.startswith("nautilus_trader.")
        for name, member in vars(base).items():
            if name in found or name.startswith("__") or base is object:
                continue
            is_method = inspect.isfunction(member) and not inspect.iscoroutinefunction(member)
            is_handler = name.startswith("handle_") and callable(member)
            if (is_method and is_users) or (is_handler and not is_users):
                found[name] = member
    return found


def _skip_own(trace: Any) -> Any:
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace
