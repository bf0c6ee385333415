"""The secret that signs links, where a sandbox on SQLite makes its own."""

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server import linked
from server.config import SHORTEST_SECRET, Settings
from server.linked import BadLinkSecret, links_of
from tests.server.process import optin
from tests.web.conftest import Serving
from tests.web.page.person import Person
from tests.web.page.test_way import opt_in


def own_settings(folder: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{folder}/optin.db")


async def test_it_lasts(serve_http: Serving, tmp_path: Path) -> None:
    async with serve_http(link_secret="") as house:
        session = await opt_in(house.client)
    file = tmp_path / "optin.db.link-secret"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert re.fullmatch(r"[0-9a-f]{64}\n", file.read_text())
    async with serve_http(database_url=house.url, link_secret="") as again:
        page = await Person(again.http.port).opens(urlsplit(session.url).path)
        assert page.status == 200
    async with serve_http(database_url=house.url) as changed:
        assert (await Person(changed.http.port).opens(urlsplit(session.url).path)).status == 404


@pytest.mark.parametrize("step", ["write", "fsync", "link"])
def test_a_crash_leaves_none_or_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as crashing:
        if step == "write":
            crashing.setattr(linked.secrets, "token_hex", crash)
        else:
            crashing.setattr(os, step, crash)
        with pytest.raises(KeyboardInterrupt):
            links_of(own_settings(tmp_path), 1)
    assert not (tmp_path / "optin.db.link-secret").exists()
    assert links_of(own_settings(tmp_path), 1)
    assert [file.name for file in tmp_path.iterdir()] == ["optin.db.link-secret"]


def test_servers_that_start_at_once_have_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as servers:
        made = [made for made in servers.map(lambda _: links_of(own_settings(tmp_path), 1), range(8)) if made]
    assert len({links.mark("browser", "session") for links in made}) == 1


@pytest.mark.parametrize("kept", ["", "\n", "x" * (SHORTEST_SECRET - 1)])
def test_one_that_could_be_guessed_is_refused(tmp_path: Path, kept: str) -> None:
    file = tmp_path / "optin.db.link-secret"
    file.write_text(kept)
    with pytest.raises(BadLinkSecret):
        links_of(own_settings(tmp_path), 1)
    told = optin("serve", "--port", "0", "--http-port", "0", "--database-url", f"sqlite:///{tmp_path}/optin.db")
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == (
        f"{file} should have a secret of at least {SHORTEST_SECRET} characters, or others could sign links to "
        "contractors' pages; delete it, and another is made, with which links made before open nothing.\n"
    )
