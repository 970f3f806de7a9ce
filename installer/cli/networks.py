"""The command `networks`: saves Wi-Fi networks under a name, with their passphrases in the system's keyring."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from installer import output
from installer.cli import COMMAND_GROUPS
from installer.cli.options import Hidden, Json, PassphraseFile, WifiQr, WifiQrImage
from installer.cli.run_command import protect_secrets, run
from installer.cli.saved_passphrases import delete_passphrase, is_in_keyring, may_be_saved
from installer.errors import ErrorCode, InstallerError
from installer.storage.unusable_paths import unwritable
from installer.text import printable

if TYPE_CHECKING:
    from pydantic import SecretStr

    from installer.storage.file_lock import HeldLock
    from installer.storage.keyring import SystemKeyring
    from installer.wifi.networks import Network, Security
    from installer.wifi.saved_networks import SavedNetwork

app = typer.Typer(help=COMMAND_GROUPS["networks"], rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Your name for the network.")]
LOCK_TIMEOUT_SECONDS = 10.0


@app.command()
def add(
    name: Name,
    ssid: Annotated[
        str | None,
        typer.Option("--ssid", metavar="SSID", help="The SSID, if it is not NAME. With a code: the one it means."),
    ] = None,
    security: Annotated[
        str, typer.Option("--security", metavar="S", help="open, wpa, wpa2, wpa/wpa2, wpa3, wpa2/wpa3 or unknown.")
    ] = "unknown",
    hidden: Hidden = False,
    passphrase_file: PassphraseFile = None,
    passphrase_env: Annotated[
        str | None,
        typer.Option("--passphrase-env", metavar="VAR", help="Save no passphrase, only that it is in variable VAR."),
    ] = None,
    wifi_qr: WifiQr = None,
    wifi_qr_image: WifiQrImage = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace what is saved under this name.")] = False,
) -> None:
    """Save a network. Its passphrase is asked for, and stored in the system's keyring."""
    from installer.cli import qr_code_arguments
    from installer.wifi import saved_networks
    from installer.wifi.credentials import Credentials, check_credentials, passphrase_warning
    from installer.wifi.networks import Network, check_network, check_typed_ssid

    protect_secrets()
    saved_networks.check_name(name)
    _check_free(name, replace)
    code = qr_code_arguments.wifi_code(wifi_qr, wifi_qr_image, ssid)
    secrets = [given for given in (passphrase_file, passphrase_env) if given is not None]
    if len(secrets) > 1:
        raise InstallerError(
            ErrorCode.USAGE, "The passphrase is named in two places.", "Give --passphrase-file or --passphrase-env."
        )
    if code is not None and (secrets or security != "unknown"):
        raise InstallerError(
            ErrorCode.USAGE,
            "The network is given twice: by the code and by other options.",
            "Give either the code (with --ssid, if it can be read in several ways), or --ssid with --security and "
            "--passphrase-file.",
        )
    if code is not None:
        network, passphrase = qr_code_arguments.chosen_network(code, may_ask=wifi_qr not in ("-", "@-"))
        network = network.model_copy(update={"hidden": network.hidden or hidden})
    else:
        check_typed_ssid(name if ssid is None else ssid)
        if passphrase_env is not None and not passphrase_env.isidentifier():
            raise InstallerError(
                ErrorCode.USAGE,
                "--passphrase-env names no variable.",  # it may be the passphrase itself
                "Give the name of the environment variable that holds the passphrase, for example CLINIC.",
            )
        network = Network(ssid=name if ssid is None else ssid, security=_security(security), hidden=hidden)
        check_network(network)
        if passphrase_env is not None:
            run(_add_with_variable(name, network, passphrase_env, replace))
            output.print_message(
                f"Saved “{name}”: {network.in_quotes}, its passphrase is in the variable {passphrase_env}."
            )
            return
        passphrase = _passphrase(network, passphrase_file)
    check_credentials(Credentials(network=network, passphrase=passphrase))
    if warning := passphrase_warning(passphrase.get_secret_value(), network.security):
        output.print_message(warning)
    keyring = run(_add(name, network, passphrase, replace))
    output.print_message(f"Saved “{name}”: {network.in_quotes}{f', its passphrase in {keyring}' if keyring else ''}.")


