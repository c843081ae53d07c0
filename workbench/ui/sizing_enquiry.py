"""What the form for a run asks the server about a size: computed once what it depends on has been quiet for a while."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from workbench.client.client import Client
from workbench.errors import InputError
from workbench.ui.configuration_state import ConfigurationState
from workbench.ui.fields import Field
from workbench.ui.kernel_loop import KernelLoop
from workbench.ui.sizing import find_instrument_id

__all__ = ["SizingEnquiry"]

_WAIT_SECS = 0.4  # after the last change, before the server is asked


class SizingEnquiry:
    """
    Asks for the size of a run whose strategy knows no sizing; the latest question wins.

    Parameters
    ----------
    client : Client
        The server.
    state : ConfigurationState
        What the form shows; the quantity goes into its configuration.
    loop : KernelLoop
        The kernel's thread, and others for the questions.
    on_change : Callable[[], object]
        Called when the configuration has changed.
    on_answer : Callable[[], object]
        Called when there is an answer that changes nothing in it.
    on_loss : Callable[[Exception], object]
        Takes why the server gave no answer.

    """

    def __init__(
        self,
        client: Client,
        state: ConfigurationState,
        loop: KernelLoop,
        on_change: Callable[[], object],
        on_answer: Callable[[], object],
        on_loss: Callable[[Exception], object],
    ) -> None:
        self._client = client
        self._state = state
        self._loop = loop
        self._on_change = on_change
        self._on_answer = on_answer
        self._on_loss = on_loss
        self._key = ""
        self._then: Callable[[], object] | None = None

    def check(self) -> None:
        """Ask, if what the size depends on has changed since it was asked last."""
        sizing, config = self._state.sizing, self._state.config
        target = sizing.find_target()
        wish = None
        if target is not None and sizing.is_computed and self._state.picks:
            wish = sizing.choice.build_wish(sizing.build_fields())
        key = "" if wish is None or target is None else sizing.choice.write_key(wish, config, target)
        if key == self._key:
            return
        self._key = key
        sizing.choice.forget()
        if wish is not None and target is not None:
            sizing.choice.is_asking = True
            asked, field = wish, target
            self._loop.later(_WAIT_SECS, lambda: self._ask(key, asked, field))

    def forget(self) -> None:
        """Ask again at the next check."""
        self._key = ""

    def settle(self, then: Callable[[], object]) -> bool:
        """Return whether no size is being computed; otherwise `then` is called when it is."""
        self._then = then if self._state.sizing.choice.is_asking else None
        return self._then is None

    def _ask(self, key: str, wish: dict[str, Any], target: Field) -> None:
        if key != self._key:
            return  # Another question waits
        config = copy.deepcopy(self._state.config)
        instrument_id = find_instrument_id(config)

        def take(answer: dict[str, Any]) -> None:
            if key == self._key:
                is_changed = self._state.sizing.take(answer, target)
                self._end(self._on_change if is_changed else self._on_answer)

        def refuse(error: Exception) -> None:
            if key != self._key:
                return
            if isinstance(error, InputError):
                self._state.sizing.choice.take_refusal(error)
                self._end(self._on_answer)
            else:
                self._then = None
                self._state.sizing.choice.forget()
                self._on_loss(error)

        self._loop.work(
            lambda: self._client.size_backtest(config, wish, instrument_id=instrument_id), take, refuse
        )

    def _end(self, show: Callable[[], object]) -> None:
        then, self._then = self._then, None
        show()
        if then is not None:
            then()
