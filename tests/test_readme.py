"""The README's commands, run as they stand: only ports, addresses and paths are replaced.

A block of bash is typed into one session, in order, against a server that runs as `make run` would; a block of json
or text right below one is what it prints. Ids and the present time are compared by where they recur. Every other
block has a test of its own, or is named in ELSEWHERE.
"""

import asyncio
import difflib
import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from optin.v1 import assignment_service_pb2 as assignments_pb
from optin.v1 import assignment_service_pb2_grpc
from optin.v1 import resources_pb2 as pb

from server.config import Settings
from tests.support.client import Client
from tests.support.ports import free_port
from tests.support.postgres import PostgresCluster

pytestmark = pytest.mark.xdist_group("readme")  # one walk, in one worker

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
ADDRESS = "127.0.0.1:50051"
HTTP_ADDRESS = "127.0.0.1:8080"
DATABASE = "postgresql+asyncpg://optin:secret@db.example.com/optin"
PROGRAM = "assign.py"
SECONDS = 60
MARK = "=== end of block ==="

ELSEWHERE = {
    "make run\n": "test_make_run_serves",
    "make test\n": "what runs this test",
    "pip install ./generated\n": "the tests of the contract",
    "optin fake-carrier --port 50061 --fault declines\n": "test_a_remote_carrier_is_asked",
    "optin serve --carrier grpc://127.0.0.1:50061\n": "test_a_remote_carrier_is_asked",
    f"export OPTIN_DATABASE_URL={DATABASE}\noptin migrate\n": "test_postgresql_is_migrated_and_served",
    "optin serve\n": "test_postgresql_is_migrated_and_served",
}
TLS = "test_tls_as_it_stands_there"
SERVES_TLS = "optin serve --environment production --tls-cert server.pem --tls-key server-key.pem\n"


@dataclass(frozen=True, kw_only=True)
class Block:
    line: int
    language: str
    text: str
    follows: str  # the language of the block that it stands right below, if any

    @property
    def is_of_tls(self) -> bool:
        """Run by a test of its own, over another server."""
        return "server.pem" in self.text or "ca.pem" in self.text or "openssl" in self.text

    @property
    def is_typed(self) -> bool:
        return self.language == "bash" and self.text not in ELSEWHERE and not self.is_of_tls

    @property
    def is_answer(self) -> bool:
        return self.language in ("json", "text") and self.follows == "bash"

    @property
    def is_program(self) -> bool:
        return self.language == "python" and not self.is_follower and not self.is_of_tls

    @property
    def is_follower(self) -> bool:
        """Run by the tests of events."""
        return self.language == "python" and self.text.startswith("async def follow(")

    @property
    def is_drawing(self) -> bool:
        return self.language == "" and "domain/" in self.text

    @property
    def is_covered(self) -> bool:
        named = self.language == "bash" and self.text in ELSEWHERE
        run = self.is_typed or self.is_answer or self.is_program or self.is_follower or self.is_of_tls
        return named or run or self.is_drawing


def blocks(markdown: str) -> Iterator[Block]:
    previous_end, previous_language = 0, ""
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL):
        follows = "" if markdown[previous_end : found.start()].strip() else previous_language
        line = markdown.count("\n", 0, found.start()) + 1
        yield Block(line=line, language=found[1], text=found[2], follows=follows)
        previous_end, previous_language = found.end(), found[1]


BLOCKS = list(blocks(README))
TYPED = [block for block in BLOCKS if block.is_typed]


def printed(block: Block) -> str:
    """What the README says that a block prints: the block below it, or nothing."""
    below = next(iter(BLOCKS[BLOCKS.index(block) + 1 :]), None)
    return below.text if below and below.is_answer else ""


class Normal:
    """Texts with ids numbered as they first appear, and without what depends on the present time."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __call__(self, text: str) -> str:
        text = re.sub(r"\b[0-9A-HJKMNP-TV-Z]{26}\b|(?<=_)[0-9A-HJKMNP-TV-Z]{26}\b", self._number, text)
        text = re.sub(r"(?<=/apply/)[\w.-]+", "<a link>", text)
        text = re.sub(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"', '"<a time with a fraction: some present one>"', text)
        return text.strip()

    def _number(self, found: re.Match[str]) -> str:
        return f"#{self._numbers.setdefault(found[0], len(self._numbers) + 1)}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clone, as far as the walk looks at it."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def environment(**settings: str) -> dict[str, str]:
    """Of a terminal whose owner has set nothing of Optin's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OPTIN_")}
    return clean | {"PATH": f"{sys.prefix}/bin:{os.environ['PATH']}"} | settings


