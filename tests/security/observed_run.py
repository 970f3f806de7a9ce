"""Runs of the program with a witness in each process, every secret within its reach; what left it, by the way out."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, urlsplit

from installer.notifications.callback_url import PATH_FILE
from tests.flow.support import LabWorld
from tests.security.secret_matrix import ON_PURPOSE, ROOT, Secret, WayOut

PROGRAM = "from installer.cli.main import main; main()"
# What a run that names neither has in their variables.
UNNAMED = {"MATRIX_PASSPHRASE": "", "MATRIX_PROOF": ""}
# Several commands in one process; each must succeed.
COMMANDS = """
import json, sys
from installer.cli.main import main
for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit as end:
        assert not end.code, (words, end.code)
"""
WITNESS = Path(__file__).with_name("witness")
SETTINGS = """
version = 1
[cloud]
client_id = "lab-client"
client_secret = { env = "MATRIX_CLIENT_SECRET" }
redirect_uri = "http://localhost:0/callback"
[ledger]
password = { env = "MATRIX_LEDGER_PASSWORD" }
[data]
password = { env = "MATRIX_STORE_PASSWORD" }
[gateway]
webhook = { env = "MATRIX_WEBHOOK" }
webhook_key = { env = "MATRIX_WEBHOOK_KEY" }
"""
# The files that keep a secret, by a part of their path.
KEEPERS = {
    Secret.TOKENS: ("accounts/",),
    Secret.RECEIVER_PATH: (PATH_FILE, "notifications.json"),
    Secret.BOND_KEYS: ("bluetooth-keys.json",),
    Secret.LAB_USER: ("runtime/lab.json",),
    Secret.CLIENT_SECRET: ("runtime/lab.json",),  # the lab's own
}
BROWSER = """#!{python} -I
import sys
sys.path.insert(0, {root!r})
from tests.security.observed_run import sign_in_as_browser
sign_in_as_browser(sys.argv[1], {email!r}, {password!r}, {trace!r})
"""
SSL_REQUEST, GSS_REQUEST = 80877103, 80877104
SASL = 10
SHORTEST = 6  # a shorter text is no secret: it stands anywhere by chance


def forms(secret: str) -> Iterator[bytes]:
    """How a secret may be written: as it is, in Base64 at each of its three offsets, in hexadecimal, in an address."""
    raw = secret.encode()
    yield from (raw, raw.hex().encode(), raw.hex(" ").encode(), raw.hex(":").encode())
    yield from (secret.encode("utf-16-le"), quote(secret).encode(), quote_plus(secret).encode())
    for offset in range(3):
        # Without the characters that also depend on what stands before and behind it.
        yield base64.b64encode(b"\0" * offset + raw)[0 if offset == 0 else 4 : -4]


def holds(data: bytes, secret: str) -> bool:
    """Whether one of its forms is in the data."""
    return any(form in data for form in forms(secret))


@dataclass
class Observed:
    """What left the program in some runs. `ways`: by the way out and the place, all bytes."""

    home: Path
    world: LabWorld
    folder: Path
    ways: dict[WayOut, dict[str, bytes]] = field(default_factory=dict)

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a run: the witness, and a variable for each secret."""
        python_path = os.pathsep.join(filter(None, (str(WITNESS), str(ROOT), os.environ.get("PYTHONPATH", ""))))
        return {
            **os.environ,
            "PYTHONPATH": python_path,
            "WITNESS_FOLDER": str(self.folder),
            "HTTPS_PROXY": f"http://nurse:{Secret.PROXY_PASSWORD}@proxy.test:3128",
            "NO_PROXY": "127.0.0.1,localhost",
            "MATRIX_PASSPHRASE": Secret.PASSPHRASE.value,
            "MATRIX_PROOF": Secret.PROOF.value,
            "MATRIX_CLIENT_SECRET": self.world.state.client_secret.get_secret_value(),
            "MATRIX_LEDGER_PASSWORD": Secret.LEDGER_PASSWORD.value,
            "MATRIX_STORE_PASSWORD": Secret.STORE_PASSWORD.value,
            "MATRIX_WEBHOOK": f"https://hook.test/{Secret.WEBHOOK_ADDRESS}",
            "MATRIX_WEBHOOK_KEY": Secret.WEBHOOK_KEY.value,
            **more,
        }

    def run(
        self, *arguments: str, status: int = 0, program: str = PROGRAM, **more: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the program to its end; `status`: its exit status. `more`: variables."""
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=90,
        )
        assert done.returncode == status, (arguments, done.returncode, done.stderr.decode())
        self.add(WayOut.RESULTS, " ".join(arguments), done.stdout)
        self.add(WayOut.MESSAGES, " ".join(arguments), done.stderr)
        return done

    def run_all(self, *commands: str) -> bytes:
        """Run several commands, of words without blanks in them, in one process; what they printed as results.

        They name no passphrase and no proof, so none is in a variable: to them it would be like any other.
        """
        words = json.dumps([command.split() for command in commands])
        return self.run(words, program=COMMANDS, **UNNAMED).stdout

    @contextmanager
    def running(self, *arguments: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run it until the block ends; it must end by SIGTERM, without an error."""
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            yield process
            process.terminate()
            out, said = process.communicate(timeout=30)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        assert process.returncode == 0, said.decode()
        self.add(WayOut.RESULTS, " ".join(arguments), out)
        self.add(WayOut.MESSAGES, " ".join(arguments), said)

    def browser(self) -> str:
        """A browser for the variable BROWSER: it signs in as the lab's user, and writes down where it was."""
        script, user = self.folder.parent / "browser", self.world.state.user
        trace = str(self.folder.parent / "visited")
        password = user.password.get_secret_value()
        text = BROWSER.format(python=sys.executable, root=str(ROOT), email=user.email, password=password, trace=trace)
        script.write_text(text, "utf-8")
        script.chmod(0o700)
        return str(script)

    def add(self, way: WayOut, place: str, data: bytes) -> None:
        """Something that went this way."""
        places = self.ways.setdefault(way, {})
        places[place] = places.get(place, b"") + data

    def collect(self) -> None:
        """Read what the witnesses wrote down, and what stands in the folders."""
        names = {"children": WayOut.CHILD, "hosts": WayOut.ADDRESSES, "log": WayOut.LOGS, "core": WayOut.CORE}
        for process in self.folder.iterdir():
            for name, way in names.items():
                if (process / name).is_file():
                    self.add(way, f"process {process.name}", (process / name).read_bytes())
            for file in (process / "removed").iterdir():
                self.add(WayOut.TEMPORARY, f"process {process.name}, {file.name.replace('%', '/')}", file.read_bytes())
        for file in self.home.rglob("*"):
            if not file.is_file():
                continue
            path = file.relative_to(self.home).as_posix()
            way = {"export": WayOut.EXPORTS}.get(path.split("/")[0], WayOut.FILES)
            way = WayOut.CRASH_REPORT if "crashes" in path else WayOut.LEDGER if "ledger" in file.name else way
            self.add(way, path, file.read_bytes())

    def secrets(self) -> Iterator[tuple[Secret, str]]:
        """Every secret of these runs with its value: the given ones, and those that the program got or made."""
        given = {s: s.value for s in Secret if "matrix" in s.value}
        yield from given.items()
        for kind, values in self._kept():
            yield from ((kind, value) for value in values if len(value) >= SHORTEST)

    def _kept(self) -> Iterator[tuple[Secret, list[str]]]:
        yield Secret.CLIENT_SECRET, [self.world.state.client_secret.get_secret_value()]
        yield Secret.LAB_USER, [self.world.state.user.password.get_secret_value()]
        for file in (self.home / "data").rglob("*.json"):
            if "accounts" in str(file.relative_to(self.home)):
                pairs = _strings(json.loads(file.read_text("utf-8")))
                yield Secret.TOKENS, [value for name, value in pairs if name in ("access_token", "refresh_token")]
            if "bluetooth-keys" in file.name:
                yield Secret.BOND_KEYS, list(_keys(file))
        for name in (PATH_FILE, f"lab-{PATH_FILE}"):
            if (self.home / "data" / name).is_file():
                yield Secret.RECEIVER_PATH, [(self.home / "data" / name).read_text("utf-8").strip()]
        visited = self.folder.parent / "visited"
        if visited.is_file():
            for address in visited.read_text("utf-8").split():
                query = parse_qs(urlsplit(address).query)
                yield Secret.SIGN_IN_CODE, query.get("code", [])
                yield Secret.SIGN_IN_STATE, query.get("state", [])

    def leaks(self) -> list[str]:
        """Each secret that went a way that it must not go, in words."""
        secrets = set(self.secrets())
        return [
            f"{secret.name} in {way.value}: {place}"
            for secret, value in secrets
            for way, places in self.ways.items()
            if (secret, way) not in ON_PURPOSE
            for place, data in places.items()
            if not any(part in place for part in KEEPERS.get(secret, ())) and holds(data, value)
        ]


def _keys(file: Path) -> Iterator[str]:
    """Each key in hexadecimal, in both orders of its bytes."""
    content = json.loads(file.read_text("utf-8"))
    for part in (content["identity"], *content["bonds"]):
        for key in (bytes.fromhex(part[name]) for name in ("ltk", "irk") if part.get(name)):
            yield from (key.hex(), key[::-1].hex())


def _strings(data: Any) -> Iterator[tuple[str, str]]:
    if isinstance(data, dict):
        for key, value in data.items():
            if isinstance(value, str):
                yield key, value
            yield from _strings(value)


def sign_in_as_browser(address: str, email: str, password: str, trace: str) -> None:
    """Sign in at the lab's cloud as a browser does, with cookies; every address is appended to the file `trace`."""
    import httpx

    from installer.cloud.lab_sign_in import _sign_in_form

    with httpx.Client(follow_redirects=True, trust_env=False, timeout=20) as browser:
        browser.event_hooks["request"] = [lambda request: _append(trace, str(request.url))]
        page = browser.get(address)
        form = _sign_in_form(page.text)
        fields = {**form.fields, "email": email, "password": password}
        fields.update((n, v) for n, v in form.buttons if v.lower() == "allow")
        browser.post(page.url.join(form.action), data=fields)


def _append(file: str, line: str) -> None:
    with Path(file).open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")


class PasswordServer:
    """Speaks PostgreSQL's protocol up to the request for a password (SCRAM), then ends. `got`: all that it received."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.got = b""
        self.asked = False
        self.thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def host(self) -> str:
        """Its address, for a URL."""
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, suppress(OSError, struct.error):
                    connection.settimeout(10)
                    self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        while True:
            message = connection.recv(65536)
            self.got += message
            if struct.unpack("!I", message[4:8])[0] not in (SSL_REQUEST, GSS_REQUEST):
                break
            connection.sendall(b"N")
        mechanisms = b"SCRAM-SHA-256\0\0"
        connection.sendall(b"R" + struct.pack("!II", 8 + len(mechanisms), SASL) + mechanisms)
        self.asked = True
        self.got += connection.recv(65536)


@contextmanager
def password_server() -> Iterator[PasswordServer]:
    """A database server that asks for a password."""
    server = PasswordServer()
    server.thread.start()
    try:
        yield server
    finally:
        # Closing alone does not end a waiting `accept`.
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        server.thread.join(10)


class WebhookServer(ThreadingHTTPServer):
    """Takes everything at every address."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _TakesAll)

    @property
    def base(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _TakesAll(BaseHTTPRequestHandler):
    server: WebhookServer

    def do_HEAD(self) -> None:
        self.send_response(204)
        self.end_headers()

    def do_POST(self) -> None:
        self.server.got.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def webhook_server() -> Iterator[WebhookServer]:
    """A server that takes measurements and notifications."""
    with WebhookServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)
