"""Near names: SSIDs that look the same to a person, and those that do not."""

from __future__ import annotations

import pytest

from installer.wifi.near_names import difference, near_names

NFC, NFD = "Café", "Cafe\u0301"


@pytest.mark.parametrize(
    ("typed", "heard", "differs"),
    [
        ("Home ", "Home", "a blank at the end"),
        ("Home", "Home ", "a blank at the end"),
        (" Home", "Home", "a blank at the start"),
        ("home", "Home", "capital letters"),
        (" home", "Home", "a blank at the start and capital letters"),
        ("Home\\", "Home", "a backslash"),
        (NFC, NFD, "how an accent is stored"),
        (NFD, NFC, "how an accent is stored"),
        ("My\u00a0Home", "My Home", "a no-break space"),
        ("Home\u00a0", "Home", "a blank at the end"),
        ("Anna\u2019s", "Anna's", "a character that looks alike"),
        ("Annas", "Anna's", "a character that looks alike"),
        ("\uff28ome", "Home", "a character that looks alike"),
        ("Home\u200b", "Home", "a character that looks alike"),
        ("Home\u2013Net", "Home-Net", "a character that looks alike"),
        ("Home_Net", "Home Net", "a character that looks alike"),
        ("“Home”", "Home", "a character that looks alike"),
        ("Home.", "Home", "a character that looks alike"),
        ("Strasse", "Straße", "a character that looks alike"),
        ("Cafe", NFC, "a character that looks alike"),
    ],
)
def test_a_name_that_looks_the_same_is_near(typed: str, heard: str, differs: str) -> None:
    assert near_names(typed, ["Office", heard]) == [heard]
    assert difference(typed, heard) == differs


@pytest.mark.parametrize(
    ("typed", "heard"),
    [
        ("Home", ["Home", "home", "Home "]),  # it is heard itself
        ("Home", ["Home2", "Home-5G", "Hom", "Heim", ""]),
        ("Clinic 1", ["Clinic 2"]),
        ("\\", ["-", " "]),
        ("日本", ["日本語"]),
    ],
)
def test_another_name_is_not_near(typed: str, heard: list[str]) -> None:
    assert near_names(typed, heard) == []


def test_several_near_names_are_told_in_their_order() -> None:
    assert near_names("HOME", ["home", "Office", "Home", "home"]) == ["home", "Home"]
