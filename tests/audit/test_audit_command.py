"""`optin audit`, as an operator runs it."""

import re
import subprocess
from pathlib import Path

import pytest

from server.commands.audit import MOST_PRINTED
from tests.audit.conftest import SOON, Kept
from tests.server.process import optin, served

CLEAN = (
    r"no findings; 9 contractors, 16 policies, 19 assignments, 5 requests, "
    r"[0-9]+ events, [0-9]+ trail entries in [0-9.]+ s\n"
)
NOW = SOON.isoformat()


def audited(kept: Kept, *arguments: str) -> subprocess.CompletedProcess[str]:
    return optin("audit", "--database-url", kept.url, *arguments)


def test_a_database_that_is_as_it_should_be(kept: Kept) -> None:
    done = audited(kept, "--now", NOW)
    assert done.returncode == 0, done
    assert re.fullmatch(CLEAN, done.stdout)
    assert done.stderr == ""


async def test_each_finding_is_a_line(sqlite_kept: Kept) -> None:
    await sqlite_kept.corrupt(["UPDATE assignments SET decision = 9 WHERE id = '{bound}'"])
    done = audited(sqlite_kept, "--now", NOW)
    assert done.returncode == 1
    line, summary = done.stdout.splitlines()
    assert line == f"assignment-shows-its-last-decision: {sqlite_kept.names['bound']}"
    assert summary.startswith("1 finding; 9 contractors, ")


async def test_only_so_many_are_printed(sqlite_kept: Kept) -> None:
    await sqlite_kept.corrupt(
        [
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 60) "
            "INSERT INTO emails (platform, email_folded, contractor) SELECT 'pf_default', n, 'x' FROM n"
        ]
    )
    done = audited(sqlite_kept, "--now", NOW)
    assert done.returncode == 1
    *lines, more, summary = done.stdout.splitlines()
    assert lines == ["email-is-held-by-a-live-contractor: x"] * MOST_PRINTED
    assert more == f"and {60 - MOST_PRINTED} more"
    assert summary.startswith("60 findings; ")


@pytest.mark.parametrize(
    ("now", "limit", "code"),
    [
        ("2026-11-22T12:00:00", "1s", 0),
        ("2026-11-22T12:00:00+00:00", "1s", 0),
        ("2026-11-23T00:00:00Z", "1s", 1),
        ("2026-11-23T00:00:00Z", "24h", 0),
    ],
)
def test_the_clock_and_the_carrier_limit_tell_what_is_overdue(
    sqlite_kept: Kept, now: str, limit: str, code: int
) -> None:
    """The lease ends a few hours after noon."""
    done = audited(sqlite_kept, "--now", now, "--carrier-timeout", limit)
    assert done.returncode == code, done.stdout
    assert done.stdout.startswith(f"pending-policy-is-in-time: {sqlite_kept.names['pending']}\n") == bool(code)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--database-url", "sqlite:///none.db"), "sqlite:///none.db cannot be reached"),
        (("--database-url", "postgresql+asyncpg://optin:canary@127.0.0.1:1/optin"), "optin:***@127.0.0.1:1/optin"),
        (("--database-url", "mysql://x/y"), "--database-url (OPTIN_DATABASE_URL): must be"),
        (("--now", "noon"), "--now: must be a time like"),
        (("--carrier-timeout", "soon"), "--carrier-timeout (OPTIN_CARRIER_TIMEOUT): must be"),
    ],
)
def test_what_it_cannot_do_it_says_in_one_sentence(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = optin("audit", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"[^\n]+\.\n", done.stderr), done.stderr
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_beside_a_server(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        done = optin("audit", cwd=tmp_path)
        assert done.returncode == 0, done
        assert re.fullmatch(r"no findings; .* in [0-9.]+ s\n", done.stdout)
        assert server.end() == 0
