"""``workbench engine config``: versions of a configuration, what differs, presets, and a new one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from workbench.cli.engine_options import confirmed, echo_changes, engine_option, json_option, yes_option
from workbench.cli.tables import echo_json, echo_table
from workbench.engine_records import CheckOutcome
from workbench.errors import ConfigError, InputError

__all__ = ["config"]

_set_option = click.option(
    "--set",
    "values",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the preset; again for others.",
)


@click.group()
def config() -> None:
    """Look at the configuration of an engine, and write a new one."""


@config.command()
@engine_option
@click.option("--version", type=click.IntRange(min=1), help="Which version (default: the last one).")
@json_option
def show(engine_name: str, version: int | None, as_json: bool) -> None:
    """Show a version of the configuration, as JSON that `config set` takes. --json: with when and by whom."""
    from workbench.client.connection import connect

    with connect() as client:
        found = client.engine(engine_name).config(version)
    if as_json:
        echo_json(found)
        return
    click.echo(f"version {found.version}, by {found.by} at {found.at} {found.comment}".rstrip(), err=True)
    echo_json(found.config)


@config.command()
@engine_option
@json_option
def versions(engine_name: str, as_json: bool) -> None:
    """List the versions of the configuration, the last one first."""
    from workbench.client.connection import connect

    with connect() as client:
        found = client.engine(engine_name).config_versions()
    if as_json:
        echo_json(found)
        return
    titles = [
        ("version", "right"),
        ("at", "left"),
        ("by", "left"),
        ("environment", "left"),
        ("comment", "left"),
    ]
    rows = [[str(v.version), v.at, v.by, str(v.config.get("environment", "")), v.comment] for v in found]
    echo_table(titles, rows)


@config.command()
@engine_option
@click.argument("before", type=click.IntRange(min=1), required=False)
@click.argument("after", type=click.IntRange(min=1), required=False)
@json_option
def diff(engine_name: str, before: int | None, after: int | None, as_json: bool) -> None:
    """Show what differs between the versions BEFORE and AFTER (default: the last two)."""
    from workbench.client.connection import connect

    with connect() as client:
        found = client.engine(engine_name).config_diff(before, after)
    if as_json:
        echo_json(found)
        return
    if not found["changes"]:
        click.echo(f"versions {found['before']} and {found['after']} are the same")
    echo_changes(found["changes"])
    for change in found["raised"]:
        click.echo(f"raises a limit: {change['field']}")


@config.command()
@engine_option
@click.argument("file", type=click.File("rb"), required=False)
@json_option
def check(engine_name: str, file: Any, as_json: bool) -> None:
    """
    Look at a configuration before it is used: FILE (- for the standard input), or the last version.

    Adapters, fields, credentials, instruments and databases; nothing connects. Exit code 1: something is not as it
    has to be.
    """
    plain = None if file is None else _decode(file.read(), "the file", dict)
    from workbench.client.connection import connect

    with connect() as client:
        engine = client.engine(engine_name)
        found = engine.check_config(engine.config().config if plain is None else plain)
    if as_json:
        echo_json(found)
    else:
        rows = [[str(c.outcome), c.field, " ".join(filter(None, (c.message, c.advice)))] for c in found]
        echo_table([("outcome", "left"), ("field", "left"), ("what", "left")], rows)
    if any(c.outcome in {CheckOutcome.MISSING, CheckOutcome.WRONG} for c in found):
        raise click.exceptions.Exit(1)


@config.command("set")
@engine_option
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--preset", help="Begin from this instead of a FILE; see `config presets`.")
@_set_option
@click.option(
    "--strategies",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON with a list of nautilus's ImportableStrategyConfig, to add to the preset.",
)
@click.option("--comment", default="", help="Why, for those who look at it later.")
@click.option("--base", type=click.IntRange(min=0), help="The version that it was made from (0: none).")
@yes_option
@json_option
def set_config(
    engine_name: str,
    file: Any,
    preset: str | None,
    values: tuple[str, ...],
    strategies: Path | None,
    comment: str,
    base: int | None,
    yes: str | None,
    as_json: bool,
) -> None:
    """
    Write a new version of the configuration, from FILE (- for the standard input) or a preset.

    It is checked first; the next start uses it. Raising a limit, and what is or becomes LIVE, must be confirmed.
    """
    if (file is None) == (preset is None):
        raise InputError(
            "a configuration comes from a file or a preset", expected="one of them", field="file"
        )
    if preset is None and (values or strategies):
        raise InputError("--set and --strategies go with a preset", expected="--preset", field="preset")
    plain = _decode(file.read(), "the file", dict) if preset is None else _make(preset, values)
    if strategies is not None:
        added = _decode(strategies.read_bytes(), str(strategies), list)
        plain["node"] = {**plain["node"], "strategies": added}
    from workbench.client.connection import connect

    with connect() as client:
        found = client.engine(engine_name)
        version = confirmed(
            lambda token: found.set_config(plain, comment=comment, base_version=base, confirm=token), yes
        )
    if as_json:
        echo_json(version)
    else:
        click.echo(f"version {version.version} of {engine_name}; the next start uses it")


@config.command()
@click.argument("name", required=False)
@_set_option
@json_option
def presets(name: str | None, values: tuple[str, ...], as_json: bool) -> None:
    """List the presets; or what the preset NAME asks for; with --set, write the configuration that it makes."""
    from workbench.live.presets import PRESETS, find_preset

    if name is not None and values:
        echo_json(_make(name, values))
        return
    if name is None:
        if as_json:
            echo_json(PRESETS)
            return
        titles = [("preset", "left"), ("environment", "left"), ("tried", "left"), ("what", "left")]
        echo_table(titles, [[p.name, str(p.environment), str(p.trial), p.title] for p in PRESETS])
        return
    preset = find_preset(name)
    if as_json:
        echo_json(preset)
        return
    click.echo(f"{preset.title}: {preset.help}\n{preset.trial}: {preset.tried}\n")
    titles = [("parameter", "left"), ("default", "left"), ("what", "left")]
    rows = [
        [
            p.name,
            p.default or ("" if p.is_optional else "(needed)"),
            " ".join([p.help, *_list_choices(p.choices)]),
        ]
        for p in preset.parameters
    ]
    echo_table(titles, rows)


def _list_choices(choices: Sequence[str]) -> list[str]:
    return [f"({', '.join(choices)})"] if choices else []


def _make(preset: str, values: Sequence[str]) -> dict[str, Any]:
    from workbench.live.presets import build_preset

    parameters = {}
    for value in values:
        name, sign, text = value.partition("=")
        if not sign:
            raise InputError(f"{value!r} sets nothing", expected="NAME=VALUE", field="set")
        parameters[name.strip()] = text
    if parameters.get("catalog_path"):
        parameters["catalog_path"] = str(Path(parameters["catalog_path"]).resolve())
    plain: dict[str, Any] = msgspec.to_builtins(build_preset(preset, parameters))
    return plain


def _decode[T](content: bytes, what: str, kind: type[T]) -> T:
    try:
        found = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise ConfigError(f"{what} is no JSON: {e}") from e
    if not isinstance(found, kind):
        raise ConfigError(f"{what} holds no {'list' if kind is list else 'object'}")
    return found
