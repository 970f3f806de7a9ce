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
