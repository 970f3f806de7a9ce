"""The gateway's unit in a real systemd: what it may still do, and what it may not; judged by systemd-analyze, too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer.gateway.systemd_unit import unit_text
from tests.system.systemd_manager import SystemdManager, systemd_manager

# In tenths, as systemd-analyze counts; a unit without limits has 95 and more.
MOST_EXPOSURE = 70
_PROGRAM = """
import ctypes, json, os, resource, socket, ssl, sys, threading
def can(work):
    try: work()
    except OSError: return False
    return True
callback = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)
found = {
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "mask": os.umask(0),
    "sockets": [can(lambda: socket.socket(f, k)) for f, k in (
        (socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_STREAM),
        (socket.AF_INET6, socket.SOCK_STREAM), (socket.AF_NETLINK, socket.SOCK_RAW))],
    "packets": can(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "namespace": ctypes.CDLL(None).unshare(0x10000000) == 0,
    "usb library": callback() == 7,
    "tls": bool(ssl.create_default_context().get_ciphers()),
}
open(sys.argv[1], "w").write(json.dumps(found))
"""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[SystemdManager]:
    with systemd_manager(tmp_path) as one:
        yield one


def test_the_unit_can_do_its_work_and_little_else(manager: SystemdManager, tmp_path: Path) -> None:
    result = tmp_path / "result"
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM, "utf-8")
    unit = manager.units / "limits.service"
    unit.write_text(unit_text([sys.executable, str(program), str(result)], {}, None, 10), "utf-8")
    manager.systemctl("daemon-reload")
    manager.systemctl("start", "--wait", unit.name)
    assert json.loads(result.read_text("utf-8")) == {
        "core": [0, 0],
        "mask": 0o077,
        "sockets": [True] * 4,
        "packets": False,
        "namespace": False,
        "usb library": True,
        "tls": True,
    }


def test_systemd_analyze_finds_it_confined(tmp_path: Path) -> None:
    unit = tmp_path / "gateway.service"
    unit.write_text(unit_text(["/bin/true"], {}, None, 10), "utf-8")
    judged = subprocess.run(
        [
            "systemd-analyze",
            "--user",
            "security",
            "--offline=true",
            f"--threshold={MOST_EXPOSURE}",
            "--no-pager",
            str(unit),
        ],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        timeout=30,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr
