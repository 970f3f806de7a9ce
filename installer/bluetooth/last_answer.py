"""The answer that came just before a link ended: it counts, though the end is noticed first.

A device may answer a request and hang up at once. Both then reach this program in one turn of the event loop, and the
answer needs more turns than the end to come through the layers.
"""

from __future__ import annotations

import asyncio
from typing import Any

# The layers between the link and a caller: the stack, its timeout, the client's task, and those of the waits for it.
TURNS = 8


async def has_no_answer(request: asyncio.Future[Any]) -> bool:
    """Whether this request has no result, and no error of its own, after what is under way has come through."""
    for _ in range(TURNS):
        if request.done():
            break
        await asyncio.sleep(0)
    return not request.done() or request.cancelled()
