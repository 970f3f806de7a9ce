"""The receiver of notifications behind a real nginx: caching, prefixes, TLS, buffering, slow and odd requests."""

from __future__ import annotations

import asyncio
import gzip
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trustme

from installer.cli.main import _main
from installer.errors import ErrorCode
from installer.notifications import receiver
from installer.notifications.notification import Notification
from tests.flow.support import LabWorld
from tests.flow.test_receiver import Serving, serving, wait_for
from tests.installer.notifications.test_receiver import FORM, PATH, Hook, running
from tests.system.nginx import Nginx, nginx

__all__ = ["serving"]

DOCS = Path(__file__).parents[2] / "docs" / "notifications.md"


def documented(port: int, certificates: Path | None = None) -> str:
    """The server of the documentation, for the receiver at this port; without certificates it speaks HTTP."""
    text = re.findall(r"^```nginx\n(.*?)^```", DOCS.read_text("utf-8"), re.MULTILINE | re.DOTALL)[0]
    for name in ("fullchain.pem", "key.pem"):
        pattern = rf"/etc/ssl/clinic\.example/{name}"
        assert re.search(pattern, text)
        text = re.sub(pattern, str(certificates / name) if certificates is not None else name, text)
    if certificates is None:
        text = re.sub(r"^ *ssl_.*\n", "", text, flags=re.MULTILINE)
    assert "listen 443 ssl;" in text
    assert ":8085;" in text
    listen = "listen 127.0.0.1:PORT ssl;" if certificates is not None else "listen 127.0.0.1:PORT;"
    return text.replace("listen 443 ssl;", listen).replace(":8085;", f":{port};")


def server(location: str) -> str:
    return f"server {{ listen 127.0.0.1:PORT; location /hooks/ {{ {location} }} }}"


# What people have; each reaches the receiver at UPSTREAM. The whole nginx caches (see `nginx.py`).
CONFIGURATIONS = {
    "caching": "proxy_pass http://UPSTREAM;",
    "caching POST": "proxy_pass http://UPSTREAM; proxy_cache_methods POST;",
    "ignoring no-store": (
        "proxy_pass http://UPSTREAM; proxy_cache_methods POST; proxy_ignore_headers Cache-Control Expires;"
    ),
    "HEAD stays HEAD": "proxy_pass http://UPSTREAM; proxy_cache_convert_head off;",
    "the prefix is removed": "proxy_pass http://UPSTREAM/;",
    "another prefix": "proxy_pass http://UPSTREAM/a/b/;",
    "a slash at the end": "rewrite ^(.*[^/])$ $1/ break; proxy_pass http://UPSTREAM;",
    "HTTP 1.1, kept alive": 'proxy_pass http://UPSTREAM; proxy_http_version 1.1; proxy_set_header Connection "";',
    "unbuffered": (
        "proxy_pass http://UPSTREAM; proxy_buffering off; proxy_request_buffering off; proxy_http_version 1.1;"
    ),
    "slow": "proxy_pass http://UPSTREAM; limit_rate 1k; sendfile off;",
    "compressing": "proxy_pass http://UPSTREAM; gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;",
    "forwarding": (
        "proxy_pass http://UPSTREAM; proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr; "
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme; "
        'proxy_set_header Forwarded "for=$remote_addr";'
    ),
}


@asynccontextmanager
async def behind(folder: Path, *locations: str) -> AsyncIterator[tuple[Hook, httpx.AsyncClient, Nginx]]:
    """A receiver, and an nginx in front of it with a server for each location."""
    async with running() as (hook, http):
        servers = [server(one.replace("UPSTREAM", f"127.0.0.1:{hook.port}")) for one in locations]
        with nginx(folder / "nginx", *servers) as proxy:
            yield hook, http, proxy


async def check_everything(hook: Hook, http: httpx.AsyncClient, base: str, name: str) -> None:
    """Every test of the address is answered with 200, every notification arrives once, and others get 404."""
    hook.stored.clear()
    url = f"{base}/hooks/{PATH}"
    for method in ("HEAD", "HEAD", "GET", "OPTIONS", "POST"):
        for end in ("", "/", "?foo=bar"):
            assert (await http.request(method, url + end)).status_code == 200, (name, method, end)
    for number in (1, 2, 4):
        answer = await http.post(url, data={**FORM, "appli": str(number)}, headers={"X-Forwarded-For": "192.0.2.1"})
        assert (answer.status_code, answer.content) == (200, b""), name
    assert hook.stored == [Notification("7", number, 100, 101) for number in (1, 2, 4)], name
    spoofed = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https", "X-Original-URL": f"/{PATH}"}
    for method in ("HEAD", "GET", "POST", "PUT"):
        for wrong in ("/hooks/", "/hooks/other", f"/hooks/{PATH}/other", f"/{PATH}"):
            assert (await http.request(method, base + wrong, headers=spoofed)).status_code in (404, 405), (name, wrong)
    assert len(hook.stored) == 3


async def test_every_configuration_lets_tests_and_notifications_through(tmp_path: Path) -> None:
    async with behind(tmp_path, *CONFIGURATIONS.values()) as (hook, http, proxy):
        for name, port in zip(CONFIGURATIONS, proxy.ports, strict=True):
            await check_everything(hook, http, f"http://127.0.0.1:{port}", name)


