"""Start-up: `--help`, the first Bluetooth call of a scripted run, the wizard's first frame."""

from __future__ import annotations

import os
import pty
import re
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PROGRAM = [str(Path(sys.executable).with_name("device-installer"))]
ROUNDS = 7
LIMIT = 20.0


def median(measure: Callable[[], float], rounds: int = ROUNDS) -> float:
    """The median of several rounds, in seconds; the first round warms the file cache and does not count."""
    measure()
    return statistics.median(measure() for _ in range(rounds))


def python_alone() -> float:
    """The floor: the interpreter starts and ends."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began


def help_text() -> float:
    """`device-installer --help`, from start to end."""
    began = time.perf_counter()
    subprocess.run([*PROGRAM, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def first_hci_byte() -> float:
    """A scripted run on a raw HCI adapter: from start to the first byte that reaches the adapter."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        return _until_called(server, ["--adapter", f"hci:tcp-client:127.0.0.1:{port}"], {})


def first_bus_byte() -> float:
    """A scripted run on the system's adapter: from start to bleak's first byte to the system bus (Linux)."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        path = f"{folder}/bus"
        server.bind(path)
        server.listen()
        return _until_called(server, [], {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={path}"})


def _until_called(server: socket.socket, options: list[str], environment: dict[str, str]) -> float:
    server.settimeout(LIMIT)
    command = [*PROGRAM, "install", "--non-interactive", "--device", "00:24:E4:00:00:02", "--sync", "bluetooth"]
    with tempfile.TemporaryDirectory() as home:
        began = time.perf_counter()
        process = subprocess.Popen(
            [*command, *options],
            env={**os.environ, **environment, "DEVICE_INSTALLER_HOME": home},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(LIMIT)
                connection.recv(1)
                return time.perf_counter() - began
        finally:
            process.kill()
            process.wait()


def first_frame() -> float:
    """The wizard in a real terminal of 80×24: from start to the first frame that shows its home screen."""
    with tempfile.TemporaryDirectory() as home:
        parent, child = pty.openpty()
        environment = {**os.environ, "DEVICE_INSTALLER_HOME": home, "TERM": "xterm-256color"}
        environment |= {"COLUMNS": "80", "LINES": "24"}
        began = time.perf_counter()
        process = subprocess.Popen(
            [*PROGRAM, "wizard", "--lab"],
            env=environment,
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
        )
        os.close(child)
        try:
            seen = b""
            while time.perf_counter() - began < LIMIT:
                if select.select([parent], [], [], 0.5)[0]:
                    seen += os.read(parent, 65536)
                    if b"Install" in re.sub(rb"\x1b\[[0-9;]*m", b"", seen):
                        return time.perf_counter() - began
            raise TimeoutError("the wizard drew no home screen")
        finally:
            process.kill()
            process.wait()
            os.close(parent)


def report() -> list[str]:
    """The table of start-up times, of a program whose modules are compiled already, as from the second start on."""
    os.environ["PYTHONDONTWRITEBYTECODE"] = ""
    floor = median(python_alone)
    rows = [
        ("python -c pass (the floor)", floor, None),
        ("--help", median(help_text), 0.120),
        ("scripted run to its first call of the system's Bluetooth", median(first_bus_byte), 0.400),
        ("scripted run to its first byte on a raw HCI adapter", median(first_hci_byte), 0.400),
        ("wizard to its first frame", median(first_frame), 0.700),
    ]
    lines = [f"{'start-up':<60}{'ms':>8}{'× floor':>10}{'budget':>10}"]
    for name, seconds, budget in rows:
        wanted = f"{budget * 1000:.0f}" if budget else "-"
        lines.append(f"{name:<60}{seconds * 1000:>8.0f}{seconds / floor:>10.1f}{wanted:>10}")
    return lines
