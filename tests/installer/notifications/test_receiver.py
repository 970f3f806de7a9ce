"""The receiver over real HTTP and raw sockets: accepted and refused requests, and timeouts."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.notifications import receiver
from installer.notifications.notification import MAX_BODY_BYTES, Notification
from installer.notifications.receiver import Receiver, listen

PATH = "a-path-that-nobody-may-see"
FORM = {"userid": "7", "appli": "1", "startdate": "100", "enddate": "101"}


class Hook:
    """A running receiver: its URL, and the notifications that it stored."""

    def __init__(self) -> None:
        self.stored: list[Notification] = []
        self.error: BaseException | None = None
        self.slow: asyncio.Event | None = None
        self.port = 0
        self.base = ""

    async def store(self, notification: Notification) -> None:
        if self.slow is not None:
            await self.slow.wait()
        if self.error is not None:
            raise self.error
        self.stored.append(notification)

    @property
    def url(self) -> str:
        return f"{self.base}/{PATH}"

    async def raw(self, sent: bytes) -> bytes:
        """Send these bytes only; everything that comes back until the other side closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(sent)
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Hook, httpx.AsyncClient]]:
    hook = Hook()
    listener = listen("127.0.0.1", 0)
    hook.port = listener.getsockname()[1]
    hook.base = f"http://127.0.0.1:{hook.port}"
    app = Receiver(SecretStr(PATH), hook.store)
    async with app.serve(listener), httpx.AsyncClient(trust_env=False, timeout=20, verify=False) as http:
        yield hook, http


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the timeouts."""
    for name in ("HEAD_SECONDS", "BODY_SECONDS", "STORE_SECONDS"):
        monkeypatch.setattr(receiver, name, 1.0)


async def test_a_notification_is_kept_before_it_is_answered() -> None:
    async with running() as (hook, http):
        hook.slow = asyncio.Event()
        answering = asyncio.create_task(http.post(hook.url, data=FORM))
        done, _ = await asyncio.wait([answering], timeout=0.1)
        assert not done
        hook.slow.set()
        assert (await answering).status_code == 200
        assert hook.stored == [Notification("7", 1, 100, 101)]


@pytest.mark.parametrize("path", ["", "/", "?foo=bar", "/?foo=bar"])
@pytest.mark.parametrize("prefix", ["", "/hooks"])
async def test_whoever_knows_the_path_gets_200_for_every_test(prefix: str, path: str) -> None:
    async with running() as (hook, http):
        url = f"{hook.base}{prefix}/{PATH}{path}"
        # A proxy that caches makes GET of HEAD; people use a browser, or a tool that sends a POST.
        answers = [await http.request(method, url) for method in ("HEAD", "GET", "OPTIONS", "POST")]
        answers += [
            await http.post(url, content=content, headers={"Content-Type": kind})
            for kind, content in (
                ("application/json", b""),
                ("application/x-www-form-urlencoded", b"nonsense"),
                ("application/x-www-form-urlencoded", b"test=1"),
            )
        ]
        assert [a.status_code for a in answers] == [200] * 7
        assert {a.headers["cache-control"] for a in answers} == {"no-store"}
        assert all("server" not in a.headers for a in answers)
        assert [a.text for a in answers if a.content] == ["This address receives notifications.\n"]
        assert not hook.stored


async def test_nobody_without_the_path_learns_anything() -> None:
    async with running() as (hook, http):
        answers = [
            await http.request(method, f"{hook.base}{path}", data=FORM if method == "POST" else None)
            for method in ("HEAD", "GET", "POST", "PUT", "OPTIONS")
            for path in ("/", "/other", f"/{PATH}/other", f"/{PATH}x", f"/{PATH.upper()}", "/%00", "/..%2f")
        ]
        assert {(a.status_code, a.content) for a in answers} == {(404, b"")}
        assert not hook.stored


@pytest.mark.parametrize(
    ("method", "content", "kind", "status"),
    [
        ("PUT", b"userid=7&appli=1", "application/x-www-form-urlencoded", 405),
        ("DELETE", b"", "", 405),
        ("POST", b"{}", "application/json", 415),
        ("POST", b"userid=7&appli=1", "multipart/form-data; boundary=x", 415),
        ("POST", b"userid=7", "application/x-www-form-urlencoded", 400),
        ("POST", b"\xff\xff\xff", "application/x-www-form-urlencoded; charset=utf-8", 400),
        ("POST", b"x" * (MAX_BODY_BYTES + 1), "application/x-www-form-urlencoded", 413),
        ("POST", b"userid=7&appli=1", "application/x-www-form-urlencoded; charset=utf-8", 200),
    ],
)
async def test_what_is_taken(method: str, content: bytes, kind: str, status: int) -> None:
    async with running() as (hook, http):
        answer = await http.request(method, hook.url, content=content, headers={"Content-Type": kind})
        assert answer.status_code == status
        assert len(hook.stored) == (status == 200)


async def test_a_compressed_body_is_not_taken_for_a_notification() -> None:
    async with running() as (hook, http):
        packed = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
        answer = await http.post(hook.url, content=gzip.compress(b"userid=7&appli=1"), headers=packed)
        assert answer.status_code == 415
        assert not hook.stored


async def test_an_endless_body_is_not_read_to_its_end() -> None:
    async with running() as (hook, http):
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            while True:
                sent += 4096
                yield b"x" * 4096

        # The answer comes before the body is complete; a client may see a closed connection instead.
        try:
            answer = await http.post(
                hook.url, content=endless(), headers={"Content-Type": "application/x-www-form-urlencoded"}
            )
            assert answer.status_code == 413
        except httpx.TransportError:
            pass
        assert sent < 50 * 1024 * 1024
        assert (await http.head(hook.url)).status_code == 200


async def test_a_length_that_is_a_lie_is_answered_without_waiting() -> None:
    async with running() as (hook, _):
        head = f"POST /{PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"
        assert (await hook.raw(head.encode())).startswith(b"HTTP/1.1 413 ")


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),
        (b"POST /", b""),
        (f"POST /{PATH} HTTP/1.1\r\nHost: x\r\nX-Slow: ".encode(), b""),
        (f"POST /{PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nuser".encode(), b"HTTP/1.1 408 "),
        (
            f"POST /{PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nuser\r\n".encode(),
            b"HTTP/1.1 408 ",
        ),
    ],
)
async def test_a_slow_sender_does_not_hold_a_connection(sent: bytes, answer: bytes) -> None:
    async with running() as (hook, http):
        got = await hook.raw(sent)
        assert got.startswith(answer) if answer else not got
        assert not hook.stored
        assert (await http.post(hook.url, data=FORM)).status_code == 200


@pytest.mark.usefixtures("_impatient")
async def test_slow_senders_by_the_dozen_do_not_keep_the_cloud_out() -> None:
    async with running() as (hook, http):
        slow = [asyncio.create_task(hook.raw(b"POST / HTTP/1.1\r\nX: ")) for _ in range(50)]
        assert (await http.post(hook.url, data=FORM)).status_code == 200
        assert await asyncio.gather(*slow) == [b""] * 50


async def test_what_is_no_http_is_turned_away() -> None:
    async with running() as (hook, http):
        assert (await hook.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        assert (await http.head(hook.url)).status_code == 200


async def test_each_connection_carries_one_request() -> None:
    async with running() as (hook, http):
        assert (await http.head(hook.url)).headers["connection"] == "close"


async def test_what_cannot_be_kept_is_not_acknowledged() -> None:
    async with running() as (hook, http):
        hook.error = InstallerError(ErrorCode.DATABASE_FAILED, "The disk is full.", "")
        assert (await http.post(hook.url, data=FORM)).status_code == 503
        hook.error = None
        assert (await http.post(hook.url, data=FORM)).status_code == 200


@pytest.mark.usefixtures("_impatient")
async def test_a_disk_that_hangs_is_not_waited_for() -> None:
    async with running() as (hook, http):
        hook.slow = asyncio.Event()
        assert (await http.post(hook.url, data=FORM)).status_code == 503
        hook.slow.set()  # the slow task ends by itself; the repetition is the same entry
        hook.slow = None
        assert (await http.post(hook.url, data=FORM)).status_code == 200


async def test_the_path_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with running() as (hook, http):
        await http.post(hook.url, data=FORM)
        await hook.raw(f"POST /{PATH} HTTP/9.9\r\n\r\n".encode())
        assert hook.stored
    # httpx is the sender here, not part of the receiver.
    said = [r.getMessage() for r in caplog.records if r.name.partition(".")[0] not in ("httpx", "httpcore")]
    assert PATH not in "".join(said)


async def test_a_port_that_is_taken_is_told_in_words() -> None:
    async with running() as (hook, _):
        with pytest.raises(InstallerError, match=f"port {hook.port} of 127.0.0.1 cannot be used") as caught:
            listen("127.0.0.1", hook.port)
        assert caught.value.code is ErrorCode.RECEIVER_FAILED
    with pytest.raises(InstallerError, match="there is no address"):
        listen("no such host", 0)


def certificate_files(folder: Path) -> dict[str, Path]:
    """Files of a certificate, by what they are."""
    one, other = (trustme.CA().issue_cert("localhost") for _ in range(2))
    key = load_pem_private_key(one.private_key_pem.bytes(), None)
    contents = {
        "certificate": one.cert_chain_pems[0].bytes(),
        "key": one.private_key_pem.bytes(),
        "other key": other.private_key_pem.bytes(),
        "encrypted key": key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"nobody can type this here")
        ),
        "nonsense": b"nonsense",
    }
    files = {name: folder / f"{name}.pem" for name in (*contents, "missing")}
    for name, content in contents.items():
        files[name].write_bytes(content)
    return files


@pytest.mark.parametrize(
    ("certificate", "key", "words"),
    [
        ("nonsense", None, "nonsense.pem does not hold a certificate and its key"),
        ("certificate", None, "certificate.pem does not hold a certificate and its key"),
        ("nonsense", "key", "nonsense.pem is not a certificate, or"),
        ("certificate", "other key", "the key in .*other key.pem does not belong to the certificate"),
        ("certificate", "encrypted key", "the key in .*encrypted key.pem is encrypted"),
        ("missing", "key", "missing.pem cannot be read"),
        ("certificate", "missing", "missing.pem cannot be read"),
    ],
)
async def test_what_is_wrong_with_a_certificate_is_told(
    certificate: str, key: str | None, words: str, tmp_path: Path
) -> None:
    files, hook = certificate_files(tmp_path), Hook()
    with listen("127.0.0.1", 0) as listener, pytest.raises(InstallerError, match=words) as caught:
        async with Receiver(SecretStr(PATH), hook.store).serve(listener, files[certificate], key and files[key]):
            pass
    assert caught.value.code is ErrorCode.RECEIVER_FAILED


async def test_it_speaks_https_by_itself(tmp_path: Path) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("localhost")
    certificate, secret = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.cert_chain_pems[0].bytes())
    secret.write_bytes(made.private_key_pem.bytes())
    hook = Hook()
    listener = listen("127.0.0.1", 0)
    url = f"https://localhost:{listener.getsockname()[1]}/{PATH}"
    trust = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    receiving = Receiver(SecretStr(PATH), hook.store).serve(listener, certificate, secret)
    async with receiving, httpx.AsyncClient(trust_env=False, timeout=20, verify=trust) as http:
        assert (await http.head(url)).status_code == 200
        assert (await http.post(url, data=FORM)).status_code == 200
    assert hook.stored == [Notification("7", 1, 100, 101)]
