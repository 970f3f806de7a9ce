"""Whatever is read has an end: of bytes, of time, of depth, of rows, of the ways in which a pattern can fit."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import installer
from installer import answers, settings
from installer.batch import plan_reader, spreadsheet
from installer.catalogue import catalogue_file, name_pattern
from installer.catalogue.model import Evidence
from installer.errors import ErrorCode, InstallerError
from installer.lab import scenario
from installer.notifications.receiver_certificate import UnusableCertificate, check_certificate
from installer.storage.secret_references import on_command_line
from installer.text import bounded_read, written_by_people
from installer.text.bounded_read import TooLong, read_bounded
from installer.text.written_by_people import MAX_DEPTH, UnreadableText, parse_toml

MODEL = """\
[[model]]
id = "a"
name = "A"
type = "other"
sync = ["wifi"]
missing.bluetooth = "no"
[[model.rules]]
evidence = "name"
score = 1
value = '''{pattern}'''
"""
READERS: dict[str, Callable[[Path], object]] = {
    "answers": answers.load,
    "catalogue": lambda path: catalogue_file.load([path]),
    "plan": lambda path: plan_reader.read(path),
    "scenario": scenario.load,
    "secret": lambda path: on_command_line(file=str(path)).fetch("passphrase"),
    "certificate": lambda path: check_certificate(path, None),
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_read, "PIPE_SECONDS", 0.05)


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_that_nobody_writes_ends_the_wait(reader: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises((InstallerError, UnusableCertificate), match=r"nobody wrote this pipe|it is a pipe"):
        READERS[reader](pipe)


@pytest.mark.parametrize("reader", READERS)
def test_a_device_is_no_file(reader: str) -> None:
    with pytest.raises((InstallerError, UnusableCertificate), match=r"it is a .*device, not a file"):
        READERS[reader](Path("/dev/zero"))


@pytest.mark.parametrize("reader", READERS)
def test_a_file_has_a_limit(reader: str, tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as stream:
        stream.truncate(1 << 30)  # takes no room
    with pytest.raises((InstallerError, UnusableCertificate), match="is longer than"):
        READERS[reader](file)


def test_a_pipe_is_read_to_its_end_and_not_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_read, "PIPE_SECONDS", 10)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for content, limit in ((b"abc", 3), (b"abcd", 3)):
        writer = threading.Thread(target=pipe.write_bytes, args=(content,))
        writer.start()
        if len(content) <= limit:
            assert read_bounded(pipe, limit) == content
        else:
            with pytest.raises(TooLong):
                read_bounded(pipe, limit)
        writer.join()


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        "a = " + "[" * 5000,
        "a = " + "{a = " * MAX_DEPTH + "1" + "}" * MAX_DEPTH,
        "[" + ".".join(["a"] * (MAX_DEPTH + 1)) + "]",
        " . ".join(['"a"', "'b'"] * MAX_DEPTH) + " = 1",
        "a = 0x1" + "0" * 20,
        "a = " + "1" * 30,
        "a = " + "1" * 5000,
    ],
)
def test_depth_and_numbers_of_toml_have_a_limit(text: str) -> None:
    with pytest.raises(UnreadableText, match=r"nested too deeply|more than 32 parts|a number is too long"):
        parse_toml(text)


def test_what_people_write_is_within_the_limits() -> None:
    text = 'a.b.c.d = [[1, [2]], {e = {f = "1.2.3.4"}}]\n[x."y.z"]\nn = -9223372036854775808\n# ' + "." * 99
    assert parse_toml(text)["x"]["y.z"] == {"n": -(2**63)}


def test_each_format_says_so_of_a_nested_text_and_calls_it_no_defect(tmp_path: Path) -> None:
    file = tmp_path / "nested.toml"
    file.write_text("a = " + "[" * 900 + "]" * 900)
    for name in ("answers", "catalogue", "scenario"):
        with pytest.raises(InstallerError, match="nested too deeply") as caught:
            READERS[name](file)
        assert caught.value.code is not ErrorCode.INTERNAL
    assert ["nested too deeply" in str(m) for m in plan_reader.read(file).mistakes] == [True]


@pytest.mark.parametrize("kind", ["csv", "toml"])
def test_a_plan_with_too_many_rows_is_refused_before_its_rows_are_checked(kind: str, tmp_path: Path) -> None:
    count = spreadsheet.MAX_ROWS + 1
    file = tmp_path / f"plan.{kind}"
    file.write_text("model,sync\n" + "no-model,x\n" * count if kind == "csv" else '[[row]]\nmodel="x"\n' * count)
    raw = plan_reader.read(file)
    assert raw.rows == []
    assert [m.what for m in raw.mistakes] == [f"The plan has more than {spreadsheet.MAX_ROWS} rows."]


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "(a|a)*b",
        "(a?){9}",
        "(a*)?{2}",
        "a?" * 40,
        ".*.*.*x",
        ".{,}.{,}.{,}",
        "(.*)(.*)(.*)",
        "(?=.*)(?!.*).*",
        r"(a)\1",
        "(?<=a)b",
        "(?P<x>a)",
        "(?>a)",
        "(?i)a",
        "a++",
        "a*?",
        "a" * 121,
        "(",
    ],
)
def test_a_catalogue_has_no_pattern_that_could_be_slow(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"pattern|regular expression"):
        name_pattern.check(pattern)
    toml = MODEL.replace("{pattern}", pattern)
    with pytest.raises(InstallerError) as caught:
        catalogue_file.parse(toml, "theirs.toml")
    assert caught.value.code is ErrorCode.CATALOGUE_INVALID


@pytest.mark.parametrize(
    "pattern", ["PROV_", r"(?:Acme |ACME-)?Scale [0-9A-F]{2,4}$", "[]a]+", "x{", r"A\.b\b(?! Pro).*[0-9]+$"]
)
def test_the_patterns_that_a_catalogue_needs_are_there(pattern: str) -> None:
    name_pattern.check(pattern)


def test_every_pattern_of_the_built_in_catalogue_passes_and_a_long_name_fits_none() -> None:
    names = [r.value for m in catalogue_file.load().models for r in m.rules if r.evidence is Evidence.NAME]
    assert names
    for value in names:
        assert name_pattern.compiled(value)
    prefix = name_pattern.compiled("PROV_")
    assert name_pattern.fits(prefix, "prov_1")
    assert not name_pattern.fits(prefix, "PROV_" + "x" * name_pattern.MAX_NAME_CHARACTERS)


# Reads without a limit that are there for a reason: {file: what they read}.
UNLIMITED = {
    "catalogue/catalogue_file.py": "assets/models.toml, a part of this program",
    "cli/lab.py": "assets/default-scenario.toml",
    "lab/scenario.py": "assets/default-scenario.toml",
    "ledger/shared.py": "the list of file systems that the system itself writes",
    "storage/peer_user.py": "the list of connections that the system itself writes",
    "ledger/report.py": "assets/report.html",
    "provisioning/guided/checklist.py": "assets/guides.toml",
}


_WHOLE = re.compile(r"\.read_(?:text|bytes)\(|(?:stream|file|stdin|response|socket)\.read\(\)")


def _sources() -> list[tuple[str, str]]:
    root = Path(installer.__file__).parent
    return [(file.relative_to(root).as_posix(), file.read_text("utf-8")) for file in sorted(root.rglob("*.py"))]


def test_every_other_read_of_a_file_has_a_limit() -> None:
    found = {name for name, text in _sources() if _WHOLE.search(text)}
    assert found == UNLIMITED.keys()


def test_every_json_text_that_is_read_may_be_nested_too_deeply() -> None:
    """`json.loads` raises RecursionError then; each caller catches that, too."""
    careless = []
    for name, text in _sources():
        for match in re.finditer(r"json(?:lib)?\.loads?\(", text):
            if "RecursionError" not in text[max(0, match.start() - 200) : match.end() + 400]:
                careless.append(f"{name}:{text.count(chr(10), 0, match.start()) + 1}")
    assert careless == []


def test_standard_input_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/zero").open("rb") as endless:
        monkeypatch.setattr(written_by_people, "_stdin", lambda: endless)
        with pytest.raises(UnreadableText, match="is longer than"):
            written_by_people.read_stdin()


def test_settings_that_are_a_pipe_end_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVICE_INSTALLER_CONFIG_DIR", str(tmp_path))
    os.mkfifo(tmp_path / "config.toml")
    with pytest.raises(InstallerError, match="nobody wrote this pipe"):
        settings.load()
