"""Steering a live engine: start, stop, restart, what its gate lets through, and the emergency stop."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from workbench.ui.engine_badges import build_environment, build_state, describe_policy
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_buttons import build_bars, build_buttons, build_emergency
from workbench.ui.engine_piece import EnginePiece
from workbench.ui.engine_question import Choice
from workbench.ui.engine_rows import format_text
from workbench.ui.engine_sight import Sight, look

if TYPE_CHECKING:
    from workbench.client.client import Client
    from workbench.ui.live_html import Action

__all__ = ["EngineControlPanel"]

_STOP = [
    Choice("leave", "Stop, leave positions open"),
    Choice("flatten", "Stop, close positions first", is_danger=True),
    # A LIVE engine's server asks for the word itself, with what is at stake.
    Choice("restart", "Restart", has_word=False),
]


class EngineControlPanel(EnginePiece):
    """
    The controls of an engine, and how it stands.

    The emergency stop takes a click and a second one within five seconds. What raises risk is asked for again with what
    is at stake: in SANDBOX a click, in LIVE the name of the engine.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.

    """

    def __init__(self, client: Client, name: str = "default") -> None:
        super().__init__(client, name)
        self._reason = ""

    def _build(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        title = f"<span class='wb-name'>{escape(self._name)}</span>"
        badges = f"{build_state(sight.state, is_fresh=sight.is_fresh)}{build_environment(sight)}"
        if not is_live:
            words = f"<div class='wb-note'>An emergency stop {escape(describe_policy(book.policy))}.</div>"
            return f"<div class='wb-card'><div class='wb-engine-row'>{title}{badges}</div>{words}</div>"
        return (
            f"<div class='wb-card wb-controls{' is-live' if sight.is_live else ''}'>"
            f"<div class='wb-engine-bar'><div class='wb-engine-row'>{title}{badges}<span class='wb-engine-acts'>"
            f"{build_buttons(book, sight, self._commands)}</span></div>{build_emergency(book, self._commands)}</div>"
            f"{self._build_bars(book, sight)}</div>"
        )

    def _build_bars(self, book: EngineBook, sight: Sight) -> str:
        return build_bars(book, sight, self._commands, reason=self._reason, regained=self._feed.regained)

    # ---- what the reader does

    def _act(self, action: Action) -> None:
        commands, engine = self._commands, self.engine
        match action.name:
            case "emergency-stop":
                commands.stop_emergency("pressed on the screen")
            case "start":
                commands.run(
                    "start",
                    "Starting…",
                    lambda token: engine.start(confirm=token),
                    title=f"Start {self._name}?",
                    label="Start",
                )
            case "stop":
                self._ask_to_stop()
            case "trading-state" if action.key in {"ACTIVE", "REDUCING", "HALTED"}:
                self._set_trading_state(action.key)
            case "clear":
                self._clear()
            case "reason":
                self._reason = str(action.value or "")[:1_000]
            case "word":
                commands.typed = str(action.value or "")[:200]
            case "answer":
                commands.answer(action.key)
            case "dismiss":
                commands.dismiss()
            case "forget":
                commands.forget(action.key)

    def _set_trading_state(self, state: str) -> None:
        engine = self.engine
        self._commands.run(
            "trading-state",
            f"to {state}…",
            lambda token: engine.set_trading_state(state, reason="on the screen", confirm=token),
            title=f"Let {self._name} go to {state}?",
            label=f"Yes, {state}",
        )

    def _clear(self) -> None:
        engine, reason = self.engine, self._reason
        self._commands.run(
            "emergency-clear",
            "Clearing…",
            lambda token: engine.clear(reason, confirm=token),
            title=f"Clear the emergency stop of {self._name}?",
            label="Clear it",
            on_success=self._forget_reason,
        )

    def _forget_reason(self) -> None:
        self._reason = ""

    def _ask_to_stop(self) -> None:
        def read(book: EngineBook) -> tuple[list[str], bool]:
            held = [f"{p.side} {format_text(p.quantity)} {p.instrument_id}" for p in book.positions.values()]
            count = len(book.open_orders)
            lines = ["Its strategies end. Orders that they leave open are told of in the events."]
            lines.append(f"open positions: {', '.join(held[:6]) or 'none'}{' …' if len(held) > 6 else ''}")
            lines.append(f"open orders: {count or 'none'}")
            return lines, look(book, self._feed.status, 0.0).is_live

        lines, is_live = self._feed.read(read)
        self._commands.ask(
            "stop",
            f"Stop {self._name}?",
            lines,
            _STOP,
            self._stop,
            self._name if is_live else "",
        )

    def _stop(self, choice: str) -> None:
        engine = self.engine
        if choice == "restart":
            self._commands.run(
                "restart",
                "Restarting…",
                lambda token: engine.restart(confirm=token),
                title=f"Restart {self._name}?",
                label="Restart",
            )
            return
        is_flattening = choice == "flatten"
        self._commands.run("stop", "Stopping…", lambda _: engine.stop(is_flattening=is_flattening))
