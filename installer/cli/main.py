"""The command line: chooses the command, and turns its failure into an error message and an exit status."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from copy import copy
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from installer import output
from installer.cli import COMMAND_GROUPS
from installer.cli.batch import batch
from installer.cli.core_files import no_core_file
from installer.cli.crash_report import report_defect
from installer.cli.debugging_variables import ignore_debugging_variables, secrets_may_be_written, silence_warnings
from installer.cli.doctor import doctor
from installer.cli.end_signals import EndedBySignal, unwind_on_signals
from installer.cli.exits import exits
from installer.cli.install import install
from installer.cli.link import link
from installer.cli.models import models
from installer.cli.option_groups import expand_options
from installer.cli.options import PlaceOptions
from installer.cli.resume import resume
from installer.cli.run_command import print_error, protect_secrets
from installer.cli.scan import scan
from installer.cli.schema import schema
from installer.cli.unusable_output import only_prints, output_failed, unusable_path
from installer.cli.wizard import open_wizard, wizard
from installer.errors import ErrorCode, InstallerError
from installer.storage import PRIVATE_UMASK

if TYPE_CHECKING:
    from typer.models import CommandInfo

app = typer.Typer(
    name="device-installer",
    help="Sets up connected health devices over Bluetooth and Wi-Fi. Without a command: the wizard.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Without a command: the wizard."""
    if version:
        from installer import __version__

        output.print_result(__version__)
        raise typer.Exit
    # Here, and not only where a command runs a coroutine: others read secrets as well, such as a database's password.
    protect_secrets()
    if context.invoked_subcommand is None:
        open_wizard(PlaceOptions().run_config())


for command in (wizard, install, resume, batch, link, scan, models, doctor, schema, exits):
    app.command()(command)
_COMMANDS = tuple(app.registered_commands)


def main(arguments: list[str] | None = None) -> None:
    """The program. It ends with the exit status, and no traceback reaches the user."""
    output.open_closed_streams()
    ignore_debugging_variables()
    silence_warnings()
    if not secrets_may_be_written():
        no_core_file()
    unwind_on_signals()
    # What this program writes is for this user only, whoever started it.
    os.umask(PRIVATE_UMASK)
    # Pydantic looks for plug-ins in the metadata of every installed package. There are none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if os.environ.get("TZ"):
        from installer.timing.own_zone import use_own_zone

        use_own_zone()
    status = _main(arguments)
    # Python looks through all objects once more before it ends. There is nothing to be found that ending does not free.
    gc.freeze()
    sys.exit(status)


def _add_commands(arguments: list[str]) -> None:
    """Add all commands. Only the one that is called is loaded; the others have a name and a help text."""
    app.registered_commands = [_with_options(c) if _name(c) in arguments else _without_options(c) for c in _COMMANDS]
    app.registered_groups.clear()
    for name, text in COMMAND_GROUPS.items():
        if name in arguments:
            app.add_typer(import_module(f"installer.cli.{name}").app, name=name)
        else:
            app.add_typer(typer.Typer(help=text, rich_markup_mode=None), name=name)


def _name(command: CommandInfo) -> str:
    return command.name or (command.callback.__name__ if command.callback else "")


def _with_options(command: CommandInfo) -> CommandInfo:
    expanded = copy(command)
    assert command.callback is not None
    expanded.callback = expand_options(command.callback)
    return expanded


def _without_options(command: CommandInfo) -> CommandInfo:
    """The same command without its options: reading them takes much of the time of `--help`."""

    def never_called() -> None:
        """Has the help text of the command."""

    never_called.__doc__ = command.callback.__doc__ if command.callback else None
    named = copy(command)
    named.name, named.callback = _name(command), never_called
    return named


def _main(arguments: list[str] | None) -> int:
    """Run the command; the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    output.reset()
    if not only_prints(given):
        output.go_on_without_output()
    _add_commands(given)
    try:
        status = app(args=arguments, standalone_mode=False)
    except InstallerError as error:
        return print_error(error)
    except (typer.Abort, KeyboardInterrupt):
        return print_error(
            InstallerError(
                ErrorCode.INTERRUPTED, "Stopped.", "Start it again, or continue with `device-installer resume`."
            )
        )
    except EndedBySignal as end:
        return _print_signal(end)
    except output.ReaderGone as end:
        return int(end.code or 0)
    except SystemExit as end:
        # So typer ends when the reader of `--help` has gone.
        if type(sys.stdout).__name__ == "PacifyFlushWrapper":
            return output.READER_GONE_STATUS
        return end.code if isinstance(end.code, int) else 0
    except Exception as error:  # noqa: BLE001 - the boundary of the process: never a traceback to a user
        if _is_usage_error(error):
            return _print_usage_error(error)
        if isinstance(error, OSError) and (failure := unusable_path(error)) is not None:
            return print_error(failure)
        return report_defect(error)
    if not status and output.why_lost():
        return print_error(output_failed(output.why_lost()))
    return status if isinstance(status, int) else 0


def _print_signal(end: EndedBySignal) -> int:
    """Say what ended it; the exit status. A terminal that was closed cannot be written to."""
    with suppress(OSError, ValueError):
        output.print_message(f"Stopped by {signal.Signals(end.number).name}.")
    return 128 + end.number


def _is_usage_error(error: Exception) -> bool:
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _print_usage_error(error: Any) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "device-installer"
    return print_error(
        InstallerError(ErrorCode.USAGE, str(error.format_message()), f"`{command} --help` lists the options.")
    )
