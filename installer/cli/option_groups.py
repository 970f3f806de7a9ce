"""Expands dataclasses of command-line options, so that commands which share options declare each one once.

A group is a dataclass whose fields are typer options:

    @dataclass(frozen=True)
    class PlaceOptions:
        adapter: Annotated[str | None, typer.Option("--adapter", help="Bluetooth adapter.")] = None
        cloud: Annotated[str | None, typer.Option("--cloud", help="Base URL of the cloud.")] = None

A command takes the whole group, or only some of its options; the others keep their defaults:

    @expand_options
    def scan(*, place: Annotated[PlaceOptions, only("adapter")]) -> None: ...
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints


class Only(NamedTuple):
    """The options of a group that a command has."""

    names: tuple[str, ...]


def only(*names: str) -> Only:
    """Marks a parameter: the command has only these options of the group."""
    return Only(names)


def expand_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of its groups in place of the groups, as typer can read them."""
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, tuple[str, ...]]] = {}
    for parameter in inspect.signature(command).parameters.values():
        hint = hints[parameter.name]
        group, names = _group(hint)
        if group is None:
            parameters.append(parameter.replace(annotation=hint, kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        groups[parameter.name] = group, names
        parameters += [option for option in _options(group) if option.name in names]

    @functools.wraps(command)
    def expanded(**values: Any) -> None:
        for name, (group, names) in groups.items():
            values[name] = group(**{option: values.pop(option) for option in names})
        command(**values)

    expanded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    expanded.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return expanded


def _group(hint: Any) -> tuple[type | None, tuple[str, ...]]:
    """The dataclass of a parameter and the names of its options. None: the parameter is an option itself."""
    group, extras = hint, list[Any]()
    if get_origin(hint) is Annotated:
        group, *extras = get_args(hint)
    if not (isinstance(group, type) and is_dataclass(group)):
        return None, ()
    chosen = [extra.names for extra in extras if isinstance(extra, Only)]
    return group, chosen[0] if chosen else tuple(field.name for field in fields(group))


def _options(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]
