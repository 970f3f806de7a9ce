"""The command line: parses, picks a front end, and maps errors to the exit status."""

from __future__ import annotations

import errno
import gc
import os
import sys
from contextlib import suppress
from copy import copy
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from installer import output
from installer.cli import GROUPS, info
from installer.cli.batch import batch
from installer.cli.install import install
from installer.cli.link import link
from installer.cli.options import (
    AdapterSpec,
    AnswersFile,
    Ask,
    Catalogues,
    CloudUrl,
    DeviceQr,
    DeviceQrImage,
    Encryption,
    Guided,
    GuideTimeout,
    Ledger,
    Operator,
    SavedNetwork,
    Site,
    UseLab,
    WifiQr,
    WifiQrImage,
    answers_of,
    place_of,
)
from installer.cli.resume import resume
from installer.cli.run_command import tell, tell_defect
from installer.errors import ErrorCode, InstallerError
from installer.text import sentence

if TYPE_CHECKING:
    from typer.models import CommandInfo

    from installer.answers import Answers
    from installer.flow.assembly import Place

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

        output.result(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        _wizard(place_of(), answers=None, ask="")


@app.command()
def wizard(
    answers: AnswersFile = None,
    network: SavedNetwork = None,
    wifi_qr: WifiQr = None,
    wifi_qr_image: WifiQrImage = None,
    qr: DeviceQr = None,
    qr_image: DeviceQrImage = None,
    ask: Ask = "",
    adapter: AdapterSpec = None,
    cloud: CloudUrl = None,
    use_lab: UseLab = False,
    catalogue: Catalogues = None,
    require_encryption: Encryption = False,
    guided: Guided = False,
    guide_timeout: GuideTimeout = None,
    ledger: Ledger = None,
    site: Site = None,
    operator: Operator = None,
) -> None:
    """Open the wizard. With --answers or a code, only what they leave open is asked."""
    from installer.cli import merge_options
    from installer.flow.steps.step import Deadlines, Options
    from installer.ledger.site_and_operator import Context

    choices = merge_options.Flags(
        network=network, wifi_qr=wifi_qr, wifi_qr_image=wifi_qr_image, qr=qr, qr_image=qr_image
    )
    merge_options.check_terminal(choices)
    options = Options(
        require_encryption=require_encryption, guided=guided, deadlines=Deadlines().with_guide(guide_timeout)
    )
    merged = merge_options.merge(answers_of(answers), choices)
    who = Context(site=site, operator=operator)
    place = replace(place_of(adapter, cloud, use_lab, catalogue, options), ledger=ledger, context=who)
    _wizard(place, merged, ask)


def _wizard(place: Place, answers: Answers | None, ask: str) -> None:
    from installer.answers import Answers
    from installer.cli.merge_options import steps
    from installer.flow.assembly import Assembly

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InstallerError(
            ErrorCode.USAGE,
            "The wizard needs a terminal.",
            "In a script use `device-installer install --non-interactive`; its --help lists the choices.",
        )
    # Thousands of objects are made while the screens load, none of them garbage.
    gc.disable()
    from screens.open_wizard import run_wizard

    gc.freeze()
    gc.enable()
    asked = (answers or Answers()).without(steps(ask))
    run_wizard(Assembly(place), asked)


# No room on the disk, none left of a quota, or a file too large.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
for later in (install, resume, batch, link):
    app.command()(later)
info.add_to(app)
_COMMANDS = tuple(app.registered_commands)


def main(arguments: list[str] | None = None) -> None:
    """The program. Ends with the exit status; no traceback ever reaches the person."""
    # Looking for plug-ins of pydantic means reading the metadata of every installed package; there are none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    sys.exit(_main(arguments))


def _add_commands(words: list[str]) -> None:
    """Add the commands; only the one that is called is loaded, the others are a name and a help text."""
    app.registered_commands = [c if _name(c) in words else _only_named(c) for c in _COMMANDS]
    app.registered_groups.clear()
    for name, text in GROUPS.items():
        if name in words:
            app.add_typer(import_module(f"installer.cli.{name}").app, name=name)
        else:
            app.add_typer(typer.Typer(help=text, rich_markup_mode=None), name=name)


def _name(command: CommandInfo) -> str:
    return command.name or (command.callback.__name__ if command.callback else "")


def _only_named(command: CommandInfo) -> CommandInfo:
    """The same without its options: to read those takes a good part of the time that `--help` has."""

    def nothing() -> None:
        """Never called."""

    nothing.__doc__ = command.callback.__doc__ if command.callback else None
    named = copy(command)
    named.name, named.callback = _name(command), nothing
    return named


def _main(arguments: list[str] | None) -> int:
    _add_commands(sys.argv[1:] if arguments is None else arguments)
    try:
        status = app(args=arguments, standalone_mode=False)
    except InstallerError as error:
        return tell(error)
    except (typer.Abort, KeyboardInterrupt):
        return tell(
            InstallerError(
                ErrorCode.INTERRUPTED, "Stopped.", "Start it again, or go on with `device-installer resume`."
            )
        )
    except BrokenPipeError:
        # Whoever read the results has gone; there is nobody to tell.
        sys.stderr.close()
        return 0
    except Exception as error:  # noqa: BLE001 - the boundary of the process: never a traceback to a person
        if _is_usage(error):
            return _tell_usage(error)
        if isinstance(error, OSError) and error.errno in FULL:
            return _tell_full(error)
        return tell_defect(error)
    return status if isinstance(status, int) else 0


def _tell_full(error: OSError) -> int:
    # What standard output did not take is let go; Python would complain of it once more at its end.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return tell(
        InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"{sentence(str(error.filename or output.STANDARD_OUTPUT))} cannot be written: {error.strerror}.",
            "Make room there, or write to another place. What was done until then is kept.",
        )
    )


def _is_usage(error: Exception) -> bool:
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _tell_usage(error: Any) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "device-installer"
    return tell(
        InstallerError(ErrorCode.USAGE, str(error.format_message()), f"`{command} --help` lists what is possible.")
    )
