"""The lab as its own process: find the running one, start one, stop it, call its control API.

This module knows the lab's state file and its control address, and imports nothing of the lab.
The lab keeps running when the installer ends; after half an hour without use it stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from installer.errors import ErrorCode, InstallerError
from installer.storage.child_environment import smallest_environment
from installer.storage.peer_user import strange_listener
from installer.storage.private_files import OTHER_OWNER, create_private_file, read_private, write_private
from installer.storage.unusable_paths import unwritable
from installer.text.bounded_read import read_bounded
from installer.text.path_reasons import why_unusable
from installer.text.written_by_people import MAX_TEXT_BYTES, STDIN, UnreadableText, read_bytes

START_TIMEOUT_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 10.0
IDLE_STOP_SECONDS = 1800
MAX_STATE_BYTES = 64 * 1024
MAX_LOG_BYTES = 1024 * 1024


class LabUser(BaseModel):
    """The user of the lab's cloud, for a sign-in without a person."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    email: str
    password: SecretStr


class LabState(BaseModel):
    """What a running lab writes into its state file when it is ready. `token`: for its control API."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: Literal[1]
    pid: int
    http: str
    adapter: str
    cloud: str
    token: SecretStr = SecretStr("")
    client_id: str
    client_secret: SecretStr
    user: LabUser
    scenario: str = ""


def read_state(path: Path) -> LabState | None:
    """The state of the lab that wrote `path`, or None if there is no file or that lab does not run.

    Raises LAB_UNAVAILABLE if the file cannot be read: a lab may run.
    """
    try:
        content, exposed = read_private(path, MAX_STATE_BYTES)
        if exposed == OTHER_OWNER:
            raise OSError(errno.EACCES, "it belongs to another user")  # who could name a lab of their own
        state = LabState.model_validate_json(content)
    except (FileNotFoundError, NotADirectoryError):
        return None  # to start one says what is in the way
    except (OSError, ValidationError) as error:
        why = f"cannot be read ({why_unusable(error, path)})" if isinstance(error, OSError) else "is damaged"
        raise InstallerError(
            ErrorCode.LAB_UNAVAILABLE,
            f"Whether a lab runs is not known: its state file {path} {why}.",
            "End the lab if it runs (process “installer.lab”), and delete that file.",
            file=str(path),
        ) from None
    return state if _alive(state.pid) and _stranger_at(state.http) is None else None


async def ensure_running(path: Path, scenario: Path | None = None) -> LabState:
    """The running lab, or a new one. Raises LAB_UNAVAILABLE with the last log line if it does not start."""
    state = read_state(path)
    if state is not None:
        return state
    return await start(path, scenario)


async def start(path: Path, scenario: Path | None = None, idle: int = IDLE_STOP_SECONDS) -> LabState:
    """Start a lab in the background and wait until it is ready.

    Raises LAB_UNAVAILABLE, SCENARIO_INVALID, FILE_UNWRITABLE.
    """
    log = path.with_suffix(".log")
    command = [sys.executable, "-m", "installer.lab", "--state", str(path), "--idle", str(idle)]
    with contextlib.ExitStack() as stack:
        errors = stack.enter_context(_new_log(path, log))
        given: IO[bytes] | int | None = None if str(scenario) == STDIN else subprocess.DEVNULL
        if scenario is not None and scenario.is_fifo():
            # The lab cannot open a pipe of this process by its name, as in `--scenario <(…)`.
            given, scenario = (
                stack.enter_context(_content_of_pipe(scenario, path.with_suffix(".scenario"))),
                Path(STDIN),
            )
        command += ["--scenario", str(scenario)] if scenario is not None else []
        process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
            command,
            env=smallest_environment(),
            stdin=given,
            stdout=errors,
            stderr=errors,
            close_fds=True,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        state = read_state(path)
        if state is not None:
            return state
        if process.poll() is not None:
            raise _not_started(log, process.returncode)
        await asyncio.sleep(0.02)
    process.kill()
    raise InstallerError(
        ErrorCode.LAB_UNAVAILABLE,
        f"The lab was not ready within {START_TIMEOUT_SECONDS:.0f} s.",
        f"Its log is {log}.",
    )


async def stop(path: Path) -> bool:
    """Stop the running lab; False if there is none. Raises LAB_UNAVAILABLE if it does not stop."""
    state = read_state(path)
    if state is None:
        return False
    await call(state, "POST", "/lab/stop")
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    while _alive(state.pid):
        if time.monotonic() > deadline:
            raise InstallerError(
                ErrorCode.LAB_UNAVAILABLE, "The lab does not stop.", f"Stop the process {state.pid} by hand."
            )
        await asyncio.sleep(0.02)
    return True


async def call(state: LabState, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Call the lab's control API; the JSON of its answer. Raises LAB_UNAVAILABLE."""
    import httpx

    other = _stranger_at(state.http)
    if other is not None:
        raise InstallerError(
            ErrorCode.LAB_UNAVAILABLE,
            f"The lab was not asked: at {state.http} listens a program of {other}.",
            "Start the lab again: `device-installer lab start`.",
        )
    try:
        # Loading the certificates takes time, and http:// on this computer needs none.
        async with httpx.AsyncClient(base_url=state.http, timeout=10.0, trust_env=False, verify=False) as client:
            token = state.token.get_secret_value()
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            answer = await client.request(method, path, json=body, headers=headers)
            data = answer.json() if answer.content else {}
    except (httpx.HTTPError, ValueError) as error:
        raise InstallerError(
            ErrorCode.LAB_UNAVAILABLE,
            f"The lab at {state.http} does not answer ({type(error).__name__}).",
            "Stop it with `device-installer lab stop` and start it again.",
        ) from None
    if answer.is_error:
        raise InstallerError(
            ErrorCode.LAB_UNAVAILABLE,
            f"The lab refused: {data.get('error', answer.status_code) if isinstance(data, dict) else data}.",
            "`device-installer lab status` lists its devices and networks.",
        )
    return data


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # the number of a lab that has ended belongs to another user's process by now
    # A lab that this process started stays a zombie until it is waited for.
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return True


