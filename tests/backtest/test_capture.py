"""Strategies of notebook cells become modules that stand alone: in a real kernel, cell by cell."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty

import pytest
from jupyter_client.manager import start_new_kernel

from workbench.backtest.capture import MODULE_PREFIX, SourceModule, capture_class, capture_file
from workbench.errors import ConfigError, NotFoundError

Execute = Callable[[str], str]

PREPARE = """
from nautilus_trader.config import StrategyConfig, PositiveInt
from nautilus_trader.trading.strategy import Strategy
from workbench.backtest.capture import capture_class
from workbench.errors import ConfigError


def show(*classes):
    try:
        module = capture_class(*classes)
    except ConfigError as e:
        print("REFUSED", e)
    else:
        print(module.name)
        print(module.text)
"""


@pytest.fixture(scope="module")
def execute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Execute]:
    """Return a function that runs a cell in a kernel and returns what it printed; an error fails the test."""
    directory = tmp_path_factory.mktemp("notebook")
    (directory / "beside.py").write_text("VALUE = 1\n\n\ndef compute():\n    return 1\n")
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(directory))

    def run(code: str) -> str:
        request = client.execute(code)
        printed: list[str] = []
        while True:
            try:
                message = client.get_iopub_msg(timeout=60)
            except Empty:
                pytest.fail("the kernel does not answer")
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream" and content["name"] == "stdout":
                printed.append(content["text"])
            elif kind == "error":
                pytest.fail("\n".join(content["traceback"]))
            elif kind == "status" and content["execution_state"] == "idle":
                return "".join(printed)

    try:
        run(PREPARE)
        yield run
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _capture(execute: Execute, classes: str) -> SourceModule:
    name, _, text = execute(f"show({classes})").partition("\n")
    assert name.startswith(MODULE_PREFIX), name
    module = SourceModule.from_text(text.removesuffix("\n"))
    assert module.name == name
    return module


def _run_fresh(module: SourceModule, directory: Path, expression: str) -> str:
    """Import the module in a process that knows nothing of the notebook; return what the expression gives."""
    path = module.write(directory)
    assert path.stem == module.name
    code = f"import json, {module.name} as m; print(json.dumps({expression}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=directory, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    value: str = json.loads(done.stdout)
    return value


def test_strategy_of_several_cells_runs_in_a_fresh_process(execute: Execute, tmp_path: Path) -> None:
    execute("class SplitConfig(StrategyConfig, frozen=True):\n    period: PositiveInt = 10\n")
    execute(
        "import math\nfrom decimal import Decimal, ROUND_HALF_UP as UP\n"
        "STEP = Decimal('0.05')\nSIZES = {'a': [1, 2.5], 'b': (None, True)}\n"
        "def scale(x):\n    return inner(x) * STEP\n"
    )
    execute("def inner(x):\n    return Decimal(math.floor(x))\n")
    execute(
        "class Split(Strategy):\n"
        "    def compute(self):\n"
        "        return str(scale(7.9).quantize(Decimal('0.1'), UP)), SIZES['a'][1]\n"
    )
    module = _capture(execute, "Split, SplitConfig")
    value = _run_fresh(
        module,
        tmp_path,
        "[m.Split.compute(None), m.SplitConfig().period, m.SplitConfig.__module__ == m.__name__]",
    )
    assert value == [["0.4", 2.5], 10, True]
    assert "from nautilus_trader.config import PositiveInt" in module.text
    assert "show" not in module.text
    assert "beside" not in module.text


def test_captured_config_checks_its_fields_in_a_fresh_process(execute: Execute, tmp_path: Path) -> None:
    execute("class CheckedConfig(StrategyConfig, frozen=True):\n    period: PositiveInt = 10\n")
    execute("class Checked(Strategy):\n    pass\n")
    module = _capture(execute, "Checked, CheckedConfig")
    with pytest.raises(AssertionError, match=r"Expected `int` >= 1 - at `\$\.period`"):
        _run_fresh(module, tmp_path, """m.CheckedConfig.parse('{"period": 0}').period""")


def test_redefinition_captures_the_newest_also_when_an_old_cell_is_run_again(execute: Execute) -> None:
    """A config has no functions that would know their cell."""
    names = []
    config = "class NewestConfig(StrategyConfig, frozen=True):\n    period: int = {}\n"
    strategy = "class Newest(Strategy):\n    def value(self):\n        return {}\n"
    for number in (1, 2, 1):
        execute(config.format(number))
        execute(strategy.format(number * 10))
        module = _capture(execute, "Newest, NewestConfig")
        assert f"period: int = {number}\n" in module.text
        assert f"return {number * 10}\n" in module.text
        names.append(module.name)
    assert names[0] == names[2] != names[1]


def test_redefinition_in_one_cell_captures_the_last(execute: Execute) -> None:
    execute("class Twice(Strategy):\n    A = 'first'\nclass Twice(Strategy):\n    A = 'second'\n")
    text = _capture(execute, "Twice").text
    assert "second" in text
    assert "first" not in text


def test_changed_helper_and_constant_change_the_capture(execute: Execute) -> None:
    execute("LEVEL = 3\ndef helped():\n    return LEVEL\n")
    execute("class Helped(Strategy):\n    def value(self):\n        return helped()\n")
    first = _capture(execute, "Helped")
    assert _capture(execute, "Helped") == first
    execute("LEVEL = 4")
    second = _capture(execute, "Helped")
    assert "LEVEL = 4" in second.text
    execute("def helped():\n    return LEVEL + 1\n")
    third = _capture(execute, "Helped")
    assert "LEVEL + 1" in third.text
    assert len({first.name, second.name, third.name}) == 3


def test_imported_alias_and_constant_are_captured_as_imports(execute: Execute, tmp_path: Path) -> None:
    execute(
        "from nautilus_trader.config import NonNegativeFloat as Weight\nfrom string import ascii_lowercase\n"
    )
    execute(
        "class AliasConfig(StrategyConfig, frozen=True):\n    weight: Weight = 0.5\n"
        "class Alias(Strategy):\n    def value(self):\n        return ascii_lowercase[:3]\n"
    )
    module = _capture(execute, "Alias, AliasConfig")
    assert "from nautilus_trader.config import NonNegativeFloat as Weight" in module.text
    assert "from string import ascii_lowercase" in module.text
    assert _run_fresh(module, tmp_path, "[m.Alias.value(None), m.AliasConfig().weight]") == ["abc", 0.5]


def test_modules_are_imported_as_the_cells_named_them(execute: Execute, tmp_path: Path) -> None:
    execute("import numpy as np\nimport os.path\nimport xml.dom.minidom\n")
    execute(
        "class Modules(Strategy):\n    def value(self):\n"
        "        xml.dom.minidom.parseString('<a/>')\n"
        "        return os.path.join('a', 'b'), int(np.linalg.norm([3, 4]))\n"
    )
    module = _capture(execute, "Modules")
    assert _run_fresh(module, tmp_path, "m.Modules.value(None)") == ["a/b", 5]


def test_base_class_decorator_default_and_annotation_are_captured(execute: Execute, tmp_path: Path) -> None:
    execute(
        "def mark(cls):\n    cls.MARK = MARKS[0]\n    return cls\nMARKS = frozenset({'x'}) and ['x']\nDEFAULT = 4\n"
    )
    execute("class Base(Strategy):\n    def base(self):\n        return 'base'\n")
    execute("class Note:\n    pass\n")
    execute(
        "@mark\nclass Derived(Base):\n    def value(self, number: 'int' = DEFAULT, note: Note | None = None):\n"
        "        return [number, self.MARK, Base.base(None), [n for n in MARKS]]\n"
    )
    module = _capture(execute, "Derived")
    assert _run_fresh(module, tmp_path, "m.Derived.value(m.Derived)") == [4, "x", "base", ["x"]]


def test_name_of_the_notebook_that_hides_a_builtin_is_captured(execute: Execute, tmp_path: Path) -> None:
    execute("def round(x):\n    return 'mine'\n")
    try:
        execute(
            "class Hides(Strategy):\n    def value(self):\n"
            "        with open('/dev/null') as f:\n            return round(1.5), len(f.read())\n"
        )
        module = _capture(execute, "Hides")
    finally:
        execute("del round")
    assert "IPython" not in module.text
    assert _run_fresh(module, tmp_path, "m.Hides.value(None)") == ["mine", 0]


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("THING = object()", "object"),
        ("THING = [1, object()]", "list"),
        ("import pandas as pd\nTHING = pd.DataFrame()", "DataFrame"),
        ("THING = lambda: 1", None),
    ],
)
def test_value_that_cannot_be_written_down_is_named(execute: Execute, cell: str, kind: str | None) -> None:
    execute(cell)
    execute("class Bound(Strategy):\n    def value(self):\n        return THING\n")
    printed = execute("show(Bound)")
    if kind is None:
        assert printed.startswith("REFUSED the source of '<lambda>' cannot be found")
    else:
        assert printed.startswith(
            f"REFUSED the strategy uses 'THING', a {kind} of the notebook; expected classes"
        )
    assert len(printed.splitlines()) == 1


def test_module_that_lies_beside_the_notebook_is_refused(execute: Execute) -> None:
    for cell, name in (
        ("import beside", "beside"),
        ("from beside import compute as work", "work"),
        ("from beside import VALUE as worth", "worth"),
    ):
        execute(cell)
        execute(f"class Beside(Strategy):\n    def value(self):\n        return {name}\n")
        printed = execute("show(Beside)")
        assert printed.startswith(
            f"REFUSED the strategy uses '{name}' of the module 'beside', which lies beside"
        )


def test_cell_with_magics_is_captured_without_them(execute: Execute, tmp_path: Path) -> None:
    execute("%time STILL = 5\n!true\nclass Magical(Strategy):\n    def value(self):\n        return STILL\n")
    module = _capture(execute, "Magical")
    assert _run_fresh(module, tmp_path, "m.Magical.value(None)") == 5
    assert "magic" not in module.text


def test_class_without_source_is_refused(execute: Execute) -> None:
    execute("Sourceless = type('Sourceless', (Strategy,), {})")
    assert execute("show(Sourceless)").startswith("REFUSED the source of 'Sourceless' cannot be found")


def test_constants_keep_their_value_and_text(execute: Execute, tmp_path: Path) -> None:
    execute(
        "from decimal import Decimal as D\n"
        "VALUES = [1, -2.5, 'ü\\n', b'x', None, True, (1,), {3, 1, 2}, frozenset({'b', 'a'}), float('inf'),"
        " D('1.10'), {1: {'a': ...}}, [], set()]\n"
    )
    execute("class Constant(Strategy):\n    def value(self):\n        return VALUES\n")
    module = _capture(execute, "Constant")
    assert _capture(execute, "Constant") == module
    expected = execute(
        "print([sorted(v, key=repr) if isinstance(v, (set, frozenset)) else v for v in VALUES])"
    )
    found = _run_fresh(
        module,
        tmp_path,
        "repr([sorted(v, key=repr) if isinstance(v, (set, frozenset)) else v for v in m.Constant.value(None)])",
    )
    assert found == expected.strip()


def test_equal_sets_have_one_text_in_whatever_order_they_were_made(execute: Execute) -> None:
    execute("class Unordered(Strategy):\n    def value(self):\n        return NUMBERS\n")
    execute("NUMBERS = {0, 8}")
    assert execute("print([*{0, 8}] != [*{8, 0}])") == "True\n"
    first = _capture(execute, "Unordered")
    execute("NUMBERS = {8, 0}")
    assert _capture(execute, "Unordered") == first


def test_class_of_a_script_is_captured_from_its_file(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(PREPARE + "\n\nclass Scripted(Strategy):\n    NUMBER = 7\n\n\nshow(Scripted)\n")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, cwd=tmp_path, check=True
    )
    assert done.stdout.startswith(MODULE_PREFIX)
    assert "class Scripted(Strategy):\n    NUMBER = 7" in done.stdout
    assert "show" not in done.stdout


def test_file_is_captured_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text('"""Größe."""\nimport json\nfrom decimal import Decimal\n\nA = 1\n')
    module = capture_file(path)
    assert module.text == path.read_text()
    assert re.fullmatch(MODULE_PREFIX + "[0-9a-f]{16}", module.name)
    assert capture_file(path) == module
    path.write_text(path.read_text().replace("1", "2"))
    assert capture_file(path).name != module.name
    written = module.write(tmp_path / "kept")
    assert SourceModule.from_captured(written) == module
    stamp = written.stat().st_mtime_ns
    module.write(tmp_path / "kept")
    assert written.stat().st_mtime_ns == stamp
    assert [p.name for p in (tmp_path / "kept").iterdir()] == [written.name]


@pytest.mark.parametrize(
    "statement",
    [
        "import sibling",
        "from sibling import A",
        "from . import sibling",
        "import package.part",
        "from .a import b",
    ],
)
def test_file_that_imports_what_lies_beside_it_is_refused(tmp_path: Path, statement: str) -> None:
    (tmp_path / "sibling.py").touch()
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    path = tmp_path / "mine.py"
    path.write_text(f"A = 1\n\n\ndef late():\n    {statement}\n")
    with pytest.raises(ConfigError, match=r"mine\.py, line 5: imports .* lies beside it"):
        capture_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"A = 1\nB = (\n", "line 2: '\\(' was never closed"),
        (b"A = 1\n\ndef f(:\n", "line 3"),
        (b"# -*- coding: nonsense -*-\n", "nonsense"),
        (b"A = '\xff'\n", r"mine\.py"),
        (b"A = 1\x00\n", r"mine\.py"),
    ],
)
def test_file_that_is_no_python_names_the_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        capture_file(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no strategy file"):
        capture_file(tmp_path / "none.py")
    with pytest.raises(NotFoundError, match="there is no strategy file"):
        capture_file(tmp_path)


def test_class_of_this_module_is_captured_with_its_helpers() -> None:
    text = capture_class(_Local).text
    assert "class _Local" in text
    assert "PREPARE" not in text
    assert "def _answer" in text


def _answer() -> int:
    return 42


class _Local:
    def value(self) -> int:
        return _answer()
