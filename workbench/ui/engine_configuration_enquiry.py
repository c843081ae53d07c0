"""What a form for an engine's configuration asks the server; the answers go into its state."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench.engine_records import ConfigCheck, ConfigVersion
from workbench.errors import ConfigError, InputError, NotFoundError, WorkbenchError
from workbench.ui.engine_configuration_edits import Edit
from workbench.ui.engine_configuration_parts import add_strategy, list_strategies
from workbench.ui.engine_configuration_state import EngineConfigurationState
from workbench.ui.kernel_loop import KernelLoop
from workbench.ui.places import MISSING

if TYPE_CHECKING:
    from workbench.client.client import Client
    from workbench.client.engine import Engine

__all__ = ["EngineConfigurationEnquiry"]


class EngineConfigurationEnquiry:
    """
    The questions of one form.

    Parameters
    ----------
    client : Client
        The server.
    state : EngineConfigurationState
        What the form shows; changed on the kernel's thread only.
    loop : KernelLoop
        That thread, and others for the questions.
    on_change : Callable[[], object]
        Called when the state has changed.

    """

    def __init__(
        self,
        client: Client,
        state: EngineConfigurationState,
        loop: KernelLoop,
        on_change: Callable[[], object],
    ) -> None:
        self._client = client
        self._state = state
        self._loop = loop
        self._refresh = on_change
        self._asked: set[str] = set()
        self.is_checking = False

    @property
    def _engine(self) -> Engine:
        return self._client.engine(self._state.name)

    def begin(self) -> None:
        """Ask for the versions, and for what there is to choose from."""
        self._state.lost = ""
        self._asked.clear()
        self._loop.work(self.fetch, self._take, self._lose)

    def fetch(self) -> dict[str, Any]:
        """Return the versions, and what there is to choose from; it takes time."""
        engines = self._client.engines
        return {
            "versions": self.list_versions(),
            "presets": engines.presets(),
            "adapters": engines.adapters(),
            "strategies": self._client.strategies(),
            "datasets": self._client.datasets(),
        }

    def list_versions(self) -> list[ConfigVersion]:
        """Return the versions, the last one first; none of an engine that does not exist. It takes time."""
        try:
            return self._engine.config_versions()
        except NotFoundError:
            return []

    def _take(self, found: dict[str, Any]) -> None:
        state = self._state
        for name, value in found.items():
            setattr(state, name, value)
        is_first = not state.is_loaded
        state.is_loaded, state.lost = True, ""
        last = state.versions[0] if state.versions else None
        if is_first and state.config is None:
            state.begin(last)
        elif last is not None and last.version > state.base_version:
            if state.is_edited:
                state.conflict = last
            else:
                state.begin(last)
        self.need()

    def _lose(self, error: Exception) -> None:
        state = self._state
        if isinstance(error, WorkbenchError) and not isinstance(error, InputError):
            state.lost = str(error)
        else:
            state.problem = str(error) or type(error).__name__
        self._refresh()

    def need(self) -> None:
        """Ask what the parts of the configuration take, as far as that is not known."""
        for path, kind in self._state.list_needed().items():
            if path not in self._asked:
                self._asked.add(path)
                self._describe(path, kind)
        self._refresh()

    def _describe(self, path: str, kind: str) -> None:
        state = self._state

        def take(part: dict[str, Any]) -> None:
            state.parts[path] = part
            self._refresh()

        def refuse(error: Exception) -> None:
            if isinstance(error, InputError):
                state.parts[path] = error
                self._refresh()
            else:
                self._asked.discard(path)
                self._lose(error)

        own = {
            str(s.get("strategy_path")): str(s.get("config_path") or "")
            for _, s in list_strategies(state.config or {})
        }
        self._loop.work(
            lambda: self._client.engines.describe_part(path, kind=kind, config_path=own.get(path, "")),
            take,
            refuse,
        )

    def add_strategy(self, path: str, on_added: Callable[[], object]) -> None:
        """Add a strategy by its import path, or as the list of strategies names it."""
        state = self._state

        def take(part: dict[str, Any]) -> None:
            state.parts[str(part["path"])] = part
            state.adding.pop("strategies", None)
            state.problem = ""
            state.change(lambda config: add_strategy(config, part))
            on_added()
            self.need()

        def refuse(error: Exception) -> None:
            if isinstance(error, InputError):
                state.problem = f"{path}: {error}"
                self._refresh()
            else:
                self._lose(error)

        self._loop.work(lambda: self._client.engines.describe_part(path, kind="strategy"), take, refuse)

    def build_preset(self) -> None:
        """Make a configuration of the preset that is filled in."""
        state = self._state
        name = state.preset
        answers = {one.name: str(state.answers.get(one.name) or "") for one in state.build_answers()}

        def take(config: dict[str, Any]) -> None:
            state.load(config, comment=f"from the preset {name}")
            state.is_strict = False
            self.need()

        def refuse(error: Exception) -> None:
            if isinstance(error, InputError):
                state.refusals = error.errors or (error,)
                self._refresh()
            else:
                self._lose(error)

        given = {key: value for key, value in answers.items() if value}
        self._loop.work(lambda: self._client.engines.build_config(name, given), take, refuse)

    def check(self) -> None:
        """Have the server look at what stands here."""
        state = self._state
        config = copy.deepcopy(state.config)
        if config is None or self.is_checking:
            return
        self.is_checking, state.problem = True, ""

        def take(checks: list[ConfigCheck]) -> None:
            self.is_checking = False
            state.take_checks(checks, config)
            self._refresh()

        def refuse(error: Exception) -> None:
            self.is_checking = False
            if isinstance(error, ConfigError):
                state.checks = None
                state.take_refusal(error)
                self._refresh()
            else:
                self._lose(error)

        self._loop.work(lambda: self._engine.check_config(config), take, refuse)
        self._refresh()

    def compare(self, before: int, after: int) -> None:
        """Ask what differs between two versions."""
        state = self._state
        state.diff = (before, after, None)

        def take(found: dict[str, Any]) -> None:
            if state.diff is not None and state.diff[:2] == (before, after):
                edits = [
                    Edit(
                        c["field"],
                        MISSING if c["before"] is None else c["before"],
                        MISSING if c["after"] is None else c["after"],
                    )
                    for c in found["changes"]
                ]
                state.diff = (before, after, edits)
                self._refresh()

        self._loop.work(lambda: self._engine.config_diff(before, after), take, self._lose)