async def test_the_documented_server_works_with_its_certificate_and_logs_no_path(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    for part in certificate.cert_chain_pems:
        part.write_to_path(tmp_path / "fullchain.pem", append=True)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    async with running() as (hook, _):
        with nginx(tmp_path / "nginx", documented(hook.port, tmp_path)) as proxy:
            base = f"https://localhost:{proxy.ports[0]}"
            async with httpx.AsyncClient(trust_env=False, verify=trust, timeout=20) as http:
                await check_everything(hook, http, base, "documented")
                too_long = await http.post(f"{base}/hooks/{PATH}", data={**FORM, "x": "x" * 9000})
                assert too_long.status_code == 413
    assert f"/hooks/{PATH}" not in proxy.logs()


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.parametrize("buffered", [True, False])
async def test_odd_requests(tmp_path: Path, buffered: bool) -> None:
    async with behind(tmp_path, CONFIGURATIONS["caching" if buffered else "unbuffered"]) as (hook, http, proxy):
        url = f"http://127.0.0.1:{proxy.ports[0]}/hooks/{PATH}"
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        chunked = await http.post(url, content=chunks(b"userid=7&", b"appli=4"), headers=form)
        empty = await http.post(url, content=chunks(), headers=form)
        packed = gzip.compress(b"userid=7&appli=2")
        compressed = await http.post(url, content=packed, headers={**form, "Content-Encoding": "gzip"})
        much_before_it = await http.post(url, data=FORM, headers={"X-One": "x" * 6000, "X-Two": "x" * 6000})
        too_much = await http.post(url, data=FORM, headers={f"X-{n}": "x" * 6000 for n in range(5)})
        answers = (chunked, empty, compressed, much_before_it, too_much)
        assert [a.status_code for a in answers] == [200, 200, 415, 200, 400]
        assert hook.stored == [Notification("7", 4), Notification("7", 1, 100, 101)]
        assert (await http.head(url)).status_code == 200


@pytest.mark.parametrize("buffered", [True, False])
async def test_a_slow_sender_behind_the_proxy_keeps_nobody_out(
    tmp_path: Path, buffered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "BODY_SECONDS", 0.2)
    async with behind(tmp_path, CONFIGURATIONS["caching" if buffered else "unbuffered"]) as (hook, http, proxy):
        port = proxy.ports[0]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /hooks/{PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\nuserid=7"
        writer.write(head.encode())
        if not buffered:  # the receiver sees the half body, and does not wait for the rest
            assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        assert (await http.post(f"http://127.0.0.1:{port}/hooks/{PATH}", data=FORM)).status_code == 200
        if buffered:  # nginx waits for the rest, and then passes it on at once
            writer.write(b"&appli=4")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        assert hook.stored == [Notification("7", 1, 100, 101), *([Notification("7", 4)] if buffered else [])]


# What keeps the cloud out, and the words that name it.
REFUSED = {
    "proxy_pass http://127.0.0.1:1;": "gets 502 there: the proxy answers, and the receiver behind it does not",
    "proxy_pass http://UPSTREAM/only-this/; rewrite ^ /hooks/ break;": "gets 404 there: the path does not lead to",
    "return 301 https://clinic.example$request_uri;": "gets 301 there: a redirect",
    "limit_except POST { deny all; } proxy_pass http://UPSTREAM;": "gets 403 there: the proxy in front of the receiver",
    'auth_basic "x"; auth_basic_user_file none; proxy_pass http://UPSTREAM;': "gets 401 there",
    "if ($request_method = HEAD) { return 405; } proxy_pass http://UPSTREAM;": "nginx: proxy_cache off",
}


def test_the_cloud_subscribes_and_notifies_through_the_documented_server(
    world: LabWorld, serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, address = serving.url.partition("//")
    host, _, secret = address.partition("/")
    file = tmp_path / "url"
    locations = [location.replace("UPSTREAM", host) for location in REFUSED]
    servers = [documented(int(host.partition(":")[2])), *map(server, locations)]
    with nginx(tmp_path / "nginx", *servers) as proxy:
        good, *bad = [f"http://127.0.0.1:{port}/hooks/{secret}" for port in proxy.ports]
        for url, words in zip(bad, REFUSED.values(), strict=True):
            file.write_text(url, "utf-8")
            capsys.readouterr()
            refused = _main(["notifications", "subscribe", "--lab", "--url", f"@{file}"])
            said = capsys.readouterr()
            assert refused == ErrorCode.NOTIFICATIONS_REFUSED.exit_status == 76
            assert words in said.err
            assert secret not in said.out + said.err
        file.write_text(good, "utf-8")
        assert _main(["notifications", "subscribe", "--lab", "--url", f"@{file}"]) == 0
        world.act("body", "measure")
        wait_for(lambda: any(e["event"] == "notification_arrived" and e["appli"] == 1 for e in serving.events()))
        wait_for(lambda: any(e["event"] == "notification_followed" and e["new"] for e in serving.events()))
        # The cloud counts it when the answer has come back to it.
        wait_for(lambda: world.call("GET", "/lab/state")["cloud"]["notifications"].get("heard", 0) >= 1)
