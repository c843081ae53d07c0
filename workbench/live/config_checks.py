"""What can be seen to be wrong with an engine's configuration without building the engine."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from workbench.errors import ConfigError
from workbench.gate.limits import parse_limits
from workbench.live.config import EngineConfig
from workbench.secret_names import REFERENCE_WORDS, is_reference, is_secret_name, is_secret_text

__all__ = ["check_engine_config", "find_references"]

_LIMITS = tuple(inspect.signature(parse_limits).parameters)
_PATHS = ("strategy_path", "actor_path", "exec_algorithm_path", "config_path", "path", "factory")
_IMPORT_PATH = re.compile(r"[\w.]+:\w+")
_CURRENCY = re.compile(r"[A-Z0-9]{2,10}")
_MOST_TEXT = 80


def check_engine_config(config: EngineConfig) -> None:
    """
    Check a configuration: its limits, its import paths, and that it holds no secret.

    Raises
    ------
    ConfigError
        If something is wrong with it; `errors` are all that was found.

    """
    errors = [*_check_limits(config.risk), *_check_places(config.node, "node")]
    if _CURRENCY.fullmatch(config.currency) is None:
        errors.append(
            ConfigError(
                f"{config.currency[:_MOST_TEXT]!r} is no currency", expected="such as USD", field="currency"
            )
        )
    if errors:
        first = errors[0]
        raise ConfigError(
            first.message,
            expected=first.expected,
            advice=first.advice,
            field=first.field,
            errors=errors,
        )


def find_references(config: EngineConfig) -> dict[str, str]:
    """Return the secrets that a configuration refers to, by the place where they stand."""
    return {place: value for place, _, value in _walk(config.node, "node") if _is_reference(value)}


def _check_limits(risk: dict[str, Any]) -> list[ConfigError]:
    errors = [
        ConfigError(
            f"there is no limit {name[:_MOST_TEXT]!r}",
            expected=f"one of {', '.join(_LIMITS)}",
            field=f"risk.{name}",
        )
        for name in risk
        if name not in _LIMITS
    ]
    known = {name: value for name, value in risk.items() if name in _LIMITS}
    # One by one for every fault, and all together for those that only show then.
    for part in [{name: value} for name, value in known.items()] + [known]:
        if part is known and errors:
            break
        name = next(iter(part), "")
        try:
            parse_limits(**part)
        except ConfigError as e:
            errors.append(
                ConfigError(e.message, expected=e.expected, advice=e.advice, field=f"risk.{e.field or name}")
            )
        except (TypeError, AttributeError, ValueError):
            errors.append(
                ConfigError(f"{name} has a value of a wrong kind", expected="text", field=f"risk.{name}")
            )
    return errors


def _check_places(node: dict[str, Any], place: str) -> Iterator[ConfigError]:
    for where, name, value in _walk(node, place):
        if not isinstance(value, str) or not value:
            continue
        if (is_secret_name(name) and not is_reference(value)) or is_secret_text(value):
            # Not with its value: this goes into an answer and a log.
            yield ConfigError(
                f"{where} holds a secret in the clear",
                expected=REFERENCE_WORDS,
                advice="put the secret into the environment of the engine, or the keyring",
                field=where,
            )
        elif name in _PATHS and ":" in value and _IMPORT_PATH.fullmatch(value) is None:
            yield ConfigError(
                f"{value[:_MOST_TEXT]!r} is no import path", expected="package.module:Class", field=where
            )


def _walk(value: Any, place: str, name: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield every place that is not a table or a list: where, its last name, and what stands there."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _walk(one, f"{place}.{key}", str(key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _walk(one, f"{place}.{number}", name)
    else:
        yield place, name, value


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and is_reference(value)