def _stranger_at(http: str) -> str | None:
    """Whose program listens where the lab did, if it is another person's."""
    parts = urlsplit(http)
    return strange_listener(parts.hostname or "", parts.port or 80)


def _new_log(path: Path, log: Path) -> IO[bytes]:
    """An empty log, open; the state file of an earlier lab is removed. Raises FILE_UNWRITABLE."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        create_private_file(log)
        return log.open("wb")
    except OSError as error:
        raise unwritable(f"The lab cannot keep its files in {path.parent}", path, error) from None


def _content_of_pipe(scenario: Path, copy: Path) -> IO[bytes]:
    """What the pipe holds, as an open file without a name. `copy`: its name at first. Raises SCENARIO_INVALID."""
    try:
        content = read_bytes(scenario, MAX_TEXT_BYTES)
    except UnreadableText as error:
        what = f"The scenario file {scenario} {error.why}."
        raise InstallerError(ErrorCode.SCENARIO_INVALID, what, error.todo) from None
    try:
        write_private(copy, content)
        try:
            return copy.open("rb")
        finally:
            copy.unlink()
    except OSError as error:
        raise unwritable(f"The lab's copy of the scenario {copy} cannot be written", copy, error) from None


def _not_started(log: Path, status: int) -> InstallerError:
    try:
        lines = read_bounded(log, MAX_LOG_BYTES).decode("utf-8", "replace").strip().splitlines()
    except OSError:
        lines = []
    last_line = lines[-1] if lines else ""
    try:
        details = json.loads(last_line)
    except (ValueError, RecursionError):
        details = None
    if isinstance(details, dict) and details.get("code") == ErrorCode.SCENARIO_INVALID.value:
        return InstallerError(ErrorCode.SCENARIO_INVALID, str(details.get("what", "")), str(details.get("todo", "")))
    if status == ErrorCode.SCENARIO_INVALID.exit_status:
        return InstallerError(ErrorCode.SCENARIO_INVALID, last_line, "Correct the scenario file.")
    return InstallerError(
        ErrorCode.LAB_UNAVAILABLE,
        f"The lab stopped at once (status {status}). {last_line}".strip(),
        f"Its log is {log}.",
    )
