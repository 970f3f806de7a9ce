"""The callback URL: valid and invalid URLs, the masked form, and the file of the secret path."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.notifications import callback_url

SECRET = "s3cret-s3cret-s3cret"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://clinic.example/hooks/{SECRET}", "https://clinic.example/…/****"),
        (f"https://clinic.example:443/{SECRET}?a=b", "https://clinic.example:443/…/****"),
        (f"https://u:{SECRET}@clinic.example/", "https://clinic.example/…/****"),
        (f"http://[::1]:8085/{SECRET}", "http://[::1]:8085/…/****"),
        (f"nonsense {SECRET}", "****"),
    ],
)
def test_only_scheme_and_host_are_shown(url: str, shown: str) -> None:
    assert callback_url.masked(url) == shown


@given(st.text(max_size=300))
def test_any_text_has_a_harmless_form(text: str) -> None:
    assert "\n" not in callback_url.masked(text)
    assert isinstance(callback_url.url_problem(text), str)
    assert isinstance(callback_url.broken_rules(text), str)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://clinic.example/x",
        "https:///x",
        "https://clinic.example/a b",
        "https://clinic.example/x#y",
        "https://u:p@clinic.example/x",
        "https://clinic.example:99999/x",
        "https://clinic.example/" + "x" * 250,
    ],
)
def test_what_cannot_be_an_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InstallerError) as caught:
        callback_url.check_url(url)
    assert caught.value.code is ErrorCode.NOTIFICATIONS_REFUSED
    assert not url or url not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://clinic.example/x", "https://"),
        ("https://192.0.2.7/x", "public domain"),
        ("https://localhost/x", "public domain"),
        ("https://clinic.example:8443/x", "443 or 80"),
        ("http://127.0.0.1:8085/x", "notifications serve --lab"),
    ],
)
def test_the_rule_that_is_broken_is_named(url: str, words: str) -> None:
    assert words in callback_url.broken_rules(url)


def test_an_address_by_the_rules_breaks_none() -> None:
    assert not callback_url.broken_rules("https://clinic.example/x")


@pytest.mark.parametrize("path", ["/{}", "/{}/", "/{}//", "/hooks/{}", "//hooks//{}/"])
def test_the_path_is_known_by_its_last_part(path: str) -> None:
    assert callback_url.is_secret_path(path.format(SECRET), SecretStr(SECRET))


@pytest.mark.parametrize(
    "path", ["", "/", "//", "/{}x", "/{}/x", "/x{}", "/hooks", "/{}/..", "/\udcff", SECRET[:-1], SECRET.upper()]
)
def test_another_last_part_is_another_path(path: str) -> None:
    assert not callback_url.is_secret_path(path.format(SECRET), SecretStr(SECRET))


def test_a_secret_path_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "own" / "path"
    made = callback_url.secret_path(file)
    assert len(made.get_secret_value()) >= 32
    assert callback_url.secret_path(file) == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert callback_url.expand_path("https://clinic.example/hooks/{path}", file).get_secret_value() == (
        f"https://clinic.example/hooks/{made.get_secret_value()}"
    )


def test_a_path_that_others_can_read_is_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "path"
    file.write_text(SECRET, "utf-8")
    file.chmod(0o644)
    with pytest.raises(InstallerError, match="can be read by others") as caught:
        callback_url.secret_path(file)
    assert caught.value.code is ErrorCode.SECRET_UNAVAILABLE
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("content", ["", "short", "x" * 200, "white space in the path", "../../../../etc/passwd"])
def test_a_file_without_a_usable_path_is_told(tmp_path: Path, content: str) -> None:
    file = tmp_path / "path"
    file.write_text(content, "utf-8")
    file.chmod(0o600)
    with pytest.raises(InstallerError, match="does not hold"):
        callback_url.secret_path(file)
