"""What reads notebooks is there without what it does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

READ = """
from pathlib import Path
from workbench.errors import InputError
from workbench.ui.notebook_html import export_notebook_html
try:
    export_notebook_html(Path("no notebook"), Path("page.html"))
except InputError:
    print("refused")
"""
CHECK = """
import sys
print("jsonschema" in sys.modules, "lark" in sys.modules)
import rfc3987_syntax  # Who needs it has it
import jsonschema
print(jsonschema.FormatChecker().conforms("no date", "date"))
"""


@pytest.mark.parametrize(
    ("program", "printed"),
    [("import workbench.jobs.notebook", ""), (READ, "refused\n")],
    ids=["executed", "exported"],
)
def test_notebooks_are_read_without_the_grammar_of_addresses(
    tmp_path: Path, program: str, printed: str
) -> None:
    (tmp_path / "no notebook").write_text("{")
    found = subprocess.run(
        [sys.executable, "-c", program + CHECK], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.stdout == f"{printed}True False\nFalse\n", found.stderr
