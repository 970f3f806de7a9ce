#!/usr/bin/env bash
# httpx 0.28.1 with httpcore 1.0.9 and socksio 1.0.0: a wrong SOCKS proxy raises no httpx error.
#
# Expected: whatever goes wrong on the way to a server is an httpx.HTTPError: ConnectError, ProxyError, a timeout. With
#   an HTTP proxy it is so.
# Seen: ALL_PROXY=socks5://… names a port where something else answers (an HTTP proxy, mostly: the schemes are easily
#   mistaken). socksio raises its ProtocolError, httpcore does not translate it, and httpx passes it on. It is neither
#   httpx.HTTPError nor httpcore's nor OSError: `except httpx.HTTPError` does not see it. A SOCKS server that refuses
#   in proper SOCKS gives httpx.ProxyError, as expected.
# What it means: a program that takes the proxy of its user must catch socksio.SOCKSError, too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -qq --disable-pip-version-check httpx==0.28.1 httpcore==1.0.9 socksio==1.0.0
cat > "$folder/finding.py" <<'PY'
import asyncio

import httpcore
import httpx

NO_METHOD_FITS = b"\x05\xff"
HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


async def raised(scheme, answer):
    """What httpx raises for a proxy that gives this answer."""

    async def proxy(reader, writer):
        await reader.read(1)
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with httpx.AsyncClient(proxy=f"{scheme}://127.0.0.1:{port}", trust_env=False, timeout=5) as client:
            try:
                await client.get("https://cloud.test/")
            except Exception as error:
                return error


cases = {
    "an HTTP proxy that refuses": asyncio.run(raised("http", HTTP)),
    "a SOCKS server that refuses": asyncio.run(raised("socks5", NO_METHOD_FITS)),
    "an HTTP server, called socks5": asyncio.run(raised("socks5", HTTP)),
}
for case, error in cases.items():
    known = isinstance(error, httpx.HTTPError)
    print(f"{case}: {type(error).__module__}.{type(error).__name__}, an httpx.HTTPError: {known}")
first, second, third = cases.values()
as_described = isinstance(first, httpx.ProxyError) and isinstance(second, httpx.ProxyError)
outside = not isinstance(third, httpx.HTTPError | httpcore.NetworkError | httpcore.ProxyError | OSError)
raise SystemExit(0 if as_described and outside and type(third).__module__.startswith("socksio") else 1)
PY
"$folder/venv/bin/python" "$folder/finding.py"
