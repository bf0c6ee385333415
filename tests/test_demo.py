"""`optin demo`, as a user runs it: the real command, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.xdist_group("demo")  # one run, in one worker

OPTIN = Path(sys.executable).with_name("optin")


class Row(NamedTuple):
    step: str
    call: str
    came_back: str
    outcome: str
    policy: str


class Table:
    """What the demo printed: the rows that have a call, and what stands below each of them."""

    def __init__(self, text: str) -> None:
        lines = text.splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("STEP"))
        columns = [found.start() for found in re.finditer(r"STEP|CALL|WHAT CAME BACK|OUTCOME|POLICY", lines[start])]
        self.rows: list[Row] = []
        self.notes: list[str] = []
        for line in lines[start + 1 :]:
            if line[columns[1] :].startswith(" "):
                self.notes[-1] = f"{self.notes[-1]} {line.strip()}".strip()
                continue
            cells = [line[a:b].strip() for a, b in zip(columns, [*columns[1:], None], strict=True)]
            self.rows.append(Row(*cells))
            self.notes.append("")

    def assignments(self) -> list[tuple[Row, str]]:
        return [pair for pair in zip(self.rows, self.notes, strict=True) if pair[0].call == "CreateAssignment"]


class Ran(NamedTuple):
    table: Table
    errors: str
    left_behind: list[Path]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("demo")
    (folder / "tmp").mkdir()
    settings = {"OPTIN_PORT": "1", "OPTIN_ENVIRONMENT": "production", "OPTIN_SESSION_TTL": "never"}
    done = subprocess.run(
        [OPTIN, "demo"],
        cwd=folder,
        env=os.environ | settings | {"TMPDIR": str(folder / "tmp")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return Ran(Table(done.stdout), done.stderr, [path for path in folder.rglob("*") if path != folder / "tmp"])


def test_takes_the_four_steps_in_order(ran: Ran) -> None:
    calls = [row.call for row in ran.table.rows]
    assert calls == [
        "CreateContractor",
        "CreateJobCategory",
        "ApproveJobCategory",
        "CreateJob",
        "CreateApplicationSession",
        "GetApplicationForm",
        *["SubmitApplicationStep"] * 4,
        "CreateAssignment",
        "CreateAssignment",
        "CreateJob",
        "CreateAssignment",
    ]
    assert [row.step[0] for row in ran.table.rows if row.step] == ["1", "-", "2", "3", "4"]


def test_completes_the_application(ran: Ran) -> None:
    steps = [row.came_back for row in ran.table.rows if row.call == "SubmitApplicationStep"]
    assert steps[-1] == "APPLICATION_COMPLETE"


def test_binds_then_reuses_then_falls_back(ran: Ran) -> None:
    (bound, _), (reused, _), (standard, why) = ran.table.assignments()
    assert [row.outcome for row in (bound, reused, standard)] == [
        "COVERAGE_BOUND",
        "COVERAGE_REUSED",
        "STANDARD_WORKFLOW",
    ]
    assert bound.policy.startswith("pl_")
    assert reused.policy == bound.policy
    assert standard.policy == "none"
    assert why.startswith("WORK_STATE_MISMATCH, JOB_CATEGORY_NOT_APPROVED The standard workflow applies, because ")


def test_uses_the_dates_of_the_guide(ran: Ran) -> None:
    (first, _), *_ = ran.table.assignments()
    assert first.came_back.endswith("CA, 3 to 7 December 2023")


def test_is_quiet_and_leaves_nothing_behind(ran: Ran) -> None:
    assert ran.errors == ""
    assert ran.left_behind == []
