"""A receiver that says yes to whoever knows its path; `well = False` makes it fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATH = "a-path-that-nobody-may-see"


class _Hook(BaseHTTPRequestHandler):
    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(200 if self.path == f"/{PATH}" and self.server.well else 500)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_POST = answer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def hooked() -> Iterator[ThreadingHTTPServer]:
    """The receiver, at `http://127.0.0.1:{server_port}/{PATH}`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hook) as server:
        server.well = True  # type: ignore[attr-defined]
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