@app.command(name="list")
def list_networks(json: Json = False) -> None:
    """List the saved networks, without their passphrases."""
    from installer.wifi import saved_networks

    known = saved_networks.load()
    if not known and not json:
        output.print_message("No network is saved. `device-installer networks add NAME` saves one.")
    for name, saved in known.items():
        if json:
            output.print_result(
                jsonlib.dumps({"name": name, **saved.model_dump(mode="json", exclude_none=True)}, ensure_ascii=False)
            )
            continue
        hidden = "  hidden" if saved.hidden else ""
        output.print_result(
            f"{printable(name):<20} {saved.network.label:<32} {saved.security.value}{hidden}  "
            + _passphrase_place(saved)
        )


@app.command()
def remove(name: Name) -> None:
    """Remove a saved network, and its passphrase from the keyring."""
    run(_remove(name))
    output.print_message(f"“{printable(name)}” is removed.")


async def _add(name: str, network: Network, passphrase: SecretStr, replace: bool) -> str:
    """Save a network, and its passphrase in the keyring; the name of the keyring (empty: no passphrase).

    The file names the entry of the keyring before it is there, and as long as it is there. So after a crash the keyring
    has no passphrase that no command knows of.
    """
    from installer.storage.keyring import KeyringFailed, KeyringSilent
    from installer.storage.secret_references import SecretRef, network_entry
    from installer.wifi import saved_networks
    from installer.wifi.saved_networks import SavedNetwork

    async with _locked() as lock:
        _check_free(name, replace)
        networks = saved_networks.load()
        before = dict(networks)
        reference = SecretRef(keyring=name) if passphrase.get_secret_value() else None
        networks[name] = SavedNetwork(
            ssid=network.ssid, security=network.security, hidden=network.hidden, passphrase=reference
        )
        if reference is None:
            await delete_passphrase(name, before.get(name))
            _save(networks, lock)
            return ""
        keyring = await _find_keyring()
        known = is_in_keyring(name, before.get(name))
        if not known:
            _save(networks, lock)
        try:
            await keyring.set(network_entry(name), passphrase.get_secret_value())
        except KeyringSilent as error:
            raise may_be_saved(name, error) from None  # the file goes on naming it
        except KeyringFailed as error:
            if not known:
                _save(before, lock)
            raise _cannot_save(f"the keyring refused it ({error})") from None
        if known:
            _save(networks, lock)
        return keyring.name


async def _add_with_variable(name: str, network: Network, variable: str, replace: bool) -> None:
    """Save only the variable of the passphrase, for a computer without a keyring. If it is set now, it is checked."""
    import os

    from installer.storage.secret_references import on_command_line
    from installer.wifi import saved_networks
    from installer.wifi.credentials import Credentials, check_credentials
    from installer.wifi.networks import Security
    from installer.wifi.saved_networks import SavedNetwork

    reference = on_command_line(env=variable)
    if os.environ.get(variable) or network.security is Security.OPEN:
        check_credentials(Credentials(network=network, passphrase=reference.fetch()))
    async with _locked() as lock:
        _check_free(name, replace)
        networks = saved_networks.load()
        await delete_passphrase(name, networks.get(name))
        networks[name] = SavedNetwork(
            ssid=network.ssid, security=network.security, hidden=network.hidden, passphrase=reference
        )
        _save(networks, lock)


async def _remove(name: str) -> None:
    """Remove the network's passphrase from the keyring, then the network from the file. Other places stay.

    A name that is not in the file is looked for in the keyring, too: an older version could leave a passphrase there.
    """
    from installer.wifi import saved_networks

    async with _locked() as lock:
        networks = saved_networks.load()
        was_there = await delete_passphrase(name, networks.get(name))
        if name in networks:
            del networks[name]
            _save(networks, lock)
        elif not was_there:
            raise saved_networks.not_saved(name, networks)


async def _find_keyring() -> SystemKeyring:
    from installer.storage import keyring as keyrings

    found = await keyrings.find_keyring()
    if found is None:
        raise _cannot_save("this system has no keyring that protects its entries")
    return found


