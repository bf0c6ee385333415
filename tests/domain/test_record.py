"""Records: equal by what they say, fit for sets, and frozen by the type checker."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tests.domain.given import JANE
from tests.load.prepare import ROOT

CHANGES = """
from server.domain.records import Binding

def change(binding: Binding) -> None:
    binding.net_rate = 3
"""


def test_records_that_say_the_same_are_the_same() -> None:
    twin, other = replace(JANE.address), replace(JANE.address, line1="Elsewhere")
    assert twin is not JANE.address
    assert {JANE.address, twin, other} == {twin, other}


def test_a_record_that_is_changed_does_not_pass_the_type_checker(tmp_path: Path) -> None:
    file = tmp_path / "changes.py"
    file.write_text(CHANGES)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (checked.returncode, '"net_rate" defined in "Binding" is read-only' in checked.stdout) == (1, True), checked
