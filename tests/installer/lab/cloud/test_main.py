"""The cloud as its own process, without the radio side."""

from __future__ import annotations

import asyncio
import signal
import sys

import httpx

from tests.installer.lab.cloud.running_cloud import Page


async def test_it_runs_alone_says_where_and_ends_with_a_signal() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "installer.lab.cloud", "--port", "0", "--mode", "public"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            base = (await process.stdout.readline()).decode().strip()
            async with httpx.AsyncClient(base_url=base, verify=False) as http:
                assert "public" in Page((await http.get("/")).text).text
                state = (await http.get("/lab/state")).json()
            assert state["cloud"]["mode"] == "public"
            process.send_signal(signal.SIGTERM)
            _out, err = await process.communicate()
        assert err == b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
