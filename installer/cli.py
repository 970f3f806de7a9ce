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
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from installer import output
from installer.commands import GROUPS, info
from installer.commands.batch import batch
from installer.commands.link import link
from installer.commands.resume import resume
from installer.commands.run import run, tell, tell_defect
from installer.errors import ErrorCode, InstallerError
from installer.text import sentence

if TYPE_CHECKING:
    from typer.models import CommandInfo

    from installer.answers import Answers
    from installer.assembly import Place

app = typer.Typer(
    name="device-installer",
    help="Sets up connected health devices over Bluetooth and Wi-Fi. Without a command: the wizard.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Device = Annotated[str | None, typer.Option("--device", metavar="ADDRESS", help="The device with this address.")]
ModelName = Annotated[str | None, typer.Option("--model", metavar="NAME", help="A device of this model (see: models).")]
Sync = Annotated[str | None, typer.Option("--sync", metavar="METHOD", help="wifi or bluetooth.")]
Ssid = Annotated[str | None, typer.Option("--ssid", metavar="NAME", help="The Wi-Fi network.")]
Hidden = Annotated[bool, typer.Option("--hidden", help="The network does not show its name.")]
SavedNetwork = Annotated[
    str | None, typer.Option("--network", metavar="NAME", help="The saved network of this name (see: networks list).")
]
WifiQr = Annotated[
    str | None,
    typer.Option("--wifi-qr", metavar="TEXT", help="The WIFI: text of a QR code: -, @FILE or env:VAR if secret."),
]
WifiQrImage = Annotated[
    Path | None, typer.Option("--wifi-qr-image", metavar="FILE", help="A picture of the network's QR code.")
]
DeviceQr = Annotated[
    str | None,
    typer.Option("--qr", metavar="TEXT", help="The text of the device's QR code: -, @FILE or env:VAR if secret."),
]
DeviceQrImage = Annotated[
    Path | None, typer.Option("--qr-image", metavar="FILE", help="A picture of the device's QR code.")
]
PassphraseFile = Annotated[
    str | None, typer.Option("--passphrase-file", metavar="F", help="Read the passphrase from file F; - is stdin.")
]
PassphraseEnv = Annotated[
    str | None, typer.Option("--passphrase-env", metavar="VAR", help="Take the passphrase from variable VAR.")
]
PassphraseKeyring = Annotated[
    str | None, typer.Option("--passphrase-keyring", metavar="NAME", help="Take it from the keyring's entry NAME.")
]
PassphraseHost = Annotated[
    bool, typer.Option("--passphrase-host", help="Take the one that this computer uses for that network itself.")
]
ProofFile = Annotated[
    str | None, typer.Option("--proof-file", metavar="F", help="Read the device's proof of possession from file F.")
]
ProofEnv = Annotated[
    str | None, typer.Option("--proof-env", metavar="VAR", help="Take the proof of possession from variable VAR.")
]
Username = Annotated[str | None, typer.Option("--username", metavar="U", help="User name that goes with the proof.")]
AccountName = Annotated[str | None, typer.Option("--account", metavar="NAME", help="The stored account to link to.")]
AnswersFile = Annotated[Path | None, typer.Option("--answers", metavar="FILE", help="Choices from a TOML file.")]
Ask = Annotated[str, typer.Option("--ask", metavar="STEPS", help="Ask a person for these steps, e.g. network,link.")]
Timeout = Annotated[float | None, typer.Option("--timeout", metavar="S", min=0.001, help="Give up after S seconds.")]
AdapterSpec = Annotated[
    str | None, typer.Option("--adapter", metavar="A", help="Bluetooth adapter: hci0, or hci:TRANSPORT for a raw one.")
]
CloudUrl = Annotated[str | None, typer.Option("--cloud", metavar="URL", help="Base URL of the cloud.")]
UseLab = Annotated[bool, typer.Option("--lab", help="Practise in the lab: no hardware, no Internet.")]
Catalogues = Annotated[
    list[Path] | None, typer.Option("--catalogue", metavar="FILE", help="Add models from FILE (repeatable).")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Look and check, but change nothing.")]
Encryption = Annotated[
    bool, typer.Option("--require-encryption", help="Refuse to send a passphrase unencrypted over Bluetooth.")
]
KeepWifi = Annotated[bool, typer.Option("--keep-wifi", help="Link a device that is on Wi-Fi already as it is.")]
Guided = Annotated[
    bool, typer.Option("--guided", help="Somebody sets the device up with the vendor's app; wait and go on from there.")
]
GuideTimeout = Annotated[
    float | None,
    typer.Option("--guide-timeout", metavar="S", min=1, help="Wait S seconds for the vendor's app (900)."),
]
Ledger = Annotated[str | None, typer.Option("--ledger", metavar="URL", help="The ledger, shared by several stations.")]
Site = Annotated[str | None, typer.Option("--site", metavar="S", help="Where: it stands in the record.")]
Operator = Annotated[str | None, typer.Option("--operator", metavar="O", help="Who: it stands in the record.")]
Label = Annotated[str | None, typer.Option("--label", metavar="L", help="Your name or number for the device.")]
Notify = Annotated[
    str | None,
    typer.Option(
        "--notify",
        metavar="URL",
        help="Let the cloud tell of new data there; {path} is its secret part. Or @FILE, env:VAR, -.",
    ),
]
NoNotify = Annotated[bool, typer.Option("--no-notify", help="Subscribe no notifications, whatever the settings say.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for the first measurement.")]


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
        _wizard(_place(), answers=None, ask="")


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
    from installer import merge
    from installer.ledger.context import Context
    from installer.steps.base import Deadlines, Options

    choices = merge.Flags(network=network, wifi_qr=wifi_qr, wifi_qr_image=wifi_qr_image, qr=qr, qr_image=qr_image)
    merge.check_terminal(choices)
    options = Options(
        require_encryption=require_encryption, guided=guided, deadlines=Deadlines().with_guide(guide_timeout)
    )
    merged = merge.merge(_load(answers), choices)
    who = Context(site=site, operator=operator)
    place = replace(_place(adapter, cloud, use_lab, catalogue, options), ledger=ledger, context=who)
    _wizard(place, merged, ask)


@app.command()
def install(
    device: Device = None,
    model: ModelName = None,
    sync: Sync = None,
    ssid: Ssid = None,
    hidden: Hidden = False,
    passphrase_file: PassphraseFile = None,
    passphrase_env: PassphraseEnv = None,
    passphrase_keyring: PassphraseKeyring = None,
    passphrase_host: PassphraseHost = False,
    network: SavedNetwork = None,
    wifi_qr: WifiQr = None,
    wifi_qr_image: WifiQrImage = None,
    qr: DeviceQr = None,
    qr_image: DeviceQrImage = None,
    proof_file: ProofFile = None,
    proof_env: ProofEnv = None,
    username: Username = None,
    account_name: AccountName = None,
    answers: AnswersFile = None,
    ask: Ask = "",
    non_interactive: Annotated[bool, typer.Option("--non-interactive", help="Ask nobody.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON event a line.")] = False,
    dry_run: DryRun = False,
    timeout: Timeout = None,
    adapter: AdapterSpec = None,
    cloud: CloudUrl = None,
    use_lab: UseLab = False,
    catalogue: Catalogues = None,
    require_encryption: Encryption = False,
    keep_wifi: KeepWifi = False,
    guided: Guided = False,
    guide_timeout: GuideTimeout = None,
    notify: Notify = None,
    no_notify: NoNotify = False,
    no_wait: NoWait = False,
    ledger: Ledger = None,
    site: Site = None,
    operator: Operator = None,
    label: Label = None,
) -> None:
    """Install one device; for scripts with --non-interactive."""
    from installer import merge
    from installer.ledger.context import Context
    from installer.scripted import fail_early
    from installer.steps.base import Deadlines, Options

    choices = merge.Flags(
        device=device,
        proof_file=proof_file,
        proof_env=proof_env,
        username=username,
        model=model,
        sync=sync,
        ssid=ssid,
        hidden=hidden,
        passphrase_file=passphrase_file,
        passphrase_env=passphrase_env,
        passphrase_keyring=passphrase_keyring,
        passphrase_host=passphrase_host,
        network=network,
        wifi_qr=wifi_qr,
        wifi_qr_image=wifi_qr_image,
        qr=qr,
        qr_image=qr_image,
        account=account_name,
        notify=notify,
        no_notify=no_notify,
        no_wait=no_wait,
    )
    with fail_early(json=json):
        merged = merge.merge(_load(answers), choices)
        steps = merge.steps(ask)
        if steps and not sys.stdin.isatty():
            raise InstallerError(
                ErrorCode.USAGE, "--ask wants to ask a person, and there is no terminal.", "Leave --ask out."
            )
    options = Options(
        # Where nobody can answer, nobody is asked.
        non_interactive=non_interactive or bool(steps) or not sys.stdin.isatty(),
        dry_run=dry_run,
        require_encryption=require_encryption,
        keep_wifi=keep_wifi,
        guided=guided,
        deadlines=Deadlines().with_guide(guide_timeout),
        ask=steps,
        timeout=timeout,
    )
    who = Context(site=site, operator=operator, label=label)
    place = replace(_place(adapter, cloud, use_lab, catalogue, options), ledger=ledger, context=who)
    run(_install(place, merged, json=json))


async def _install(place: Place, answers: Answers, *, json: bool) -> None:
    from installer.assembly import Assembly
    from installer.installation import Installation
    from installer.resuming import with_hint
    from installer.scripted import Scripted, fail_early, summary_lines

    with fail_early(json=json):
        assembly = Assembly(place)
        if place.lab:
            await assembly.lab()
    try:
        ended = await Installation(assembly.surroundings(), Scripted(json=json), answers).run()
    finally:
        await assembly.close()
    if ended.error is not None:
        raise with_hint(ended.error, ended.summary, lab=place.lab)
    if not json:
        for line in summary_lines(ended):
            output.result(line)
    if ended.left is not None:
        raise ended.left


def _wizard(place: Place, answers: Answers | None, ask: str) -> None:
    from installer.answers import Answers
    from installer.assembly import Assembly
    from installer.merge import steps

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InstallerError(
            ErrorCode.USAGE,
            "The wizard needs a terminal.",
            "In a script use `device-installer install --non-interactive`; its --help lists the choices.",
        )
    # Thousands of objects are made while the screens load, none of them garbage.
    gc.disable()
    from screens.run import run_wizard

    gc.freeze()
    gc.enable()
    asked = (answers or Answers()).without(steps(ask))
    run_wizard(Assembly(place), asked)


def _place(
    adapter: str | None = None,
    cloud: str | None = None,
    use_lab: bool = False,
    catalogue: list[Path] | None = None,
    options: Any = None,
) -> Place:
    from installer.assembly import Place
    from installer.steps.base import Options

    return Place(
        adapter=adapter, cloud=cloud, lab=use_lab, catalogues=tuple(catalogue or ()), options=options or Options()
    )


def _load(path: Path | None) -> Answers | None:
    if path is None:
        return None
    from installer.answers import load

    return load(path)


# No room on the disk, none left of a quota, or a file too large.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
for later in (resume, batch, link):
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
            app.add_typer(import_module(f"installer.commands.{name}").app, name=name)
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
