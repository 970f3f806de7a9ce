"""File locks: one holder at a time, and a lock that ends with its process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from installer.storage.file_lock import file_lock, is_abandoned, open_lock_file, try_lock

HOLDER = """
import sys
from pathlib import Path
from installer.storage.file_lock import open_lock_file, try_lock
print(try_lock(open_lock_file(Path(sys.argv[1]))), flush=True)
sys.stdin.readline()
"""


async def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    async with file_lock(path, 1):
        with pytest.raises(TimeoutError):
            async with file_lock(path, 0.05):
                pass
    async with file_lock(path, 1):
        pass
    assert path.exists()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    assert not is_abandoned(path)  # there is no such file
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert not is_abandoned(path)
        descriptor = open_lock_file(path)
        assert not try_lock(descriptor)
        os.close(descriptor)
    finally:
        holder.kill()
        holder.communicate()
    assert is_abandoned(path)


def tidy_up(path: Path, *, again: bool) -> None:
    """Somebody deletes the file, and perhaps makes a new one."""
    path.unlink()
    if again:
        path.touch()


@pytest.mark.parametrize("again", [False, True])
async def test_a_lock_whose_file_is_gone_is_taken_again_before_anybody_else_has_it(tmp_path: Path, again: bool) -> None:
    path = tmp_path / "one.lock"
    async with file_lock(path, 1) as lock:
        assert lock.is_kept()
        tidy_up(path, again=again)
        assert lock.is_kept()
        with pytest.raises(TimeoutError):
            async with file_lock(path, 0.05):
                pass
    async with file_lock(path, 1):
        pass


@pytest.mark.parametrize("again", [False, True])
async def test_a_lock_that_another_has_taken_meanwhile_is_lost(tmp_path: Path, again: bool) -> None:
    path = tmp_path / "one.lock"
    async with file_lock(path, 1) as lock:
        tidy_up(path, again=again)
        async with file_lock(path, 1) as other:
            assert not lock.is_kept()
            assert other.is_kept()
        assert lock.is_kept()  # the other one is done


async def test_whoever_waited_for_a_file_that_is_deleted_takes_the_one_at_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.lock"
    tried: list[int] = []

    def slow(descriptor: int) -> bool:
        locked = try_lock(descriptor)
        if not tried:
            tidy_up(path, again=True)  # between the opening and the lock
        tried.append(descriptor)
        return locked

    monkeypatch.setattr("installer.storage.file_lock.try_lock", slow)
    async with file_lock(path, 1) as lock:
        assert lock.is_kept()
        assert len(tried) == 2
        with pytest.raises(TimeoutError):
            async with file_lock(path, 0.05):
                pass


async def test_a_folder_that_was_moved_away_is_made_again_with_the_lock(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    async with file_lock(folder / "one.lock", 1) as lock:
        folder.rename(tmp_path / "elsewhere")
        assert lock.is_kept()
        assert (folder / "one.lock").exists()
