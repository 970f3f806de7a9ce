"""A pytest plug-in: guests that run side by side share the tests. Whoever comes first takes the next file.

/shared is a folder that they have in common; the host empties it before each run.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

SHARED = Path("/shared")


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the tests of the files that this guest has taken."""
    if session.testsfailed or session.config.option.collectonly:
        return None  # pytest's own loop tells of it
    mine = taken(session.items)
    item = next(mine, None)
    while item is not None:
        # pytest keeps what the next test still needs, so the next file is taken when the last test of this one begins.
        following = next(mine, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following
    return True


def taken(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    """The tests of the files that nobody else has taken, each taken when it is asked for."""
    files = [list(group) for _, group in itertools.groupby(items, key=lambda item: item.path)]
    # The longest first, so that both come to their end at about the same time.
    for group in sorted(files, key=len, reverse=True):
        if _take(group[0].path.stem):
            yield from group


def _take(name: str) -> bool:
    """Whether nobody had taken it."""
    try:
        (SHARED / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
