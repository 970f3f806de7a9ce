"""The check of a callback URL from this computer, against real servers."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme

from installer.notifications import callback_check
from installer.notifications.callback_check import what_head_finds

PATH = "a-path-that-nobody-may-see"


@asynccontextmanager
async def answering(text: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that gives this answer to everybody, and nothing if it is empty; the URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HEAD /" + PATH.encode() + b" ")
        writer.write(text)
        if not text:
            await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"http{'s' if tls else ''}://localhost:{port}/{PATH}"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (200, "gets 200 there, as it should be"),
        (204, "gets 204 there, as it should be"),
        (301, "a redirect"),
        (308, "a redirect"),
        (401, "without a sign-in"),
        (403, "lets nobody in"),
        (404, "the path does not lead to the receiver"),
        (405, "proxy_cache off"),
        (410, "does not lead to the receiver of this program"),
        (502, "the receiver behind it does not"),
        (504, "the receiver behind it does not"),
    ],
)
async def test_the_answer_is_told_with_what_to_do(status: int, words: str) -> None:
    async with answering(f"HTTP/1.1 {status} X\r\nLocation: /{PATH}/x\r\nContent-Length: 0\r\n\r\n".encode()) as url:
        found = await what_head_finds(url)
    assert found.startswith("The cloud sends HTTP HEAD")
    assert words in found
    assert PATH not in found


async def test_no_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert "The address cannot be reached" in await what_head_finds(
            f"http://127.0.0.1:{nobody.getsockname()[1]}/{PATH}"
        )
    async with answering(b"this is no HTTP\r\n\r\n") as url:
        assert "did not answer properly (RemoteProtocolError)" in await what_head_finds(url)
    monkeypatch.setattr(callback_check, "CHECK_SECONDS", 0.1)
    async with answering(b"") as url:
        assert "did not answer properly (TimeoutError)" in await what_head_finds(url)


async def test_a_certificate_that_this_computer_does_not_know_is_told() -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA(organization_name="My own authority").issue_cert("localhost").configure_cert(tls)
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n", tls) as url:
        found = await what_head_finds(url)
    assert "a certificate of “My own authority” that this computer does not trust" in found
    assert PATH not in found
