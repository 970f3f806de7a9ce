"""The command `bonds`: lists the keys that this computer keeps of paired devices, and erases them."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from installer import output
from installer.cli import COMMAND_GROUPS
from installer.cli.erasing_options import ErasingOptions
from installer.cli.option_groups import expand_options
from installer.cli.options import AdapterName, Json, LedgerUrl
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from installer.bluetooth.bonds import Bond

app = typer.Typer(help=COMMAND_GROUPS["bonds"], rich_markup_mode=None)


@app.command(name="list")
def list_bonds(adapter: AdapterName = None, json: Json = False, ledger: LedgerUrl = None) -> None:
    """List the devices of which this computer keeps keys, and which of them this program has installed or read."""
    found, problem = _bonds(adapter)
    known = _known_addresses(ledger) | _raw(found) if found else set()
    if json:
        for bond in found:
            fields = {**asdict(bond), "known": bond.address.upper() in known}
            output.print_result(jsonlib.dumps(fields, ensure_ascii=False))
    elif found:
        _print_table(found, known)
    elif problem is None:
        output.print_message("This computer keeps no keys of paired devices.")
    if problem is not None:
        raise problem


def _print_table(found: list[Bond], known: set[str]) -> None:
    rows = [
        output.Row((b.address, printable(b.name, 32), b.adapter, "yes" if b.address.upper() in known else "no"))
        for b in found
    ]
    for line in output.table_lines(("ADDRESS", "NAME", "ADAPTER", "OF THIS PROGRAM"), rows):
        output.print_result(line)


@app.command()
@expand_options
def forget(
    *,
    address: Annotated[
        list[str] | None, typer.Argument(metavar="ADDRESS", help="The devices with these addresses.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that this program has installed or read; no keyboards and so on.")
    ] = False,
    erasing: ErasingOptions,
    adapter: AdapterName = None,
    ledger: LedgerUrl = None,
) -> None:
    """Erase the keys that this computer keeps of paired devices. The devices keep theirs until they are reset."""
    if everything is bool(address):
        raise InstallerError(
            ErrorCode.USAGE,
            "--all was given together with an address." if everything else "It was not said which devices.",
            "Give addresses (`device-installer bonds list`), or --all.",
        )
    found, problem = _bonds(adapter)
    wanted = {one.strip().upper() for one in address or ()} or _known_addresses(ledger) | _raw(found)
    if problem is not None and not everything and wanted <= _raw(found):
        problem = None
    chosen = [bond for bond in found if bond.address.upper() in wanted]
    if chosen and not erasing.dry_run:
        if not erasing.yes:
            for bond in chosen:
                output.print_message(f"  {_words(bond)}")
        erasing.confirm("Erase their keys for good?")
        _forget(chosen, adapter)
    if erasing.json:
        fields = {"erased": not erasing.dry_run, "bonds": [asdict(bond) for bond in chosen]}
        output.print_result(jsonlib.dumps(fields, ensure_ascii=False))
        if problem is not None:
            raise problem
        return
    for bond in chosen:
        output.print_result(f"{'Would be erased' if erasing.dry_run else 'Erased'}: the keys of {_words(bond)}")
    if problem is not None:
        raise problem
    if not chosen:
        output.print_message("There are no keys of these devices to erase.")
    elif not erasing.dry_run:
        output.print_message("The devices keep their own keys until they are reset. To use one again, pair it again.")
    others = len(found) - len(chosen)
    if everything and others:
        output.print_message(f"{others} other paired devices stay; `device-installer bonds list` shows them.")


def _bonds(adapter: str | None) -> tuple[list[Bond], InstallerError | None]:
    """All bonds of this adapter, and why those of the system are not among them.

    Raises SECRET_UNAVAILABLE; if there are no others, also why there are none of the system.
    """
    from installer.bluetooth import bonds
    from installer.bluetooth.adapter import RAW_HCI_PREFIX
    from installer.flow.bluetooth_keys import raw_bonds

    raw = adapter is not None and adapter.startswith(RAW_HCI_PREFIX)
    own = run(raw_bonds()) if raw or adapter is None else []
    if raw:
        return own, None
    try:
        return own + run(bonds.list_bonds(adapter)), None
    except InstallerError as error:
        if not own:
            raise
        return own, error


def _raw(found: list[Bond]) -> set[str]:
    """The addresses of those that are kept in this program's own files."""
    return {bond.address for bond in found if not bond.path.startswith("/org/bluez/")}


def _forget(chosen: list[Bond], adapter: str | None) -> None:
    from installer.bluetooth import bonds
    from installer.flow.bluetooth_keys import forget_raw_bonds

    own = _raw(chosen)
    run(forget_raw_bonds(own))
    others = {bond.address for bond in chosen if bond.path.startswith("/org/bluez/")}
    if others:
        run(bonds.forget_bonds(others, adapter))


def _known_addresses(ledger: str | None) -> set[str]:
    """The addresses of the devices that this program has installed, or that its gateway has read."""
    from installer import settings
    from installer.gateway import outbox_forgetting
    from installer.gateway.files_and_lock import GatewayFiles
    from installer.gateway.outbox import Outbox
    from installer.ledger import location, queries
    from installer.ledger.records import Records
    from installer.storage.private_files import is_absent

    found: set[str] = set()
    target = location.target(ledger, settings.load().ledger)
    if target.file is None or not is_absent(target.file):
        records = Records(target, settings.runtime_dir() / "stations")
        try:
            found |= records.store.read("read the records", queries.addresses)
        finally:
            records.close()
    outbox = Outbox.open_existing(GatewayFiles.in_data_dir(lab=False).outbox)
    if outbox is not None:
        with outbox:
            found |= {address for address, _ in outbox_forgetting.known_devices(outbox)}
    return {address.upper() for address in found}


def _words(bond: Bond) -> str:
    connected = ", connected now" if bond.connected else ""
    return f"{printable(bond.name, 32)} {bond.address} ({bond.adapter}{connected})".strip()
