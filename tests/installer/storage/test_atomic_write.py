"""Atomic file writes: modes, and that a failed write leaves the old file."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer.errors import ErrorCode, InstallerError
from installer.storage.atomic_write import replace_file, write_text_atomically
from installer.storage.stale_files import STALE_SECONDS

posix = pytest.mark.skipif(os.name != "posix", reason="modes and pipes as on POSIX")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
def test_the_mode_of_a_new_file(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        replace_file(tmp_path / "secret", [b"a", b"b"])
        write_text_atomically(tmp_path / "named", ["ü\n", "b\n"])
    finally:
        os.umask(before)
    assert [mode(tmp_path / name) for name in ("secret", "named")] == [0o600, 0o600]
    assert (tmp_path / "secret").read_bytes() == b"ab"
    assert (tmp_path / "named").read_bytes() == "ü\nb\n".encode()


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old", "utf-8")

    def parts() -> Iterator[str]:
        yield "new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_text_atomically(path, parts())
    assert path.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(path.read_text("utf-8")))
    reader.start()
    write_text_atomically(path, ["a", "b"])
    reader.join(10)
    assert received == ["ab"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InstallerError) as caught:
        write_text_atomically(tmp_path / "absent" / "file", ["a"])
    assert caught.value.code is ErrorCode.FILE_UNWRITABLE


@posix
@pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd"])
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_an_open_file_of_the_shell_is_written_to(tmp_path: Path, kind: str, folder: str) -> None:
    """`--out >(COMMAND)`, and `--out /dev/stdout > FILE`, which must not replace the name in /dev."""
    file = tmp_path / "file"
    file.touch()
    reading, writing = os.pipe() if kind == "pipe" else (os.open(file, os.O_RDONLY), os.open(file, os.O_WRONLY))
    try:
        write_text_atomically(Path(folder) / str(writing), ["a", "b"])
        assert os.read(reading, 10) == b"ab"
    finally:
        os.close(reading)
        os.close(writing)


def test_what_a_killed_run_left_is_removed_with_the_next_write(tmp_path: Path) -> None:
    def leave(name: str, seconds: float) -> str:
        (tmp_path / name).write_text("health data", "utf-8")
        os.utime(tmp_path / name, (time.time() - seconds,) * 2)
        return name

    leave(".x.csv.0123abcd.tmp", 2 * STALE_SECONDS)
    others = (".x.csv.notes.tmp", ".y.csv.0123abcd.tmp", "x.csv.0123abcd.tmp")
    kept = {
        leave(".x.csv.0123abce.tmp", 0),  # another process may be writing it
        *(leave(name, 2 * STALE_SECONDS) for name in others),
    }
    replace_file(tmp_path / "x.csv", [b"new"])
    assert {path.name for path in tmp_path.iterdir()} == {"x.csv", *kept}
