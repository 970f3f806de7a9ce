"""A file that is open is told apart from the one at its path."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import pytest

from installer.errors import ErrorCode
from installer.storage.open_file_identity import Change, FileReplaced, OpenFileIdentity, open_identified
from tests.installer.storage.file_changes import DELETED, MOVED, OVERWRITTEN, RESTORED, back_up, change_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("content", "utf-8")
    return path


def opened(path: Path) -> tuple[IO[str], OpenFileIdentity]:
    return open_identified(path, lambda: path.open(encoding="utf-8"), "the notes")


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        (MOVED, Change.GONE, "was renamed to moved-away while"),
        (DELETED, Change.GONE, "was moved away or deleted while"),
        (RESTORED, Change.REPLACED, "was replaced by another file while"),
    ],
)
def test_the_error_says_which_file_and_what_happened(path: Path, kind: str, change: Change, said: str) -> None:
    backup = back_up(path)
    file, identity = opened(path)
    with file:
        identity.check()
        change_file(kind, path, backup)
        with pytest.raises(FileReplaced) as caught:
            identity.check()
    assert caught.value.change is change
    assert caught.value.code is ErrorCode.DATABASE_FAILED
    assert f"The file of the notes, {path}, {said}" in caught.value.what
    assert "not confirmed" in caught.value.todo


def test_a_file_that_is_only_written_into_is_the_same(path: Path) -> None:
    backup = back_up(path)
    file, identity = opened(path)
    with file:
        change_file(OVERWRITTEN, path, backup)
        identity.check()


def test_a_file_that_takes_the_name_of_the_open_one_is_told_with_the_new_name_of_that(path: Path) -> None:
    file, identity = opened(path)
    with file:
        path.rename(path.with_name("old"))
        path.write_text("new", "utf-8")
        with pytest.raises(FileReplaced, match="the one that was open is now called old"):
            identity.check()


def test_a_folder_that_was_moved_away_takes_the_file_with_it(path: Path) -> None:
    folder = path.parent / "folder"
    folder.mkdir()
    inside = path.rename(folder / "file")
    file, identity = opened(inside)
    with file:
        folder.rename(path.parent / "elsewhere")
        assert identity.change() is Change.GONE


def test_a_path_that_cannot_be_looked_at_is_not_taken_for_a_deleted_file(path: Path) -> None:
    file, identity = opened(path)
    with file:
        path.unlink()
        path.symlink_to(path)  # a loop
        assert identity.change() is Change.UNREACHABLE


def test_a_file_that_is_replaced_while_it_is_opened_is_opened_again(path: Path) -> None:
    backup = back_up(path)
    again = [RESTORED, RESTORED]

    def slow() -> IO[str]:
        file = path.open(encoding="utf-8")
        if again:
            change_file(again.pop(), path, backup)
        return file

    file, identity = open_identified(path, slow)
    with file:
        assert OpenFileIdentity.of_descriptor(file.fileno(), path) == OpenFileIdentity.of_path(path)
        assert identity.change() is None
