"""TLS of the gRPC port, certificates of clients, and what a connection may do."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc import StatusCode

from server.api import limits, tls
from server.app import running
from server.config import Settings
from server.domain.callers import Role
from tests.access.calls import code_of, listing
from tests.conftest import Clock, sqlite_copy
from tests.server.process import optin
from tests.support.client import Client
from tests.support.keys import made_key, made_platform, sends
from tests.support.pki import SERVER, Pki


@pytest.fixture
def url(tmp_path: Path, sqlite_template: Path) -> str:
    return sqlite_copy(sqlite_template, tmp_path)


@asynccontextmanager
async def serving(url: str, **settings: Any) -> AsyncIterator[int]:
    async with running(Settings(port=0, database_url=url, **settings), clock=Clock()) as server:
        yield server.port


async def outcome(port: int, credentials: grpc.ChannelCredentials, *keys: Any) -> StatusCode:
    """Of one call, over a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channel = grpc.aio.secure_channel(f"{SERVER}:{port}", credentials, options=options, interceptors=keys)
    async with channel:
        return await code_of(listing(Client(channel)))


async def test_calls_are_encrypted_and_production_takes_them(pki: Pki, url: str) -> None:
    keys = sends(await made_key(url))
    settings = Settings(environment="production", **pki.settings())
    assert settings.refusal == ""
    async with serving(url, environment="production", **pki.settings()) as port:
        assert await outcome(port, pki.client()) is StatusCode.UNAUTHENTICATED
        assert await outcome(port, pki.client(), *keys) is StatusCode.OK
        assert await outcome(port, pki.client(ca=trustme.CA()), *keys) is StatusCode.UNAVAILABLE
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", interceptors=keys) as channel:
            assert await code_of(listing(Client(channel))) is StatusCode.UNAVAILABLE


async def test_replaced_certificates_are_taken_up_and_bad_ones_are_not(
    pki: Pki, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tls, "LOOK_SECONDS", 0.0)
    another = trustme.CA()
    async with serving(url, **pki.settings()) as port:
        (pki.folder / "cert.pem").write_text("half-written")
        assert await outcome(port, pki.client()) is StatusCode.OK
        assert await outcome(port, pki.client()) is StatusCode.OK
        assert capsys.readouterr().out.count("certificates stay as they were") == 1
        pki.write(another)
        assert await outcome(port, pki.client(ca=another)) is StatusCode.OK
        assert await outcome(port, pki.client()) is StatusCode.UNAVAILABLE


async def test_a_certificate_is_a_key_where_clients_have_to_show_one(pki: Pki, url: str) -> None:
    platform = await made_platform(url)
    await made_key(url, platform, Role.READER, certificate="acme.example")
    async with serving(url, **pki.settings(mutual=True)) as port:
        assert await outcome(port, pki.client("acme.example")) is StatusCode.OK
        assert await outcome(port, pki.client("other.example")) is StatusCode.UNAUTHENTICATED
        assert await outcome(port, pki.client()) is StatusCode.UNAVAILABLE
        secret = await made_key(url)
        async with asyncio.timeout(10):
            while await outcome(port, pki.client("other.example"), *sends(secret)) is not StatusCode.OK:
                await asyncio.sleep(0.05)
        channel = grpc.aio.secure_channel(f"{SERVER}:{port}", pki.client("acme.example"))
        async with channel:
            with pytest.raises(grpc.aio.AioRpcError, match="may not call"):
                await Client(channel).contractor()


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        ("cert.pem", "--tls-cert: {folder}/cert.pem cannot be read (No such file or directory).\n"),
        ("key.pem", "--tls-key: {folder}/key.pem cannot be read (No such file or directory).\n"),
        ("ca.pem", "--tls-client-ca: {folder}/ca.pem cannot be read (No such file or directory).\n"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(pki: Pki, broken: str, sentence: str) -> None:
    (pki.folder / broken).unlink()
    flags = [f"--{name.replace('_', '-')}={path}" for name, path in pki.settings(mutual=True).items()]
    done = optin("serve", "--port", "0", *flags, cwd=pki.folder)
    assert (done.returncode, done.stderr) == (1, sentence.format(folder=pki.folder))


def test_what_is_no_pair_is_said(pki: Pki) -> None:
    files = pki.settings(mutual=True)
    certificates = tls.Certificates(files["tls_cert"], files["tls_key"], files["tls_client_ca"])
    certificates.check()
    files["tls_client_ca"].write_text("nothing")
    with pytest.raises(tls.BadCertificates, match="must be a PEM file of certificates"):
        certificates.check()
    files["tls_key"].write_bytes(pki.ca.issue_cert(SERVER).private_key_pem.bytes())
    with pytest.raises(tls.BadCertificates, match="the key is not the certificate's"):
        certificates.check()
    files["tls_key"].write_text("nothing")
    with pytest.raises(tls.BadCertificates, match="must be PEM files"):
        certificates.check()


def test_files_that_are_replaced_while_they_are_looked_at_are_not_used(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = pki.settings()
    certificates = tls.Certificates(files["tls_cert"], files["tls_key"], None)
    read = tls._read

    def replaced(flag: str, path: Path) -> bytes:
        contents = read(flag, path)
        if flag == "--tls-cert":  # so that the old certificate is read, and the new key
            pki.write()
        return contents

    def gone(flag: str, path: Path) -> bytes:
        contents = read(flag, path)
        path.unlink()
        return contents

    for meanwhile in (replaced, gone):
        monkeypatch.setattr(tls, "_read", meanwhile)
        with pytest.raises(tls.BadCertificates, match="being replaced"):
            certificates.check()
    monkeypatch.setattr(tls, "_read", read)
    pki.write()
    certificates.check()


async def test_who_connects_and_says_nothing_is_let_go(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    others = tuple(option for option in limits.OPTIONS if option[0] != "grpc.server_handshake_timeout_ms")
    assert len(others) == len(limits.OPTIONS) - 1
    monkeypatch.setattr(limits, "OPTIONS", (*others, ("grpc.server_handshake_timeout_ms", 200)))
    async with serving(url) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(10):
            while await reader.read(1_000):  # gRPC's own settings come first
                pass
        writer.close()


async def test_who_pings_all_the_time_is_let_go(url: str) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
    ping = bytes.fromhex("000008060000000000") + bytes(8)
    async with serving(url) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, family=socket.AF_INET)
        writer.write(preface + ping * 20)
        received = b""
        async with asyncio.timeout(10):
            while part := await reader.read(1_000):
                received += part
        assert b"too_many_pings" in received
        writer.close()
