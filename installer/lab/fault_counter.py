"""A device's faults, counted down: each happens its number of times and then no more."""

from __future__ import annotations

from typing import Any

from installer.lab.scenario import Faults


class FaultBox:
    """The faults of one device. `times` 0 means always."""

    def __init__(self, faults: Faults) -> None:
        self._left: dict[str, int] = {}
        self._faults = faults
        self.replace(faults)

    def replace(self, faults: Faults) -> None:
        """These faults from now on."""
        self._faults = faults
        self._left = {
            name: getattr(faults, name).times or -1 for name in type(faults).model_fields if getattr(faults, name)
        }

    def peek(self, name: str, point: str | None = None) -> object | None:
        """The fault `name`, if it happens at `point` now: its `kind` where it has kinds, else True."""
        fault: Any = getattr(self._faults, name)
        if fault is None or not self._left.get(name) or (point is not None and fault.on != point):
            return None
        return getattr(fault, "kind", True)

    def take(self, name: str, point: str | None = None) -> object | None:
        """Like `peek`, and one time less from now on."""
        found = self.peek(name, point)
        if found is not None and self._left[name] > 0:
            self._left[name] -= 1
        return found

    def take_message(self, name: str, number: int) -> object | None:
        """The fault `name`, if it happens at the message with this number, and one time less from now on."""
        fault: Any = getattr(self._faults, name)
        if fault is None or fault.number != number:
            return None
        return self.take(name)

    def describe(self) -> dict[str, Any]:
        """The faults that are still to come, with the times left (0: always)."""
        return {
            name: {**getattr(self._faults, name).model_dump(mode="json", exclude_none=True), "times": max(left, 0)}
            for name, left in self._left.items()
            if left
        }