def _cannot_save(why: str) -> InstallerError:
    from installer.wifi import saved_networks

    return InstallerError(
        ErrorCode.SECRET_UNAVAILABLE,
        f"The passphrase cannot be saved: {why}. It is never written into a plain file.",
        "Save only its place: --passphrase-env VARIABLE (or passphrase = "
        f'{{ file = "PATH" }} in {saved_networks.path()}); or give it at each installation.',
    )


@asynccontextmanager
async def _locked() -> AsyncIterator[HeldLock]:
    """Hold the lock of the file, so that two commands write one after the other. Raises FILE_UNWRITABLE."""
    from installer.storage.file_lock import file_lock
    from installer.wifi import saved_networks

    lock = saved_networks.path().with_name(f".{saved_networks.FILE_NAME}.lock")
    async with AsyncExitStack() as stack:
        try:
            lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            held = await stack.enter_async_context(file_lock(lock, LOCK_TIMEOUT_SECONDS))
        except (OSError, TimeoutError) as error:
            what = f"The saved networks in {lock.parent} cannot be changed"
            if not isinstance(error, TimeoutError):
                raise unwritable(what, lock, error) from None
            raise InstallerError(
                ErrorCode.FILE_UNWRITABLE, f"{what}: another program is writing them.", "Try again when it is done."
            ) from None
        yield held


def _save(networks: dict[str, SavedNetwork], lock: HeldLock) -> None:
    """Save the file, unless its lock was deleted and another program has it now. Raises FILE_UNWRITABLE."""
    from installer.wifi import saved_networks

    if not lock.is_kept():
        raise InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"The saved networks were not changed: somebody deleted {lock.path}, and another program writes them now.",
            "Try again.",
        )
    saved_networks.save(networks)


def _check_free(name: str, replace: bool) -> None:
    from installer.wifi import saved_networks

    if not replace and name in saved_networks.load():
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID,
            f"A network is saved under the name “{name}” already.",
            "Use another name, or give --replace.",
            network=name,
        )


def _security(text: str) -> Security:
    from installer.wifi.networks import Security

    try:
        return Security(text.strip().lower())
    except ValueError:
        raise InstallerError(
            ErrorCode.USAGE,
            f"--security cannot be “{printable(text, 32)}”.",
            f"Choose one of: {', '.join(Security)}.",
        ) from None


def _passphrase(network: Network, file: str | None) -> SecretStr:
    """The passphrase from the file, or asked for without echo; empty for an open network. Raises ANSWER_MISSING."""
    from pydantic import SecretStr

    from installer.storage.secret_references import on_command_line
    from installer.wifi.networks import Security

    if file is not None:
        return on_command_line(file=file).fetch()
    if network.security is Security.OPEN:
        return SecretStr("")
    if not sys.stdin.isatty():
        raise InstallerError(
            ErrorCode.ANSWER_MISSING,
            f"The passphrase of {network.in_quotes} is missing, and there is no terminal to ask for it.",
            "Give --passphrase-file F (- is standard input), or --security open for a network without one.",
        )
    return _ask_passphrase(network)


def _ask_passphrase(network: Network) -> SecretStr:
    from pydantic import SecretStr

    from installer.storage.hidden_prompt import ask_hidden
    from installer.text.written_by_people import without_mark
    from installer.wifi.credentials import passphrase_problem

    while True:
        try:
            typed = without_mark(ask_hidden(f"Passphrase of {network.in_quotes} (hidden; empty if it has none): "))
        except EOFError:
            raise InstallerError(ErrorCode.INTERRUPTED, "Stopped.", "Nothing was saved.") from None
        problem = passphrase_problem(typed, network.security)
        if problem is None:
            return SecretStr(typed)
        output.print_message(problem)


def _passphrase_place(saved: SavedNetwork) -> str:
    reference = saved.passphrase
    if reference is None:
        return "without a passphrase"
    if reference.keyring is not None:
        return "passphrase in the keyring"
    if reference.host:
        return "passphrase from this computer"
    return (
        f"passphrase in variable {reference.env}"
        if reference.env is not None
        else f"passphrase in file {reference.file}"
    )
