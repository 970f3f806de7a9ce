"""The command `resume`: an installation that was cut off goes on at the step that it had reached."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from installer import output
from installer.cli.run_command import run

if TYPE_CHECKING:
    from installer.cli.merge_options import Flags
    from installer.flow.assembly import Place


def resume(
    installation: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Its id or the device's address; without: the only one.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List what can be resumed, and do nothing.")] = False,
    passphrase_file: Annotated[
        str | None,
        typer.Option("--passphrase-file", metavar="F", help="Passphrase, if still needed; - is stdin."),
    ] = None,
    passphrase_env: Annotated[
        str | None, typer.Option("--passphrase-env", metavar="VAR", help="The same, from variable VAR.")
    ] = None,
    passphrase_keyring: Annotated[
        str | None,
        typer.Option("--passphrase-keyring", metavar="NAME", help="The same, from the keyring's entry."),
    ] = None,
    proof_file: Annotated[
        str | None, typer.Option("--proof-file", metavar="F", help="The device's proof of possession, if it is needed.")
    ] = None,
    proof_env: Annotated[
        str | None, typer.Option("--proof-env", metavar="VAR", help="The same, from variable VAR.")
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", metavar="NAME", help="Link to this account in place of the one chosen.")
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the first measurement.")] = False,
    non_interactive: Annotated[bool, typer.Option("--non-interactive", help="Ask nobody.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON event a line.")] = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="S", min=0.001, help="Give up after S seconds.")
    ] = None,
    guide_timeout: Annotated[
        float | None,
        typer.Option("--guide-timeout", metavar="S", min=1, help="Wait S seconds for the vendor's app (900)."),
    ] = None,
    require_encryption: Annotated[
        bool, typer.Option("--require-encryption", help="Refuse to send a passphrase unencrypted over Bluetooth.")
    ] = False,
    keep_wifi: Annotated[
        bool, typer.Option("--keep-wifi", help="Link a device that is on Wi-Fi or an account already as it is.")
    ] = False,
    adapter: Annotated[
        str | None, typer.Option("--adapter", metavar="A", help="Another Bluetooth adapter than before.")
    ] = None,
    cloud: Annotated[str | None, typer.Option("--cloud", metavar="URL", help="Another cloud than before.")] = None,
    use_lab: Annotated[bool, typer.Option("--lab", help="What was begun with --lab.")] = False,
    catalogue: Annotated[
        list[Path] | None, typer.Option("--catalogue", metavar="FILE", help="Other catalogue files than before.")
    ] = None,
    ledger: Annotated[
        str | None, typer.Option("--ledger", metavar="URL", help="The ledger that has the record.")
    ] = None,
) -> None:
    """Go on with an installation that was cut off.

    Nothing that is done is done again.
    """
    from installer.cli.merge_options import Flags
    from installer.cli.scripted_front_end import fail_early
    from installer.flow.assembly import Place
    from installer.flow.steps.step import Deadlines, Options

    options = Options(
        non_interactive=non_interactive or not sys.stdin.isatty(),
        require_encryption=require_encryption,
        keep_wifi=keep_wifi,
        deadlines=Deadlines().with_guide(guide_timeout),
        timeout=timeout,
    )
    place = Place(
        adapter=adapter, cloud=cloud, lab=use_lab, catalogues=tuple(catalogue or ()), options=options, ledger=ledger
    )
    flags = Flags(
        passphrase_file=passphrase_file,
        passphrase_env=passphrase_env,
        passphrase_keyring=passphrase_keyring,
        proof_file=proof_file,
        proof_env=proof_env,
        account=account,
        no_wait=no_wait,
    )
    with fail_early(json=json):
        if show:
            _list(place, json=json)
            return
        record = _record(place, installation)
        if record["outcome"] == "installed":
            _done(record, json=json)
            return
    run(_resume(place, record, flags, json=json))


async def _resume(place: Place, record: dict[str, Any], flags: Flags, *, json: bool) -> None:
    from installer.cli import merge_options
    from installer.cli.scripted_front_end import Scripted, fail_early, summary_lines
    from installer.flow import resumable
    from installer.flow.assembly import Assembly
    from installer.flow.installation import Installation
    from installer.flow.resume import EarlierAttempt

    with fail_early(json=json):
        past = EarlierAttempt.of(record)
        # A secret that was typed is not in the record; it may be named now.
        answers = merge_options.merge(past.answers, flags)
        assembly = Assembly(resumable.place_of(place, record))
        if place.lab:
            await assembly.lab()
    try:
        ended = await Installation(assembly.surroundings(), Scripted(json=json), answers, past).run()
    finally:
        await assembly.close()
    if ended.error is not None:
        raise resumable.with_hint(ended.error, ended.summary, lab=place.lab)
    if not json:
        for line in summary_lines(ended):
            output.result(line)
    if ended.left is not None:
        raise ended.left
    if ended.left is not None:
        raise ended.left


def _record(place: Place, wanted: str | None) -> dict[str, Any]:
    from installer.flow import resumable

    with _records(place) as records:
        return resumable.pick(records, wanted)


def _list(place: Place, *, json: bool) -> None:
    import dataclasses
    from json import dumps

    from installer.flow import resumable

    with _records(place) as records:
        found = resumable.resumable(records)
    now = datetime.now(UTC)
    for one in found:
        if json:
            output.result(dumps(dataclasses.asdict(one), ensure_ascii=False))
        else:
            batch = f"  (batch {one.batch}: start its plan again)" if one.batch else ""
            output.result(f"{one.id}  {one.device}  {one.outcome} at the {one.step} step, {one.ago(now)}{batch}")
    if not found and not json:
        output.words("There is no installation to resume.")


def _done(record: dict[str, Any], *, json: bool) -> None:
    """It is installed: said, and no failure, so that a script may ask for it twice."""
    from installer.events.stream import InstallationDone

    names = ("address", "name", "model", "ssid", "account", "device_id")
    summary = {"installation": record["id"]} | {k: record[k] for k in names if record.get(k)}
    if json:
        event = InstallationDone(outcome="installed", took=0.0, summary=summary)
        output.result(event.model_copy(update={"installation": record["id"]}).model_dump_json())
        return
    name = record.get("name") or record.get("model") or "The device"
    output.words(f"{name} {record.get('address') or ''} is installed; nothing is left to do.")


def _records(place: Place) -> Any:
    from contextlib import closing

    from installer import settings
    from installer.ledger import location as ledger_place
    from installer.ledger.records import Records

    target = ledger_place.target(place.ledger, settings.load().ledger, lab=place.lab)
    return closing(Records(target, settings.runtime_dir() / "stations"))
