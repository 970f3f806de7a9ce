"""A listener that speaks PostgreSQL's protocol up to the password, and keeps all that it gets: a hostile server.

with AskingListener(CLEAR_TEXT) as listener:
    …                              # connect to listener.port
    assert b"secret" not in listener.received
"""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path
from types import TracebackType

# Authentication requests, PostgreSQL's manual, “Message Formats”.
CLEAR_TEXT = struct.pack("!cii", b"R", 8, 3)
MD5 = struct.pack("!cii4s", b"R", 12, 5, b"salt")
NOTHING = struct.pack("!cii", b"R", 8, 0)
SSL_REQUEST = 80877103
SECONDS = 10


class AskingListener:
    """It refuses TLS, and asks each client the same. It is reached at 127.0.0.1, and as 0.0.0.0 too.

    `folder`: it listens on a socket there, and on no port.
    """

    def __init__(self, request: bytes, folder: Path | None = None) -> None:
        self._request = request
        self.port = 5432
        if folder is None:
            self._socket = socket.create_server(("127.0.0.1", 0))
            self.port = self._socket.getsockname()[1]
        else:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(str(folder / f".s.PGSQL.{self.port}"))
            self._socket.listen()
        self.received = b""
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> AskingListener:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(SECONDS)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client:
                client.settimeout(SECONDS)
                try:
                    self._ask(client)
                except OSError:
                    continue

    def _ask(self, client: socket.socket) -> None:
        first = client.recv(4096)
        if len(first) == 8 and struct.unpack("!ii", first)[1] == SSL_REQUEST:
            self.received += first
            client.sendall(b"N")
            first = client.recv(4096)
        self.received += first
        if not first:
            return
        client.sendall(self._request)
        while part := client.recv(4096):
            self.received += part
