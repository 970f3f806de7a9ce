"""Servers on loopback for a computer behind a proxy: an HTTPS server, a SOCKS server, a proxy that inspects HTTPS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trustme

# A name that no resolver knows: only a proxy leads there.
HOST = "cloud.test"
OK = b'{"status": 0, "body": {"devices": []}}'

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ENVIRONMENT = (
    *(f"{kind}_PROXY" for kind in ("HTTP", "HTTPS", "ALL", "NO")),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"),
)


def save_certificate(authority: trustme.CA, folder: Path) -> Path:
    """The authority's root certificate as a PEM file."""
    path = folder / "root.pem"
    authority.cert_pem.write_to_path(path)
    return path


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """The TLS context of a server with a certificate of this authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@asynccontextmanager
async def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve each connection with `serve` while the context lasts; the port."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (OSError, EOFError):
            pass  # the other side has gone
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


class HttpsServer:
    """Answers every request with success; `requests`: their first lines."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(head.splitlines()[0])
        lengths = [line.partition(":")[2] for line in head.splitlines() if line.lower().startswith("content-length")]
        await reader.readexactly(int(lengths[0]) if lengths else 0)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(OK), OK))
        await writer.drain()


class SocksServer:
    """SOCKS 5 (RFC 1928), with a password if one is set (RFC 1929). Every host leads to `port` of this computer."""

    def __init__(self, port: int, password: str = "") -> None:
        self.port, self.password = port, password
        self.hosts: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        version, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        method = 2 if self.password else 0
        if version != 5 or method not in methods:
            writer.write(b"\x05\xff")
            return
        writer.write(bytes((5, method)))
        if self.password:
            await reader.readexactly(1)
            _user, password = [await reader.readexactly((await reader.readexactly(1))[0]) for _ in range(2)]
            writer.write(b"\x01\x00" if password.decode() == self.password else b"\x01\x01")
            if password.decode() != self.password:
                return
        await reader.readexactly(4)  # version, connect, reserved, a name
        self.hosts.append((await reader.readexactly((await reader.readexactly(1))[0])).decode())
        await reader.readexactly(2)
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await forward(reader, writer, *await asyncio.open_connection("127.0.0.1", self.port))


class InspectingProxy:
    """An HTTP proxy that opens the TLS of each tunnel with a certificate of its own and answers as `server` would."""

    def __init__(self, authority: trustme.CA, server: HttpsServer, *, refuse: bytes = b"") -> None:
        self.authority, self.server, self.refuse = authority, server, refuse
        self.heads: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        if self.refuse:
            writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % self.refuse)
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await writer.drain()
        await writer.start_tls(server_context(self.authority, head.split()[1].rpartition(":")[0]))
        await self.server(reader, writer)


async def forward(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()

    await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer), return_exceptions=True)
