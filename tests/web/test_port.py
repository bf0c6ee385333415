"""The HTTP port, as an operator sees it."""

import asyncio
import json
import re
import socket
import urllib.request
from pathlib import Path

import pytest

from server.api.server import PortTaken
from server.app import running
from server.config import Settings
from server.supervisor import supervised
from tests.conftest import sqlite_copy
from tests.server.process import served
from tests.support.postgres import PostgresCluster
from tests.web.conftest import SECRET


async def test_a_taken_port_is_told_with_its_flag(tmp_path: Path, sqlite_template: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(port=0, http_port=port, database_url=sqlite_copy(sqlite_template, tmp_path))
        with pytest.raises(PortTaken) as refused:
            async with running(settings):
                pass
    assert refused.value.flag == "--http-port"


def test_serve_prints_where_it_is_and_stops(tmp_path: Path) -> None:
    with served(tmp_path, "--port", "0", "--http-port", "0") as server:
        found = re.search(r"^  http +(http://127\.0\.0\.1:\d+)/docs$", server.stdout, re.MULTILINE)
        assert found, server.stdout
        with urllib.request.urlopen(f"{found[1]}/api/v1/openapi.json", timeout=30) as answer:
            assert json.load(answer)["openapi"] == "3.1.0"
        assert server.end() == 0
    assert "Traceback" not in server.stderr


async def test_workers_share_it(postgres: PostgresCluster, postgres_template: str) -> None:
    url = postgres.create_database(template=postgres_template)
    settings = Settings(port=0, http_port=0, database_url=url, workers=2, link_secret=SECRET)
    async with supervised(settings) as server:
        assert server.http_port
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", server.http_port)).close()
        address = f"http://127.0.0.1:{server.http_port}/api/v1/jobs"
        answers = [await asyncio.to_thread(urllib.request.urlopen, address, None, 30) for _ in range(8)]
        assert [answer.read() for answer in answers] == [b"[]"] * 8
