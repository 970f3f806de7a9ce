"""The tests' side of `pairing_peripherals.py`: `peripherals["passkey"].advertise()`."""

from __future__ import annotations

import json
import socket
from typing import Any

# Not imported from there: loading Bumble takes seconds in the guest.
PORT = 7777
READY = "the peripherals are ready"
ANSWER_SECONDS = 40.0


def call(asked: dict[str, Any]) -> Any:
    """One command; what it was answered."""
    with (
        socket.create_connection(("127.0.0.1", PORT), ANSWER_SECONDS) as connection,
        connection.makefile("rwb") as stream,
    ):
        stream.write(json.dumps(asked).encode() + b"\n")
        stream.flush()
        answer = json.loads(stream.readline())
    assert "error" not in answer, f"{asked}: {answer['error']}"
    return answer["result"]


class Control:
    """One peripheral. Every action of `pairing_peripherals.ACTIONS` is a method here."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, action: str) -> Any:
        if action.startswith("_"):
            raise AttributeError(action)

        def act(**values: Any) -> Any:
            return call({"device": self.name, "action": action, **values})

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

    def reset(self) -> None:
        """As when they have just started: nothing is bonded, and none advertises."""
        call({"action": "reset"})

    def __getitem__(self, name: str) -> Control:
        return Control(name)
