"""A person who answers for a pairing, as a test says."""

from __future__ import annotations

import asyncio
from typing import Any


class Answers:
    """A `PairingDialog`. An answer that is None never comes. `asked`: each method, and what it was told.

    `asking`: set by the first. `withdrawn`: the questions that were
    taken back. `ended`: whether the pairings succeeded.
    """

    def __init__(
        self, passkey: str | None = None, same: bool | None = None, raises: BaseException | None = None
    ) -> None:
        self._passkey, self._same, self._raises = passkey, same, raises
        self.asking = asyncio.Event()
        self.asked: list[tuple[str, str]] = []
        self.withdrawn: list[str] = []
        self.ended: list[bool] = []

    async def passkey(self, name: str) -> str:
        """The digits."""
        return str(await self._answer("passkey", name, self._passkey))

    async def same_number(self, name: str, number: str) -> bool:
        """Whether the numbers are the same."""
        return bool(await self._answer("same_number", number, self._same))

    async def allow(self, name: str) -> bool:
        """Yes."""
        return bool(await self._answer("allow", name, True))

    def show_passkey(self, name: str, passkey: str) -> None:
        """Somebody reads it."""
        self.asked.append(("show_passkey", passkey))

    def pairing_ended(self, *, paired: bool) -> None:
        """Noted."""
        self.ended.append(paired)

    async def _answer(self, method: str, told: str, answer: Any) -> Any:
        self.asked.append((method, told))
        self.asking.set()
        if self._raises is not None:
            raise self._raises
        if answer is not None:
            return answer
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.withdrawn.append(method)
            raise
