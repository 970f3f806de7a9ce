"""The lab's cloud with the default scenario."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.installer.lab.cloud.running_cloud import World, running


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running() as found:
        yield found
