"""``workbench user``: who may use the server, and with which token."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.client.conftest import make_settings
from workbench.client.connection import connect
from workbench.errors import ForbiddenError


def test_user_is_added_listed_and_given_a_token_that_works(cli: Cli, workspace: Path, tmp_path: Path) -> None:
    added = cli("user", "add", "ada", "--role", "viewer")
    assert added.returncode == 0, added.stderr
    assert "workbench user token ada" in added.stdout
    assert ("ada", "viewer") in {
        (u["name"], u["role"]) for u in json.loads(cli("user", "ls", "--json").stdout)
    }
    assert "ada" in cli("user", "ls").stdout

    made = cli("user", "token", "ada", "--label", "laptop", "--days", "7")
    assert "shown this once" in made.stderr
    token = tmp_path / "token"
    token.write_text(made.stdout)
    with connect(settings=make_settings(workspace)) as local:
        url = local.url
        assert [t.label for t in local.tokens("ada")] == ["laptop"]
    with connect(settings=make_settings(tmp_path, server=url, token_file=token)) as ada:
        assert ada.whoami()["name"] == "ada"
        with pytest.raises(ForbiddenError):
            ada.add_user("eve", "admin")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "bob", "--role", "king"), "king"),
        (("add", "bob"), "--role"),
        (("add", "", "--role", "viewer"), "name"),
        (("token", "nobody"), "nobody"),
        (("token", "nobody", "--days", "0"), "--days"),
    ],
)
def test_wrong_user_is_refused(cli: Cli, arguments: tuple[str, ...], words: str) -> None:
    result = cli("user", *arguments)
    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_user_that_is_there_already_is_one_clear_line(cli: Cli) -> None:
    cli("user", "add", "twice", "--role", "trader")
    result = cli("user", "add", "twice", "--role", "admin", "--json")
    assert result.returncode == 2
    assert json.loads(result.stderr)["error"]["code"] == "exists"
