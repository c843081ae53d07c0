"""Configurations of engines tried out in a child process, and what a form for one asks it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec

from workbench.api.context import Context
from workbench.engine_records import CheckOutcome, ConfigCheck
from workbench.errors import ConfigError, InputError, RunError
from workbench.live.config import EngineConfig
from workbench.live.engine_directory import EngineDirectory

__all__ = ["refuse_wrong", "try_config"]

_TASK = "workbench.live.config_trial:try_config"
_TRIAL_SECS = 30.0


async def try_config(context: Context, directory: EngineDirectory, config: EngineConfig) -> list[ConfigCheck]:
    """
    Return what there is to say of a configuration before it is used.

    Nautilus ends its process over some values: that costs the child which looked, and is told as what is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="wb-trial-") as folder:
        place_file = Path(folder) / "place"
        spec: dict[str, Any] = {
            "config": msgspec.to_builtins(config),
            "engine": str(directory.path),
            "runs": str(context.runs),
            "place_file": str(place_file),
        }
        try:
            found = await context.inspect(context.service.ask, _TASK, spec, timeout_secs=_TRIAL_SECS)
        except ConfigError:
            raise
        except (InputError, RunError) as e:
            place = place_file.read_text(encoding="utf-8") if place_file.is_file() else ""
            return [
                ConfigCheck(
                    subject="node",
                    outcome=CheckOutcome.WRONG,
                    message=f"{place or 'it'} ends the process that reads it, or holds it up: {e.message}",
                    field=place,
                    advice="look at its values, such as names and enumerations: an engine would end over them too",
                )
            ]
    return msgspec.convert(found["checks"], list[ConfigCheck])


async def refuse_wrong(context: Context, directory: EngineDirectory, config: EngineConfig) -> None:
    """
    Refuse a configuration that no engine can use; what may still come, such as a credential, is no reason.

    Raises
    ------
    ConfigError
        If something is wrong with it; `errors` are all that was found.

    """
    if not config.node:
        return  # Nothing in it comes from anybody else
    checks = await try_config(context, directory, config)
    errors = [
        ConfigError(one.message, advice=one.advice, field=one.field)
        for one in checks
        if one.outcome is CheckOutcome.WRONG
    ]
    if errors:
        first = errors[0]
        raise ConfigError(first.message, advice=first.advice, field=first.field, errors=errors)
