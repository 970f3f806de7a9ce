"""The tests' side of `pairing_peripherals.py`: `peripherals["passkey"].advertise()`."""

from __future__ import annotations

import json
import socket
from typing import Any

# Not imported from there: loading Bumble takes seconds in the guest.
PORT = 7777
READY = "the peripherals are ready"
ANSWER_SECONDS = 40.0


class Control:
    """One peripheral. Every action of `pairing_peripherals.ACTIONS` is a method here."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, action: str) -> Any:
        if action.startswith("_"):
            raise AttributeError(action)

        def act(**values: Any) -> Any:
            asked = json.dumps({"device": self.name, "action": action, **values}).encode()
            with (
                socket.create_connection(("127.0.0.1", PORT), ANSWER_SECONDS) as connection,
                connection.makefile("rwb") as stream,
            ):
                stream.write(asked + b"\n")
                stream.flush()
                answer = json.loads(stream.readline())
            assert "error" not in answer, f"{self.name}.{action}: {answer['error']}"
            return answer["result"]

        return act

    @property
    def address(self) -> str:
        return str(self.state()["address"])

    @property
    def happened(self) -> list[str]:
        """What has happened to it so far, in words."""
        return list(self.state()["happened"])


class Peripherals:
    """All of them, by name."""

    def __getitem__(self, name: str) -> Control:
        return Control(name)
