"""The first thing that a newcomer does: `workbench demo`, then a look at the report."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from playwright.sync_api import Browser, Request

from tests.cli.conftest import Cli, build_environment, cli, workspace  # noqa: F401 - fixtures
from workbench.backtest.run import Run, load_run
from workbench.cli.demo import _import_sample
from workbench.cli.main import cli as root
from workbench.states import JobState

CHARTS_READY = """() => {
  const charts = [...document.querySelectorAll('.wb-chart')];
  return charts.length >= 2 && charts.every(c => c.dataset.ready);
}"""
MAX_BYTES = 1_500_000
README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def demo(cli: Cli) -> subprocess.CompletedProcess[str]:  # noqa: F811
    return cli("demo", timeout=240)


def find(demo: subprocess.CompletedProcess[str], name: str) -> Path:
    match = re.search(rf"^{name} +(/\S+)", demo.stdout, re.MULTILINE)
    assert match is not None, demo.stdout
    return Path(match[1])


@pytest.fixture(scope="module")
def run(demo: subprocess.CompletedProcess[str]) -> Run:
    return load_run(find(demo, "run"))


def test_demo_prints_numbers_paths_and_what_is_next(demo: subprocess.CompletedProcess[str], run: Run) -> None:
    assert demo.returncode == 0, demo.stderr
    assert "2:1 on 2000-06-21, 2:1 on 2005-02-28" in demo.stdout
    assert run.record.state == JobState.COMPLETED
    sharpe = run.metrics["headline"]["sharpe"]["value"]
    assert re.search(rf"Sharpe ratio +{sharpe:.2f}\b", demo.stdout)
    assert "next:" in demo.stdout
    for name in ("notebook", "report"):
        assert 0 < find(demo, name).stat().st_size < MAX_BYTES


def test_demo_again_imports_nothing_twice(
    demo: subprocess.CompletedProcess[str],
    workspace: Path,  # noqa: F811
) -> None:
    """What the command does first; that it goes on as before in a catalog with data is the next test's."""
    assert "3,270 bars imported" in demo.stdout
    said: list[str] = []
    _import_sample(workspace / "catalogs" / "demo", said.append)
    assert "3,270 bars, in the catalog already" in said[0]
    assert len([line for line in said if "bars, in the catalog already" in line]) == 4


def test_demo_notebook_keeps_no_error(demo: subprocess.CompletedProcess[str]) -> None:
    notebook = json.loads(find(demo, "notebook").read_text())
    outputs = [o for c in notebook["cells"] if c["cell_type"] == "code" for o in c["outputs"]]
    assert len(outputs) >= 9
    assert not [o for o in outputs if o["output_type"] == "error"]


@pytest.mark.browser
def test_demo_report_shows_the_stored_numbers_without_a_network(
    demo: subprocess.CompletedProcess[str], run: Run, browser: Browser
) -> None:
    requests: list[str] = []
    problems: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            requests.append(request.url)

    page = browser.new_page(viewport={"width": 1440, "height": 900})
    try:
        page.on("request", note)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(find(demo, "report").as_uri())
        page.wait_for_function(CHARTS_READY)
        text = page.inner_text("body")
    finally:
        page.close()
    assert requests == []
    assert problems == []
    headline = run.metrics["headline"]
    assert (
        f"{headline['total_return']['value']:+.2%}".replace("%", " %").replace("-", "\N{MINUS SIGN}") in text
    )
    assert f"{headline['sharpe']['value']:.2f}" in text
    assert run.record.run_id in text
    assert f"{headline['trades']['value']:,}" in text


def test_demo_own_file_needs_its_instrument(cli: Cli) -> None:  # noqa: F811
    result = cli("demo", "--data", "prices.csv")
    assert result.returncode == 2
    assert "--instrument" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.data
def test_demo_own_files_run_in_the_catalog_of_the_first(
    cli: Cli,  # noqa: F811
    demo: subprocess.CompletedProcess[str],
    workspace: Path,  # noqa: F811
    test_data: Path,
) -> None:
    """A week of them: the month goes through `backtest run`."""
    files = {}
    for side in ("bid", "ask"):
        lines = (test_data / "fxcm" / f"gbpusd-m1-{side}-2012.csv").read_text().splitlines(keepends=True)
        files[side] = workspace / f"{side}.csv"
        files[side].write_text("".join(lines[: 1 + 5 * 1_440]))
    result = cli(
        *("demo", "--instrument", "GBP/USD.FXCM", "--kind", "fx_pair", "--stamp", "open", "--json"),
        *("--data", files["bid"], "--bar-type", "1-MINUTE-BID"),
        *("--data", files["ask"], "--bar-type", "1-MINUTE-ASK"),
        timeout=240,
    )
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["metrics"]["headline"]["trades"]["value"] > 100
    assert document["metrics"]["costs"]["spread"]["value"] is not None
    assert Path(document["report"]).stat().st_size < MAX_BYTES


@pytest.mark.data
def test_demo_bids_alone_are_refused(cli: Cli, test_data: Path) -> None:  # noqa: F811
    """The simulated venue could fill nothing: a report without a trade would look like a bad strategy."""
    result = cli(
        *("demo", "--instrument", "GBP/USD.ONLY", "--kind", "fx_pair", "--stamp", "open"),
        *("--data", test_data / "fxcm" / "gbpusd-m1-bid-2012.csv", "--bar-type", "1-MINUTE-BID"),
    )
    assert result.returncode == 2
    assert "ASK" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_readme_python_runs_after_the_demo(
    demo: subprocess.CompletedProcess[str],
    workspace: Path,  # noqa: F811
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)

    def run(*arguments: str) -> str:
        result = subprocess.run(
            [sys.executable, *arguments],
            cwd=workspace,
            env=build_environment(workspace),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    try:
        shown = [run("-c", block) for block in blocks]
    finally:
        run("-m", "workbench.cli.main", "serve", "--stop")  # One of them has started it
    assert "'unit': '%'" in shown[0]


def test_readme_engine_is_started_watched_and_stopped(
    demo: subprocess.CompletedProcess[str],
    workspace: Path,  # noqa: F811
) -> None:
    (block,) = re.findall(r"```bash\n(.*?)```", README.read_text(), re.DOTALL)
    environment = build_environment(workspace)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    try:
        result = subprocess.run(
            ["bash", "-e"],
            # No terminal asks here for the word.
            input=f"cd {shlex.quote(str(workspace))}\n"
            + block.replace('"only a try"', '"only a try" --yes y'),
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        stop = ["-m", "workbench.cli.main", "engine", "stop"]
        subprocess.run([sys.executable, *stop], env=environment, capture_output=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"^state +RUNNING", result.stdout, re.MULTILINE)
    assert "default: latched" in result.stdout
    assert re.search(r"^default +SANDBOX +STOPPED", result.stdout, re.MULTILINE)


def test_readme_commands_exist() -> None:
    text = README.read_text().replace("\\\n", " ")
    lines = re.findall(
        r"^(?:    |.*`)?workbench ((?:data|backtest|batch|demo|lab|engine)\b[^`\n#]*)", text, re.MULTILINE
    )
    assert len(lines) >= 6
    for line in lines:
        words = shlex.split(line)
        command: click.Command = root
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, line
            command = found
        known = {
            name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)
        }
        assert {word for word in words if word.startswith("--")} <= known, line