@contextmanager
def terminal(command: str, folder: Path, **settings: str) -> Iterator[str]:
    """Types a command that serves; gives the server's first line, and ends it as Ctrl-C does."""
    with (
        (folder / "errors").open("w") as errors,
        subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=folder,
            env=environment(**settings),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as server,
    ):
        assert server.stdout
        try:
            yield server.stdout.readline()
        finally:
            server.send_signal(signal.SIGINT)
            server.stdout.read()
    assert server.returncode == 0, (folder / "errors").read_text()


@pytest.fixture(scope="module")
def http_address() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def address(folder: Path, http_address: str) -> Iterator[str]:
    port = free_port()
    http_port = http_address.rpartition(":")[2]
    with terminal("optin serve", folder, OPTIN_PORT=str(port), OPTIN_HTTP_PORT=http_port) as first_line:
        assert first_line.endswith(f"listens on 127.0.0.1:{port}\n"), (folder / "errors").read_text()
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def answers(folder: Path, address: str, http_address: str) -> list[str]:
    """What each typed block printed, both streams as on a terminal."""
    for block in BLOCKS:
        if block.is_program:
            (folder / PROGRAM).write_text(block.text.replace(ADDRESS, address))
    typed = [block.text.replace(ADDRESS, address).replace(HTTP_ADDRESS, http_address) for block in TYPED]
    walk = "".join(f"{text}echo '{MARK}'\n" for text in typed)
    done = subprocess.run(
        ["bash"],
        input=f"exec 2>&1\n{walk}",
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    return done.stdout.replace(address, ADDRESS).replace(http_address, HTTP_ADDRESS).split(f"{MARK}\n")[:-1]


def test_every_block_is_covered() -> None:
    assert [f"README.md:{block.line}" for block in BLOCKS if not block.is_covered] == []


def test_nothing_is_covered_that_is_gone() -> None:
    assert ELSEWHERE.keys() <= {block.text for block in BLOCKS}
    assert sum(block.is_program for block in BLOCKS) == 1
    assert any(f"python {PROGRAM} " in block.text for block in TYPED)


def test_the_walk_answers_as_printed(answers: list[str]) -> None:
    promised, real = Normal(), Normal()
    differences = [
        difflib.unified_diff(
            promised(printed(block)).splitlines(),
            real(answer).splitlines(),
            f"README.md, below line {block.line}",
            "real answer",
            lineterm="",
        )
        for block, answer in zip(TYPED, answers, strict=True)
    ]
    assert "\n".join(itertools.chain(*differences)) == ""


def test_the_walk_shows_the_outcomes_of_the_guide(answers: list[str]) -> None:
    outcomes = re.findall(r'^  "outcome": "BINDING_OUTCOME_(\w+)"', "".join(answers), re.MULTILINE)
    assert outcomes == ["COVERAGE_BOUND", "COVERAGE_REUSED", "STANDARD_WORKFLOW"]


def test_make_run_serves() -> None:
    done = subprocess.run(["make", "-n", "run"], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert ".venv/bin/optin serve --http-port 8080" in done.stdout.splitlines()


def test_every_target_named_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)`", README)) | set(re.findall(r"^make ([a-z]+)$", README, re.MULTILINE))
    assert named <= targets


def test_the_settings_are_those_of_the_server() -> None:
    rows = re.findall(r"^\| `OPTIN_(\w+)` \| (.+?) \|", README, re.MULTILINE)
    defaults = {name.lower(): value for name, value in rows}
    assert defaults.keys() == Settings.model_fields.keys()
    given = {name: value.strip("`") for name, value in defaults.items() if value.count("`") == 2}
    assert Settings.model_validate(given) == Settings.model_construct()


def test_every_outcome_reason_and_error_is_in_a_table() -> None:
    from optin.v1.error_reason_pb2 import ErrorReason

    named = set(re.findall(r"`([A-Z][A-Z_]+)`", "".join(re.findall(r"^\|.*$", README, re.MULTILINE))))
    for prefix, enum in (("BINDING_OUTCOME_", pb.BindingOutcome), ("BINDING_REASON_", pb.BindingReason)):
        assert {name.removeprefix(prefix) for name in enum.keys()[1:]} <= named
    assert {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()[1:]} <= named


def test_postgresql_is_migrated_and_served(folder: Path, postgres: PostgresCluster) -> None:
    migrate, serve = (block.text for block in BLOCKS if block.text in list(ELSEWHERE)[-2:])
    url = postgres.create_database()
    done = subprocess.run(
        ["bash", "-ec", migrate.replace(DATABASE, url)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert "has the schema of version" in done.stdout
    with terminal(serve, folder, OPTIN_DATABASE_URL=url, OPTIN_PORT=str(free_port())) as first_line:
        assert "listens on" in first_line


async def test_a_remote_carrier_is_asked(folder: Path) -> None:
    carrier, serve = (block.text for block in BLOCKS if "50061" in block.text and block.language == "bash")
    carrier_port, port = str(free_port()), str(free_port())
    with terminal(carrier.replace("50061", carrier_port), folder) as first_line:
        assert carrier_port in first_line
        another = "sqlite+aiosqlite:///data/another.db"  # the walk's server may be running
        with terminal(serve.replace("50061", carrier_port), folder, OPTIN_PORT=port, OPTIN_DATABASE_URL=another):
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                client = Client(channel)
                jane, job = await client.opted_in(), await client.job()
                declined = await client.assign(jane.id, job.id)
    assert declined.outcome == pb.BINDING_OUTCOME_BINDING_FAILED
    assert list(declined.assignment.binding.reasons) == [pb.BINDING_REASON_CARRIER_DECLINED]


CALL = """
import asyncio
import os
from pathlib import Path

import grpc
from optin.v1.job_service_pb2 import ListJobsRequest
from optin.v1.job_service_pb2_grpc import JobServiceStub

key = os.environ["KEY"]


async def main():
{block}
    print(await JobServiceStub(channel).ListJobs(ListJobsRequest(), metadata={metadata}))
    print("called")
    await channel.close()


asyncio.run(main())
"""


def typed(folder: Path, text: str, **settings: str) -> str:
    done = subprocess.run(
        ["bash", "-e"],
        input=text,
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tls_as_it_stands_there(tmp_path: Path) -> None:
    certificates, serve, by_key, program, by_name, shown = (block.text for block in BLOCKS if block.is_of_tls)
    [keys] = [block.text for block in BLOCKS if "optin platform create" in block.text]
    assert serve == SERVES_TLS
    typed(tmp_path, certificates)
    made = typed(tmp_path, "".join(keys.splitlines(keepends=True)[:2]) + 'echo "$PLATFORM $KEY"')
    platform, key = made.split()
    port = str(free_port())
    known = {"PLATFORM": platform, "KEY": key, "OPTIN_PORT": port}

    def call(block: str, metadata: str) -> str:
        lines = "".join(f"    {line}\n" for line in block.replace("50051", port).splitlines())
        (tmp_path / "call.py").write_text(CALL.format(block=lines, metadata=metadata))
        return typed(tmp_path, f"{sys.executable} call.py", **known)

    with terminal(serve, tmp_path, **known) as first_line:
        assert "listens on" in first_line
        assert "optin.v1.JobService" in typed(tmp_path, by_key.replace("50051", port), **known)
        assert "called" in call(program, '[("authorization", f"Bearer {key}")]')
    with terminal(f"{serve.strip()} --tls-client-ca ca.pem", tmp_path, **known):
        assert "optin.v1.JobService" in typed(tmp_path, by_name.replace("50051", port), **known)
        assert "called" in call(shown, "[]")


class FailsTwice(assignment_service_pb2_grpc.AssignmentServiceServicer):
    """A server whose database is away for two calls."""

    def __init__(self) -> None:
        self.request_ids: list[str] = []

    async def CreateAssignment(self, request, context):  # type: ignore[no-untyped-def]
        self.request_ids.append(request.request_id)
        if len(self.request_ids) <= 2:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "The database cannot be reached at the moment.")
        return assignments_pb.CreateAssignmentResponse(outcome=pb.BINDING_OUTCOME_COVERAGE_REUSED)


async def test_the_program_tries_again_under_one_request_id(tmp_path: Path) -> None:
    [program] = [block.text for block in BLOCKS if block.is_program]
    service = FailsTwice()
    server = grpc.aio.server()
    assignment_service_pb2_grpc.add_AssignmentServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    (tmp_path / PROGRAM).write_text(program.replace(ADDRESS, f"127.0.0.1:{port}"))
    child = await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, "cn_1", "jb_1", cwd=tmp_path, env=environment(), stdout=subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(child.communicate(), SECONDS)
    await server.stop(None)
    assert output.decode().split() == ["BINDING_OUTCOME_COVERAGE_REUSED"]
    assert len(service.request_ids) == 3
    assert len(set(service.request_ids)) == 1
    assert service.request_ids[0]
