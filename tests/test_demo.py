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
        heading, *lines = text.rstrip().splitlines()
        columns = [found.start() for found in re.finditer(r"STEP|CALL|WHAT CAME BACK|OUTCOME|POLICY", heading)]
        self.rows: list[Row] = []
        self.notes: list[str] = []
        for line in lines:
            if line[columns[1] :].startswith(" "):
                self.notes[-1] = f"{self.notes[-1]} {line.strip()}".strip()
                continue
            cells = [line[a:b].strip() for a, b in zip(columns, [*columns[1:], None], strict=True)]
            self.rows.append(Row(*cells))
            self.notes.append("")

    def assignments(self) -> list[tuple[Row, str]]:
        return [pair for pair in zip(self.rows, self.notes, strict=True) if pair[0].call == "CreateAssignment"]


class Ran(NamedTuple):
    table: Table  # of the guide's four steps
    quote: Table  # of where the opt-in does not apply
    page: Table  # by HTTP
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
    left_behind = [path for path in folder.rglob("*") if path != folder / "tmp"]
    tables = re.findall(r"^STEP.*?(?=\n\n|\Z)", done.stdout, re.MULTILINE | re.DOTALL)
    first, second, third = map(Table, tables)
    return Ran(first, second, third, done.stderr, left_behind)


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


def test_the_second_story_falls_back_is_quoted_applied_for_covered_and_cancelled(ran: Ran) -> None:
    rows = {row.step.partition(" ")[2]: row for row in ran.quote.rows if row.step}
    assert list(rows) == [
        *(
            "contractor",
            "a job",
            "fall-back",
            "quote",
            "application",
            "covered",
            "again",
            "extended",
            "cancelled",
            "events",
        ),
    ]
    waiting, covered, again = rows["fall-back"], rows["covered"], rows["again"]
    assert (waiting.outcome, waiting.policy) == ("STANDARD_WORKFLOW", "none")
    assert rows["quote"].came_back.endswith("OPEN, $2.50 per $100 of pay")
    assert [row.came_back for row in ran.quote.rows if row.call == "SubmitApplicationStep"][
        -1
    ] == "APPLICATION_COMPLETE"
    assert (covered.outcome, covered.came_back) == ("COVERAGE_BOUND", waiting.came_back)
    assert (again.outcome, again.policy) == ("COVERAGE_REUSED", covered.policy)
    assert (rows["extended"].outcome, rows["extended"].policy) == (covered.outcome, covered.policy)
    assert rows["extended"].came_back != covered.came_back
    assert rows["cancelled"].came_back.endswith("CANCELLED: no longer needed")


def test_the_second_story_ends_with_what_a_watcher_saw(ran: Ran) -> None:
    rows = {row.step.partition(" ")[2]: row for row in ran.quote.rows if row.step}
    told = f"{rows['events'].came_back} {ran.quote.notes[-1]}".split()
    assert told[1::2] == [
        "assignment.created",
        "quote.created",
        "application_session.started",
        "policy.active",
        "quote.issued",
        "assignment.covered",
        "application_session.completed",
        "assignment.created",
        "assignment.extended",
        "assignment.cancelled",
    ]
    assert told[0] == told[-2] == rows["fall-back"].came_back.split()[0]


def test_is_quiet_and_leaves_nothing_behind(ran: Ran) -> None:
    assert ran.errors == ""
    assert ran.left_behind == []


def test_the_page_is_filled_in_by_its_forms(ran: Ran) -> None:
    assert [row.call for row in ran.page.rows][3:] == [
        "POST /contractors",
        "POST /apply/sessions",
        "information",
        "questions",
        "documents",
        "submit",
        "and out",
        "POST /assignments",
        "POST /assignments",
    ]
    assert ran.page.rows[8].came_back == "Check and submit your application"
    assert ran.page.rows[9].came_back == "https://yourapp.com/success"
    first, second = ran.page.rows[-2:]
    assert (first.outcome, second.outcome) == ("COVERAGE_BOUND", "COVERAGE_REUSED")
    assert first.policy == second.policy
