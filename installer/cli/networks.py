"""The command `networks`: networks saved under a name, their passphrases in the keyring of the operating system."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from installer import output
from installer.cli import GROUPS
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from pydantic import SecretStr

    from installer.storage.keyring import SystemKeyring
    from installer.wifi.networks import Network, Security
    from installer.wifi.saved_networks import SavedNetwork

app = typer.Typer(help=GROUPS["networks"], rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Your name for the network.")]
LOCK_SECONDS = 10.0


@app.command()
def add(
    name: Name,
    ssid: Annotated[str | None, typer.Option("--ssid", metavar="SSID", help="Its SSID, if not NAME itself.")] = None,
    security: Annotated[
        str, typer.Option("--security", metavar="S", help="open, wpa, wpa2, wpa/wpa2, wpa3, wpa2/wpa3 or unknown.")
    ] = "unknown",
    hidden: Annotated[bool, typer.Option("--hidden", help="The network does not show its name.")] = False,
    passphrase_file: Annotated[
        str | None, typer.Option("--passphrase-file", metavar="F", help="Read the passphrase from file F; - is stdin.")
    ] = None,
    passphrase_env: Annotated[
        str | None,
        typer.Option("--passphrase-env", metavar="VAR", help="Keep no passphrase, only that it is in variable VAR."),
    ] = None,
    wifi_qr: Annotated[
        str | None, typer.Option("--wifi-qr", metavar="TEXT", help="All of it from a WIFI: text: -, @FILE, env:VAR.")
    ] = None,
    wifi_qr_image: Annotated[
        Path | None, typer.Option("--wifi-qr-image", metavar="FILE", help="All of it from a picture of its QR code.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace what is saved under this name.")] = False,
) -> None:
    """Save a network. Its passphrase is asked for, and put into the keyring of the operating system."""
    from installer.cli import qr_options
    from installer.wifi import saved_networks
    from installer.wifi.networks import Credentials, Network, check_credentials, check_network

    saved_networks.check_name(name)
    _check_free(name, replace)
    code = qr_options.wifi_code(wifi_qr, wifi_qr_image)
    secrets = [given for given in (passphrase_file, passphrase_env) if given is not None]
    if len(secrets) > 1:
        raise InstallerError(
            ErrorCode.USAGE, "The passphrase is named in two places.", "Give --passphrase-file or --passphrase-env."
        )
    if code is not None and (ssid is not None or secrets or security != "unknown"):
        raise InstallerError(
            ErrorCode.USAGE,
            "The code says what the network is, and so do the other options.",
            "Give either the code, or --ssid with --security and --passphrase-file.",
        )
    if code is not None:
        network, passphrase = code.network, code.passphrase
        network = network.model_copy(update={"hidden": network.hidden or hidden})
    else:
        network = Network(ssid=name if ssid is None else ssid, security=_security(security), hidden=hidden)
        check_network(network)
        if passphrase_env is not None:
            run(_add_named(name, network, passphrase_env, replace))
            output.words(f"Saved “{name}”: {network.label}, its passphrase is in the variable {passphrase_env}.")
            return
        passphrase = _passphrase(network, passphrase_file)
    check_credentials(Credentials(network=network, passphrase=passphrase))
    place = run(_add(name, network, passphrase, replace))
    output.words(f"Saved “{name}”: {network.label}{f', its passphrase in {place}' if place else ''}.")


@app.command(name="list")
def list_networks(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """List the saved networks; never a passphrase."""
    from installer.wifi import saved_networks

    known = saved_networks.load()
    if not known and not json:
        output.words("No network is saved. `device-installer networks add NAME` saves one.")
    for name, saved in known.items():
        if json:
            output.result(
                jsonlib.dumps({"name": name, **saved.model_dump(mode="json", exclude_none=True)}, ensure_ascii=False)
            )
            continue
        hidden = "  hidden" if saved.hidden else ""
        output.result(
            f"{printable(name):<20} {saved.network.label:<32} {saved.security.value}{hidden}  {_where(saved)}"
        )


@app.command()
def remove(name: Name) -> None:
    """Forget a saved network, and its passphrase in the keyring."""
    run(_remove(name))
    output.words(f"“{printable(name)}” is removed.")


async def _add(name: str, network: Network, passphrase: SecretStr, replace: bool) -> str:
    """Keyring first, then the file: a crash between leaves no entry that names a passphrase which is not there."""
    from installer.storage.keyring import KeyringFailed
    from installer.storage.secret_references import SecretRef
    from installer.wifi import saved_networks
    from installer.wifi.saved_networks import SavedNetwork

    async with _locked():
        _check_free(name, replace)
        networks = saved_networks.load()
        ref, place = None, ""
        if passphrase.get_secret_value():
            keyring = await _keyring()
            try:
                await keyring.set(_entry(name), passphrase.get_secret_value())
            except KeyringFailed as error:
                raise _no_keyring(f"the keyring did not take it ({error})") from None
            ref, place = SecretRef(keyring=name), keyring.name
        old = networks.get(name)
        networks[name] = SavedNetwork(
            ssid=network.ssid, security=network.security, hidden=network.hidden, passphrase=ref
        )
        saved_networks.save(networks)
        if ref is None and old is not None:
            await _forget(name, old)
    return place


async def _add_named(name: str, network: Network, variable: str, replace: bool) -> None:
    """Keep only where the passphrase is: for a computer without a keyring. One that can be read now is checked."""
    import os

    from installer.storage.secret_references import SecretRef
    from installer.wifi import saved_networks
    from installer.wifi.networks import Credentials, Security, check_credentials
    from installer.wifi.saved_networks import SavedNetwork

    ref = SecretRef(env=variable)
    if os.environ.get(variable) or network.security is Security.OPEN:
        check_credentials(Credentials(network=network, passphrase=ref.fetch()))
    async with _locked():
        _check_free(name, replace)
        networks = saved_networks.load()
        old = networks.get(name)
        networks[name] = SavedNetwork(
            ssid=network.ssid, security=network.security, hidden=network.hidden, passphrase=ref
        )
        saved_networks.save(networks)
        if old is not None:
            await _forget(name, old)


async def _remove(name: str) -> None:
    """File first, then the keyring. A passphrase that a line names elsewhere is left where it is."""
    from installer.wifi import saved_networks

    async with _locked():
        networks = saved_networks.load()
        if name not in networks:
            raise saved_networks.not_saved(name, networks)
        old = networks.pop(name)
        saved_networks.save(networks)
        await _forget(name, old)


async def _forget(name: str, old: SavedNetwork) -> None:
    """Remove the passphrase that this command put into the keyring."""
    from installer.storage import keyring as keyrings

    if old.passphrase is None or old.passphrase.keyring != name:
        return
    keyring = await keyrings.find()
    try:
        if keyring is None:
            raise keyrings.KeyringFailed("there is none now")
        await keyring.delete(_entry(name))
    except keyrings.KeyringFailed as error:
        raise InstallerError(
            ErrorCode.SECRET_UNAVAILABLE,
            f"The passphrase of “{name}” may still be in the keyring: {error}.",
            f"Remove the entry “{_entry(name)}” of device-installer with the keyring's own program.",
        ) from None


async def _keyring() -> SystemKeyring:
    from installer.storage import keyring as keyrings

    found = await keyrings.find()
    if found is None:
        raise _no_keyring("this system has no keyring that protects what it keeps")
    return found


def _no_keyring(why: str) -> InstallerError:
    from installer.wifi import saved_networks

    return InstallerError(
        ErrorCode.SECRET_UNAVAILABLE,
        f"The passphrase cannot be saved: {why}. It is never written into a plain file.",
        "Save only where it is: --passphrase-env VARIABLE (or passphrase = "
        f'{{ file = "PATH" }} in {saved_networks.path()}); or give it at each installation.',
    )


@asynccontextmanager
async def _locked() -> AsyncIterator[None]:
    """Two commands at once write one after the other."""
    from installer.storage.file_lock import file_lock
    from installer.wifi import saved_networks

    lock = saved_networks.path().with_name(f".{saved_networks.FILE}.lock")
    async with AsyncExitStack() as stack:
        try:
            lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            await stack.enter_async_context(file_lock(lock, LOCK_SECONDS))
        except (OSError, TimeoutError) as error:
            why = "another program is writing them" if isinstance(error, TimeoutError) else error.strerror
            raise InstallerError(
                ErrorCode.FILE_UNWRITABLE,
                f"The saved networks in {lock.parent} cannot be changed: {why}.",
                "Check the permissions of that folder, then try again.",
            ) from None
        yield


def _check_free(name: str, replace: bool) -> None:
    from installer.wifi import saved_networks

    if not replace and name in saved_networks.load():
        raise InstallerError(
            ErrorCode.ANSWERS_INVALID,
            f"A network is saved under the name “{name}” already.",
            "Take another name, or give --replace.",
            network=name,
        )


def _security(text: str) -> Security:
    from installer.wifi.networks import Security

    try:
        return Security(text.strip().lower())
    except ValueError:
        raise InstallerError(
            ErrorCode.USAGE,
            f"--security knows no “{printable(text, 32)}”.",
            f"These are known: {', '.join(Security)}.",
        ) from None


def _passphrase(network: Network, file: str | None) -> SecretStr:
    """From the file, or asked for without an echo; an open network has none."""
    from pydantic import SecretStr

    from installer.storage.secret_references import SecretRef
    from installer.wifi.networks import Security

    if file is not None:
        return SecretRef(file=file).fetch()
    if network.security is Security.OPEN:
        return SecretStr("")
    if not sys.stdin.isatty():
        raise InstallerError(
            ErrorCode.ANSWER_MISSING,
            f"The passphrase of {network.label} is missing, and there is no terminal to ask for it.",
            "Give --passphrase-file F (- is standard input), or --security open for a network without one.",
        )
    return _typed(network)


def _typed(network: Network) -> SecretStr:
    import getpass

    from pydantic import SecretStr

    from installer.wifi.networks import passphrase_problem

    while True:
        try:
            typed = getpass.getpass(f"Passphrase of {network.label} (hidden; empty if it has none): ")
        except EOFError:
            raise InstallerError(ErrorCode.INTERRUPTED, "Stopped.", "Nothing was saved.") from None
        problem = passphrase_problem(typed, network.security)
        if problem is None:
            return SecretStr(typed)
        output.words(problem)


def _entry(name: str) -> str:
    return f"network:{name}"


def _where(saved: SavedNetwork) -> str:
    ref = saved.passphrase
    if ref is None:
        return "without a passphrase"
    if ref.keyring is not None:
        return "passphrase in the keyring"
    if ref.host:
        return "passphrase from this computer"
    return f"passphrase in variable {ref.env}" if ref.env is not None else f"passphrase in file {ref.file}"
