"""The messages of a device's connections, counted; and what a fault does to the one that it names by its number.

A message is an ATT packet that carries a value, asks for one or confirms one, in either direction: reads, writes, their
answers, notifications, indications and confirmations, also of a descriptor. The discovery of the GATT table does not
count, for a system may keep it. The first message of a connection has the number 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bumble import att

from installer.lab.fault_counter import FaultBox

ERROR = 0x01
MESSAGES = {
    0x0A: "read", 0x0B: "value", 0x0C: "read on", 0x0D: "more of the value", 0x12: "write", 0x13: "written",
    0x16: "prepare", 0x17: "prepared", 0x18: "execute", 0x19: "executed", 0x1B: "notification", 0x1D: "indication",
    0x1E: "confirmation", 0x52: "command",
}  # fmt: skip
# What a device says of its own: how many bytes come before the value.
VALUES = {0x0B: 1, 0x0D: 1, 0x1B: 3, 0x1D: 3}
CLIENT = (0x0A, 0x0C, 0x12, 0x16, 0x18, 0x1E, 0x52)


class Messages:
    """Counts, and applies the faults that name a message. `history`: what each message was, as (what, handle)."""

    def __init__(
        self,
        faults: FaultBox,
        log: Callable[[str], None],
        drop: Callable[[], None],
        taken_over: Callable[[], None],
    ) -> None:
        self._faults = faults
        self._log = log
        self._drop = drop
        self._taken_over = taken_over
        self.history: list[tuple[str, int]] = []
        self._before = b""
        self._asked = 0

    def start(self) -> None:
        """A new connection."""
        self.history = []
        self._before = b""

    def heard(self, pdu: att.ATT_PDU) -> bool:
        """A packet of a client; whether it is to be taken in."""
        if pdu.op_code not in CLIENT:
            return True
        self._asked = int(getattr(pdu, "attribute_handle", 0))
        return self._count(pdu.op_code, self._asked)

    def sent(self, pdu: bytes, room: int) -> bytes | None:
        """A packet for a client, as it goes out (`room`: how many bytes it may have at most); None: not at all."""
        code = pdu[0]
        if code == ERROR and pdu[1] in CLIENT:
            return pdu if self._count(code, self._asked) else None
        if code not in MESSAGES:
            return pdu
        pushed = code in (0x1B, 0x1D)
        if not self._count(code, int.from_bytes(pdu[1:3], "little") if pushed else self._asked):
            return None
        return self._spoiled(pdu, VALUES[code], room) if code in VALUES else pdu

    def _count(self, code: int, handle: int) -> bool:
        self.history.append((MESSAGES.get(code, "error"), handle))
        number = len(self.history)
        if self._faults.take_message("takeover", number) is not None:
            self._log(f"fault: another app takes the device over at message {number}")
            self._taken_over()
        if self._faults.take_message("drop", number) is None:
            return True
        self._log(f"fault: the link drops at message {number}")
        self._drop()
        return False

    def _spoiled(self, pdu: bytes, start: int, room: int) -> bytes:
        head, value = pdu[:start], pdu[start:]
        before, self._before = self._before, value
        number = len(self.history)
        kind: Any = self._faults.take_message("garbage", number)
        if kind is None:
            return pdu
        self._log(f"fault: message {number} is garbage ({kind})")
        if kind == "truncated":
            return head + value[: len(value) // 2]
        if kind == "oversized":
            return (pdu + bytes(range(256)) * 3)[:room]
        return head + before
