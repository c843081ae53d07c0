from __future__ import annotations

import re

import pytest
from bokeh.models import Label, Line

from workbench.errors import InputError
from workbench.ui.theme import load_style, load_tokens, paint


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _contrast(first: str, second: str) -> float:
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _dark_tokens() -> dict[str, str]:
    block = re.search(r"\.wb\.dark\{(.*?)\}", load_style(), re.DOTALL)
    assert block is not None
    return dict(re.findall(r"--wb-([a-z0-9]+):(?:var\([^,]+,)?(#[0-9a-f]{6})", block[1]))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "token",
    ["ink", "mute", "accent", "up", "down", "warn", "bad", "other1", "other2", "other3", "other4", "other5"],
)
def test_tokens_text_on_panel_has_enough_contrast(theme: str, token: str) -> None:
    tokens = load_tokens() if theme == "light" else _dark_tokens()
    assert _contrast(tokens[token], tokens["panel"]) >= 4.5


def test_tokens_dark_theme_has_every_colour_of_the_light_one() -> None:
    assert set(_dark_tokens()) == set(load_tokens())


def test_load_style_has_no_comment_and_no_reference_outside() -> None:
    style = load_style()
    assert "/*" not in style
    assert "url(" not in style
    assert "@import" not in style
    assert "@DARK@" not in style


def test_paint_sets_the_light_colour_and_a_tag_for_the_browser() -> None:
    line = Line(x="x", y="y")
    paint(line, line_color="accent")
    assert line.line_color == load_tokens()["accent"]
    assert line.tags == [{"paint": {"line_color": "accent"}}]


def test_paint_unknown_token_raises() -> None:
    with pytest.raises(InputError, match="rainbow"):
        paint(Label(x=0, y=0, text=""), text_color="rainbow")
