"""A lab as a process for tests: start one with a scenario, act in it, read its state, stop it.

async with LabProcess(tmp_path, scenario_text) as lab:     # no text: the default world, made fast
    lab.adapter, lab.cloud, lab.state_file, lab.log()
    await lab.press(lab.address("thermo"))
    await lab.until(lambda state: state["hosts"] == 1)
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from tests.forked import Forked, Start

START_SECONDS = 30.0
UNTIL_SECONDS = 20.0


def fast_scenario() -> str:
    """The default scenario with its waits shortened and its bystanders left out: for tests that test no waiting."""
    text = resources.files("assets").joinpath("default-scenario.toml").read_text("utf-8")
    for slow, fast in (
        ("bystanders = 6", "bystanders = 0"),
        ("advertising_interval = 0.1 ", "advertising_interval = 0.02"),
        ("supervision_timeout = 0.4 ", "supervision_timeout = 0.05"),
        ("join = 0.3 ", "join = 0.05"),
        ("scan = 0.2 ", "scan = 0.02"),
        ("measure_after = 0.3 ", "measure_after = 0.02"),
        ("first_measurement_after = 0.5 ", "first_measurement_after = 0.05"),
        ("press_after = 1.5", "press_after = 0.05"),
    ):
        assert slow in text, slow
        text = text.replace(slow, fast)
    return text


@functools.cache
def control() -> httpx.Client:
    """The client of the control API, one for all tests of a process: making one reads every known certificate."""
    # No connection is kept: the lab closes idle ones, perhaps while a request is on its way.
    return httpx.Client(timeout=10, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


class Running(Protocol):
    """The part of `subprocess.Popen` that is used here."""

    @property
    def returncode(self) -> int | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, number: int, /) -> None: ...

    def kill(self) -> None: ...


class LabProcess:
    """One lab. Use it as an async or a plain context manager, or `start` and `stop` it."""

    def __init__(
        self, folder: Path, scenario: str | None = None, *, idle: float = 0, args: tuple[str, ...] = ()
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.state_file = folder / "lab.json"
        self.log_file = folder / "lab.log"
        self.scenario_file = folder / "scenario.toml"
        self.scenario_file.write_text(fast_scenario() if scenario is None else scenario, "utf-8")
        self._idle = idle
        self._args = args
        self.process: Running | None = None
        self.info: dict[str, Any] = {}

    # Starting and stopping.

    def start(self) -> LabProcess:
        """Start the process and wait until it is ready; its last words if it is not."""
        arguments = ["--state", str(self.state_file), "--scenario", str(self.scenario_file), "--idle", str(self._idle)]
        self.process = self._begin([*arguments, *self._args])
        deadline = time.monotonic() + START_SECONDS
        while not self.state_file.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"the lab did not start:\n{self.log()}")
            time.sleep(0.01)
        self.info = json.loads(self.state_file.read_text("utf-8"))
        return self

    def _begin(self, arguments: list[str]) -> Running:
        self.log_file.touch()
        nothing = self.folder / "nothing"
        nothing.touch()
        files = (nothing, self.log_file, self.log_file)
        return Forked(Start(tuple(arguments), dict(os.environ), self.folder, *files, lab=True))

    def stop(self) -> int:
        """End it as a person would; its exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        status = self.process.returncode
        assert status is not None
        return status

    def kill(self) -> None:
        """End it without warning."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def __enter__(self) -> LabProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> LabProcess:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    # What it says of itself.

    @property
    def http(self) -> str:
        return str(self.info["http"])

    @property
    def control_headers(self) -> dict[str, str]:
        """What the control API asks for."""
        return {"Authorization": f"Bearer {self.info['token']}"}

    @property
    def cloud(self) -> str:
        return str(self.info["cloud"])

    @property
    def adapter(self) -> str:
        """For `--adapter`."""
        return str(self.info["adapter"])

    @property
    def transport(self) -> str:
        """The Bumble transport: the adapter without `hci:`."""
        return self.adapter.removeprefix("hci:")

    @property
    def pid(self) -> int:
        return int(self.info["pid"])

    def log(self) -> str:
        """All that it wrote."""
        return self.log_file.read_text("utf-8", "replace")

    def environment(self, **more: str) -> dict[str, str]:
        """This process's environment, for a command that shall use this lab."""
        return {**os.environ, **more}

    # The control API.

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One call; the JSON that it answers. A mistake is an AssertionError with the lab's words."""
        return await asyncio.to_thread(self.call_now, method, path, body)

    def call_now(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """`call` for tests without an event loop."""
        answer = control().request(method, self.http + path, json=body, headers=self.control_headers)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def state(self) -> dict[str, Any]:
        """All of `/lab/state`."""
        return dict(await self.call("GET", "/lab/state"))

    async def device(self, model_or_address: str) -> dict[str, Any]:
        """One device's part of the state, by model id or address."""
        return _find(await self.state(), model_or_address)

    def address(self, model: str) -> str:
        """The address of the first device of this model."""
        return str(_find(self.call_now("GET", "/lab/state"), model)["address"])

    async def press(self, address: str) -> None:
        await self.call("POST", f"/lab/devices/{address}/press")

    async def measure(self, address: str, user: int | None = None) -> dict[str, Any]:
        body = None if user is None else {"user": user}
        return dict(await self.call("POST", f"/lab/devices/{address}/measure", body))

    async def measurements(self, address: str) -> list[dict[str, Any]]:
        """All that the device has measured, oldest first."""
        return list(await self.call("GET", f"/lab/devices/{address}/measurements"))

    async def drop(self, address: str) -> None:
        await self.call("POST", f"/lab/devices/{address}/drop")

    async def factory_reset(self, address: str) -> None:
        await self.call("POST", f"/lab/devices/{address}/reset")

    async def faults(self, address: str, **faults: Any) -> None:
        """Replace the device's faults: `faults(address, drop={"on": "credentials", "times": 1})`."""
        await self.call("POST", f"/lab/devices/{address}/faults", {"faults": faults})

    async def network(self, ssid: str, up: bool) -> None:
        await self.call("POST", f"/lab/networks/{quote(ssid, safe='')}", {"up": up})

    async def control_cloud(self, **change: Any) -> None:
        await self.call("POST", "/lab/cloud", change)

    async def reset(self) -> None:
        """The whole world back to its scenario."""
        await self.call("POST", "/lab/reset")

    async def until(
        self,
        holds: Callable[[dict[str, Any]], Any],
        model_or_address: str | None = None,
        seconds: float = UNTIL_SECONDS,
    ) -> dict[str, Any]:
        """Wait until `holds(state)` (of one device, if named) is true; that state."""
        deadline = time.monotonic() + seconds
        while True:
            state = await self.state()
            seen = state if model_or_address is None else _find(state, model_or_address)
            if holds(seen):
                return seen
            assert time.monotonic() < deadline, f"it did not come to that: {seen}\n{self.log()}"
            await asyncio.sleep(0.02)


def _find(state: dict[str, Any], model_or_address: str) -> dict[str, Any]:
    fits = [d for d in state["devices"] if model_or_address in (d["model"], d["address"])]
    assert fits, f"the lab has no {model_or_address}"
    return dict(fits[0])
