"""The HTTP client behind proxies, with the certificates of an organisation, and with wrong variables."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from installer.cloud import proxies
from installer.cloud.connection_settings import check_connection_settings, describe_connection
from installer.cloud.http_client import HttpClient
from installer.cloud.proxies import proxy_for
from installer.cloud.unreachable import Unreachable
from tests.proxies import ENVIRONMENT, HOST, HttpsServer, InspectingProxy, SocksServer, listening, save_certificate
from tests.proxies import server_context as tls

PASSWORD = "proxy-pass-word"
SERVER = "the test's cloud"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA(organization_name="Acme Inspection")


async def ask(url: str) -> int:
    client = HttpClient(url, SERVER, seconds=10.0)
    try:
        async with client.stream("POST", "/v2/user", seconds=10.0, data={"action": "getdevice"}) as response:
            await response.aread()
            return response.status_code
    finally:
        await client.close()


async def refused(url: str) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        await ask(url)
    assert PASSWORD not in str(caught.value) + repr(caught.value)
    return caught.value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("variable", ["ALL_PROXY", "all_proxy", "HTTPS_PROXY"])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks"])
async def test_a_socks_server_leads_to_the_cloud(
    variable: str,
    scheme: str,
    stack: AsyncExitStack,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = HttpsServer()
    socks = SocksServer(await stack.enter_async_context(listening(server, tls(authority, HOST))))
    monkeypatch.setenv(variable, f"{scheme}://127.0.0.1:{await stack.enter_async_context(listening(socks))}/")
    monkeypatch.setenv("SSL_CERT_FILE", str(save_certificate(authority, tmp_path)))
    assert await ask(f"https://{HOST}") == 200
    assert socks.hosts == [HOST], "the proxy resolves the name"
    assert server.requests == ["POST /v2/user HTTP/1.1"]


async def test_a_socks_server_with_a_password(
    stack: AsyncExitStack, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = await stack.enter_async_context(listening(HttpsServer(), tls(authority, HOST)))
    port = await stack.enter_async_context(listening(SocksServer(inner, PASSWORD)))
    monkeypatch.setenv("SSL_CERT_FILE", str(save_certificate(authority, tmp_path)))
    monkeypatch.setenv("ALL_PROXY", f"socks5://me:{PASSWORD}@127.0.0.1:{port}")
    assert await ask(f"https://{HOST}") == 200
    for wrong in (f"socks5://me:not-{PASSWORD}@127.0.0.1:{port}", f"socks5://127.0.0.1:{port}"):
        monkeypatch.setenv("ALL_PROXY", wrong)
        error = await refused(f"https://{HOST}")
        assert f"the proxy 127.0.0.1:{port} (ALL_PROXY) refused" in error.what
        assert "user name and password in ALL_PROXY" in error.todo


async def test_an_inspecting_proxy_is_named_and_trusted_once_its_root_is(
    stack: AsyncExitStack, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = HttpsServer()
    proxy = InspectingProxy(authority, server)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{await stack.enter_async_context(listening(proxy))}")
    error = await refused(f"https://{HOST}")
    assert "a certificate of “Acme Inspection” that this computer does not trust" in error.what
    assert "SSL_CERT_FILE" in error.todo
    assert error.permanent
    assert server.requests == [], "nothing is sent to a server that is not trusted"
    for variable in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, str(save_certificate(authority, tmp_path)))
            assert await ask(f"https://{HOST}") == 200


PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "dates", "words", "advice"),
    [
        ("other.test", {}, "showed a certificate for", "Check the address"),
        (
            "localhost",
            {"not_before": PAST, "not_after": PAST + timedelta(days=1)},
            "expired on 2020-01-02",
            "date and time",
        ),
        (
            "localhost",
            {"not_before": FUTURE, "not_after": FUTURE + timedelta(days=1)},
            "not valid before 2099-01-01",
            "date and time",
        ),
    ],
    ids=["another name", "expired", "not yet valid"],
)
async def test_what_is_wrong_with_a_certificate_is_told(
    name: str,
    dates: dict[str, datetime],
    words: str,
    advice: str,
    stack: AsyncExitStack,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = HttpsServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **dates).configure_cert(context)
    port = await stack.enter_async_context(listening(server, context))
    monkeypatch.setenv("SSL_CERT_FILE", str(save_certificate(authority, tmp_path)))
    error = await refused(f"https://localhost:{port}")
    assert words in error.what
    assert advice in error.todo
    assert server.requests == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("socks4://127.0.0.1:1080", "of the kind socks4://"),
        ("ftp://proxy:1", "of the kind ftp://"),
        (f"http://me:{PASSWORD}@proxy:port", "no valid host name and port"),
        ("http://", "no valid host name and port"),
        ("http://a b:1", "no valid host name and port"),
        ("socks5://[::1", "no valid host name and port"),
        ("http://proxy:99999", "no valid host name and port"),
    ],
)
async def test_a_proxy_that_cannot_be_used_is_named_before_anything_is_sent(
    value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", value)
    for check in (check_connection_settings, describe_connection):
        with pytest.raises(Unreachable) as caught:
            check(f"https://{HOST}")
        assert words in caught.value.what
        assert "all_proxy" in caught.value.what
        assert PASSWORD not in str(caught.value)
    await refused(f"https://{HOST}")


async def test_the_right_party_is_blamed(
    stack: AsyncExitStack, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PASSWORD}@127.0.0.1:{port}")
    error = await refused(f"https://{HOST}")
    assert f"cannot be reached through the proxy 127.0.0.1:{port} (HTTPS_PROXY)" in error.what

    refusing = InspectingProxy(authority, HttpsServer(), refuse=b"407 Proxy Authentication Required")
    port = await stack.enter_async_context(listening(refusing))
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PASSWORD}@127.0.0.1:{port}")
    error = await refused(f"https://{HOST}")
    assert "refused (407 Proxy Authentication Required)" in error.what

    monkeypatch.setenv("HTTPS_PROXY", f"socks5://127.0.0.1:{port}")
    answers_http = await stack.enter_async_context(listening(_greets_in_http))
    monkeypatch.setenv("HTTPS_PROXY", f"socks5://127.0.0.1:{answers_http}")
    error = await refused(f"https://{HOST}")
    assert "does not answer like a SOCKS server" in error.what


async def _greets_in_http(reader: object, writer: object) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")  # type: ignore[attr-defined]
    await writer.drain()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "exceptions",
    ["cloud.test", ".test", "*", "other.example, cloud.test", "[::1],cloud.test", "fe80::/10,127.0.0.0/8,cloud.test"],
)
def test_no_proxy_names_hosts_that_are_reached_directly(exceptions: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:3128")
    assert proxy_for(f"https://{HOST}") is not None
    monkeypatch.setenv("no_proxy", exceptions)
    assert proxy_for(f"https://{HOST}") is None


@pytest.mark.parametrize(
    ("exceptions", "url", "direct"),
    [
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("fe80::/10", "https://[fe80::1]:8443", True),
        ("[2001:db8::1]", "https://[2001:db8::1]", True),
        ("2001:db8::1", "https://[2001:db8::2]", False),
        ("localhost,10.0.0.1", "https://cloud.test", False),
    ],
)
def test_no_proxy_names_addresses_and_networks(
    exceptions: str, url: str, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "proxy.test:3128")
    monkeypatch.setenv("no_proxy", exceptions)
    assert (proxy_for(url) is None) is direct


def test_the_proxy_of_the_scheme_wins_and_its_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks://other.test:1")
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PASSWORD}@proxy.test:3128")
    proxy = proxy_for(f"https://{HOST}")
    assert proxy is not None
    assert (proxy.server, proxy.source) == ("proxy.test:3128", "HTTPS_PROXY")
    assert PASSWORD in proxy.url
    assert PASSWORD not in f"{proxy} {proxy!r} {describe_connection(f'https://{HOST}')}"


def test_the_systems_own_proxy_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of macOS, where Python writes the SOCKS server with http://. They cannot be set on another system."""
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"socks": "http://127.0.0.1:1080"})
    assert proxy_for(f"https://{HOST}") == proxies.Proxy(
        "socks5://127.0.0.1:1080", "127.0.0.1:1080", "the system's proxy settings"
    )


