"""The faults of a lab device: how often each still happens, and faults of single ATT messages by their number.

A message is an ATT packet that carries, requests or confirms a value, in either direction: reads, writes, their
responses, notifications, indications and confirmations, also of a descriptor. The discovery of the GATT table does
not count, because an operating system may cache it. The first message of a connection has the number 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from bumble import att

from installer.lab.scenario import Faults

ATT_ERROR_RESPONSE = 0x01
MESSAGE_NAMES = {
    0x0A: "read", 0x0B: "value", 0x0C: "read on", 0x0D: "more of the value", 0x12: "write", 0x13: "written",
    0x16: "prepare", 0x17: "prepared", 0x18: "execute", 0x19: "executed", 0x1B: "notification", 0x1D: "indication",
    0x1E: "confirmation", 0x52: "command",
}  # fmt: skip
# Messages of the device that carry a value: the number of bytes before the value.
VALUE_OFFSETS = {0x0B: 1, 0x0D: 1, 0x1B: 3, 0x1D: 3}
CLIENT_MESSAGES = (0x0A, 0x0C, 0x12, 0x16, 0x18, 0x1E, 0x52)


class FaultCounter:
    """The faults of one device. Each happens `times` times; 0 means always."""

    def __init__(self, faults: Faults) -> None:
        self._left: dict[str, int] = {}
        self._faults = faults
        self.replace(faults)

    def replace(self, faults: Faults) -> None:
        """Use these faults from now on."""
        self._faults = faults
        self._left = {
            name: getattr(faults, name).times or -1 for name in type(faults).model_fields if getattr(faults, name)
        }

    def begins_after(self, name: str, connection: int) -> object | None:
        """The fault `name`, if it happens in this connection: one after the first `after` ones. Counts it."""
        fault: Any = getattr(self._faults, name)
        if fault is None or connection <= fault.after or self.consume(name) is None:
            return None
        return cast(object, fault)

    def peek(self, name: str, point: str | None = None) -> object | None:
        """The fault `name`, if it happens at `point` now: its `kind` if it has kinds, else True."""
        fault: Any = getattr(self._faults, name)
        if fault is None or not self._left.get(name) or (point is not None and fault.on != point):
            return None
        return getattr(fault, "kind", True)

    def consume(self, name: str, point: str | None = None) -> object | None:
        """Like `peek`, and count it."""
        fault = self.peek(name, point)
        if fault is not None and self._left[name] > 0:
            self._left[name] -= 1
        return fault

    def consume_at_message(self, name: str, number: int) -> object | None:
        """The fault `name`, if it happens at the message with this number; counts it."""
        fault: Any = getattr(self._faults, name)
        if fault is None or fault.number != number:
            return None
        return self.consume(name)

    @property
    def drops_by_device(self) -> bool:
        """Whether the fault `drop` is the device's own doing."""
        return self._faults.drop is not None and bool(self._faults.drop.by_device)

    def describe(self) -> dict[str, Any]:
        """The faults that will still happen, with the remaining times (0: always)."""
        return {
            name: {**getattr(self._faults, name).model_dump(mode="json", exclude_none=True), "times": max(left, 0)}
            for name, left in self._left.items()
            if left
        }


class MessageFaults:
    """Counts the messages of a connection and applies the faults of single messages.

    `history`: the messages so far, as (name, handle).
    """

    def __init__(
        self,
        faults: FaultCounter,
        log: Callable[[str], None],
        drop: Callable[[], None],
        taken_over: Callable[[], None],
    ) -> None:
        self._faults = faults
        self._log = log
        self._drop = drop
        self._taken_over = taken_over
        self.history: list[tuple[str, int]] = []
        self._previous_value = b""
        self._requested_handle = 0

    def start(self) -> None:
        """A new connection begins."""
        self.history = []
        self._previous_value = b""

    def on_received(self, pdu: att.ATT_PDU) -> bool:
        """Count a packet of a client; False if the device must ignore it."""
        if pdu.op_code not in CLIENT_MESSAGES:
            return True
        self._requested_handle = int(getattr(pdu, "attribute_handle", 0))
        return self._count(pdu.op_code, self._requested_handle)

    def on_sent(self, pdu: bytes, mtu: int) -> bytes | None:
        """Count a packet for a client; returns the packet to send, at most `mtu` bytes, or None to send nothing."""
        op_code = pdu[0]
        if op_code == ATT_ERROR_RESPONSE and pdu[1] in CLIENT_MESSAGES:
            return pdu if self._count(op_code, self._requested_handle) else None
        if op_code not in MESSAGE_NAMES:
            return pdu
        has_handle = op_code in (0x1B, 0x1D)
        if not self._count(op_code, int.from_bytes(pdu[1:3], "little") if has_handle else self._requested_handle):
            return None
        return self._apply_garbage(pdu, VALUE_OFFSETS[op_code], mtu) if op_code in VALUE_OFFSETS else pdu

    def _count(self, op_code: int, handle: int) -> bool:
        self.history.append((MESSAGE_NAMES.get(op_code, "error"), handle))
        number = len(self.history)
        if self._faults.consume_at_message("takeover", number) is not None:
            self._log(f"fault: another app takes the device over at message {number}")
            self._taken_over()
        if self._faults.consume_at_message("drop", number) is None:
            return True
        self._log(f"fault: the link drops at message {number}")
        self._drop()
        return False

    def _apply_garbage(self, pdu: bytes, offset: int, mtu: int) -> bytes:
        header, value = pdu[:offset], pdu[offset:]
        previous, self._previous_value = self._previous_value, value
        number = len(self.history)
        kind: Any = self._faults.consume_at_message("garbage", number)
        if kind is None:
            return pdu
        self._log(f"fault: message {number} is garbage ({kind})")
        if kind == "truncated":
            return header + value[: len(value) // 2]
        if kind == "oversized":
            return (pdu + bytes(range(256)) * 3)[:mtu]
        return header + previous
