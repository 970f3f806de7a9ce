"""Marks of processes: whose process lives is told by the system's lock, also after a kill."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

from installer.storage.process_marks import EMPTY_SECONDS, ProcessMarks

MARKING = """
import sys
from pathlib import Path
from installer.storage.process_marks import ProcessMarks
mark = ProcessMarks(Path(sys.argv[1])).hold("theirs")
print("marked", flush=True)
sys.stdin.read()
"""


def test_a_mark_is_held_as_long_as_its_process_lives(tmp_path: Path) -> None:
    marks = ProcessMarks(tmp_path / "marks")
    with subprocess.Popen(
        [sys.executable, "-c", MARKING, str(marks.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"marked\n"
        assert [text for text, _ in marks.held()] == ["theirs"]
        assert marks.take_abandoned() == []
        process.kill()
        process.wait()
    assert marks.held() == []
    (left,) = marks.take_abandoned()
    assert left.text == "theirs"
    # It is this process's now, for another one that looks too.
    assert ProcessMarks(marks.folder).take_abandoned() == []
    left.leave()
    (again,) = marks.take_abandoned()
    again.remove()
    again.remove()
    assert list(marks.folder.iterdir()) == []


def test_a_mark_is_private_and_gone_when_it_is_removed(tmp_path: Path) -> None:
    marks = ProcessMarks(tmp_path / "marks")
    mark = marks.hold("ours")
    assert mark is not None
    (file,) = marks.folder.iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (marks.folder, file)] == [0o700, 0o600]
    mark.remove()
    assert list(marks.folder.iterdir()) == []


def test_a_mark_whose_file_another_has_by_now_is_not_removed(tmp_path: Path) -> None:
    marks = ProcessMarks(tmp_path)
    mark = marks.hold("ours")
    assert mark is not None
    (file,) = tmp_path.iterdir()
    file.unlink()
    file.write_text("another's")
    mark.remove()
    assert file.read_text() == "another's"


def test_what_is_about_to_be_written_is_not_taken_for_left(tmp_path: Path) -> None:
    marks = ProcessMarks(tmp_path)
    file = tmp_path / "1.mark"
    file.touch()
    assert marks.take_abandoned() == []
    assert file.exists()
    before = time.time() - EMPTY_SECONDS - 1
    os.utime(file, (before, before))
    assert marks.take_abandoned() == []
    assert not file.exists()


def test_without_a_usable_folder_there_are_no_marks(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    marks = ProcessMarks(tmp_path / "file")
    assert marks.hold("ours") is None
    assert marks.held() == marks.take_abandoned() == []