def test_this_computer_itself_is_asked_without_proxy_and_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks4://nobody:1")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    check_connection_settings("http://127.0.0.1:8080")


@pytest.mark.parametrize(
    "host", ["a..b", ".", "a b.test", "256.1.1.1", "1.2.3", "xn--zz.test", f"{'a' * 64}.test", "-x.test"]
)
def test_an_address_that_cannot_be_one_is_named(host: str) -> None:
    with pytest.raises(Unreachable, match=f"“{re.escape(host)}” is not the name or the address of a server"):
        check_connection_settings(f"https://{host}")


@pytest.mark.parametrize(
    "host", ["wbsapi.withings.net", "exa_mple.test.", "ü.test", "1.2.3.4", "[fe80::1]", "xn--tda.test"]
)
def test_an_address_that_can_be_one_is_taken(host: str) -> None:
    check_connection_settings(f"https://{host}:8443/v2")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("kind", ["missing", "no certificates"])
def test_certificates_that_cannot_be_used_are_named(
    variable: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "roots.pem"
    if kind != "missing":
        file.write_text("these are no certificates\n")
    monkeypatch.setenv(variable, str(file))
    with pytest.raises(Unreachable) as caught:
        check_connection_settings(f"https://{HOST}")
    assert variable in caught.value.what
    assert str(file) in caught.value.what
    assert variable in caught.value.todo
