"""Groups of options: a command gets the options of a dataclass, all of them or some."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from installer.cli.option_groups import expand_options, only


@dataclass(frozen=True)
class Group:
    first: Annotated[str | None, typer.Option("--first", help="The first.")] = None
    second: Annotated[int, typer.Option("--second", help="The second.")] = 2


def collect(*, name: Annotated[str, typer.Argument()] = "x", group: Group, last: bool = False) -> None:
    """Collect."""
    print(name, group, last)  # noqa: T201


def collect_first(*, group: Annotated[Group, only("first")]) -> None:
    print(group)  # noqa: T201


def test_the_options_of_a_group_stand_in_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    command = expand_options(collect)
    parameters = inspect.signature(command).parameters
    assert [(name, p.default) for name, p in parameters.items()] == [
        ("name", "x"),
        ("first", None),
        ("second", 2),
        ("last", False),
    ]
    assert (command.__name__, command.__doc__) == ("collect", "Collect.")
    command(name="y", first="a", second=3, last=True)
    assert capsys.readouterr().out == "y Group(first='a', second=3) True\n"


def test_a_command_can_have_only_some_options_of_a_group(capsys: pytest.CaptureFixture[str]) -> None:
    command = expand_options(collect_first)
    assert list(inspect.signature(command).parameters) == ["first"]
    command(first="a")
    assert capsys.readouterr().out == "Group(first='a', second=2)\n"
