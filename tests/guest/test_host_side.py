"""The guest's side on this computer, as far as it needs no QEMU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.guest.__main__ import failures_told
from tests.guest.ingredients import CHECKOUT, GUESTS
from tests.guest.inside import shares
from tests.guest.inside.radio_bridge import packets
from tests.guest.site_packages import requirements_for

LOCK = """old==1.0 ; python_full_version < '3.12' \\
    --hash=sha256:aa
new==2.0 ; python_full_version >= '3.12' \\
    --hash=sha256:bb
windows==3.0 ; sys_platform == 'win32' \\
    --hash=sha256:cc
mypy==4.0 \\
    --hash=sha256:dd
both==5.0 \\
    --hash=sha256:ee \\
    --hash=sha256:ff
"""


def test_without_qemu_it_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.guest"],
        cwd=CHECKOUT,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "apt-get install qemu-system-x86 mmdebstrap" in done.stderr


@pytest.mark.parametrize(("python", "kept"), [("3.11", "old==1.0"), ("3.13", "new==2.0")])
def test_the_lock_is_read_for_the_python_of_the_guest(python: str, kept: str) -> None:
    chosen = requirements_for(python, LOCK)
    assert [line.split()[0] for line in chosen.splitlines() if "==" in line] == [kept, "both==5.0"]
    assert chosen.count("--hash") == 3


def test_each_part_of_a_guest_has_a_place_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GUEST_CACHE", str(tmp_path))
    places = [place for guest in GUESTS.values() for place in (guest.root, guest.packages, guest.image)]
    assert len(set(places)) == len(places)
    assert {place.parent for place in places} == {tmp_path}


def test_a_stream_of_hci_is_cut_into_packets() -> None:
    event, data = bytes.fromhex("040e0401030c00"), bytes.fromhex("02400003000a0b0c")
    stream = bytearray(event + data + event[:3])
    assert packets(stream) == [event, data]
    assert stream == event[:3]
    stream += event[3:]
    assert packets(stream) == [event]


def test_two_guests_share_the_files_of_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shares, "SHARED", tmp_path)
    items: Any = [SimpleNamespace(path=Path(f"test_{name}.py"), name=name) for name in "abbbcc"]
    first, second = shares.taken(items), shares.taken(items)
    # The longest file goes to whoever comes first; then each takes what is left.
    assert [next(first).name, next(second).name] == ["b", "c"]
    assert [item.name for item in first] == ["b", "b", "a"]
    assert [item.name for item in second] == ["c"]


def test_failures_are_told_at_the_end_cut_to_their_last_lines(tmp_path: Path) -> None:
    for number, text in (
        (1, "FIRST (call, 3 s)\nwhy\n\n\n"),
        (2, "\n".join(f"line {n}" for n in range(90)) + "\n\n\n"),
    ):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "failures").write_text(text, "utf-8")
    (tmp_path / "3").mkdir()
    told = failures_told(tmp_path)
    assert told.startswith("FIRST (call, 3 s)\nwhy\n\nline 78\n")
    assert told.endswith("line 89")
