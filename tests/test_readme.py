"""What the README and docs/exit-statuses.md promise: the commands, the table of exit statuses, files that exist."""

from __future__ import annotations

import re
from pathlib import Path

from installer.errors import ErrorCode

ROOT = Path(__file__).resolve().parents[1]
README = ROOT.joinpath("README.md").read_text("utf-8")


def test_the_page_of_exit_statuses_is_the_table_of_the_program() -> None:
    page = ROOT.joinpath("docs/exit-statuses.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \| (.*)\|$", page, re.MULTILINE)
    found = [(status, code, meaning, todo.rstrip()) for status, code, meaning, todo in rows]
    expected = [("0", "ok", "done", "")] + [(str(c.exit_status), c.value, c.meaning, c.todo) for c in ErrorCode]
    assert found == expected


def test_no_exit_status_and_no_code_is_used_twice() -> None:
    assert len({c.exit_status for c in ErrorCode}) == len(list(ErrorCode)) == len({c.value for c in ErrorCode})


def test_the_first_screen_has_the_two_commands_and_the_picture() -> None:
    first = "\n".join(README.splitlines()[:20])
    assert "make demo" in first
    assert "make test" in first
    assert "](assets/wizard.svg)" in first
    assert ROOT.joinpath("assets/wizard.svg").is_file()


def test_every_linked_file_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert ROOT.joinpath(target).exists(), target


def test_the_lock_names_no_package_index_and_every_package_has_hashes() -> None:
    lock = ROOT.joinpath("requirements.lock").read_text("utf-8")
    assert "://" not in lock
    packages = re.findall(r"^([\w.-]+)==.*\\\n((?:    --hash=.*\n?)+)", lock, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[\w.-]+==", lock, re.MULTILINE)) > 80
