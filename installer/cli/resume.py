"""The command `resume`: continues an interrupted installation at the step that it had reached."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from installer import output
from installer.cli.option_groups import only
from installer.cli.options import BehaviourOptions, Flags, Json, PlaceOptions
from installer.cli.run_command import run
from installer.text import printable

if TYPE_CHECKING:
    from installer.answers import Answers
    from installer.flow.run_options import RunConfig


def resume(
    *,
    installation: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Its id or the device's address; without: the only one.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List what can be resumed, and do nothing.")] = False,
    flags: Annotated[
        Flags,
        only(
            "device",
            "ssid",
            "exact",
            "passphrase_file",
            "passphrase_env",
            "passphrase_keyring",
            "proof_file",
            "proof_env",
            "account",
            "notify",
            "no_notify",
            "no_wait",
        ),
    ],
    behaviour: Annotated[
        BehaviourOptions,
        only(
            "non_interactive",
            "timeout",
            "guide_timeout",
            "require_encryption",
            "allow_unproved",
            "keep_wifi",
            "passkey_file",
            "passkey_env",
            "renew_bond",
        ),
    ],
    json: Json = False,
    place_options: PlaceOptions,
) -> None:
    """Continue an installation that was interrupted.

    Steps that are done are not repeated. An option replaces what was chosen before; without it, that choice stays.
    --device and --ssid only confirm which ones they are, for a ledger that others can write.
    An installation that was started with --lab is resumed with --lab.
    """
    from installer.cli.scripted_front_end import failure_as_event

    config = place_options.run_config(behaviour.run_options())
    with failure_as_event(json=json):
        if show:
            _list(config, json=json)
            return
        record, private = _record(config, installation)
    if record["outcome"] == "installed":
        _print_installed(record, json=json)
        return
    run(_resume(config, record, flags, private=private, json=json))


async def _resume(config: RunConfig, record: dict[str, Any], flags: Flags, *, private: bool, json: bool) -> None:
    from installer.cli import answers_from_options
    from installer.cli.scripted_front_end import ScriptedFrontEnd, failure_as_event, run_installation
    from installer.events.installation import Notice
    from installer.flow import shared_record

    front_end = ScriptedFrontEnd(json=json)
    with failure_as_event(json=json):
        found = shared_record.read(
            record, config, private=private, account=flags.account, device=flags.device, ssid=flags.ssid
        )
        for text in found.notices:
            front_end.show(Notice(code="shared_ledger", text=text, installation=found.attempt.id))
        await shared_record.confirm(found, None if config.options.non_interactive else front_end.ask)
        # A secret that was typed is not in the record; a flag can name it now.
        answers = answers_from_options.merge(found.attempt.answers, _without_known(flags, found.attempt.answers))
    await run_installation(found.config, answers, found.attempt, json=json)


def _without_known(flags: Flags, answers: Answers) -> Flags:
    """The flags without a device and a network that the answers name, too: the answers know more of them."""
    from dataclasses import replace

    from installer.answers import FindAnswer

    find, network = answers.find, answers.network
    if find is not None and flags.device is not None and find.device == FindAnswer(device=flags.device).device:
        flags = replace(flags, device=None)
    if network is not None and network.ssid == flags.ssid:
        flags = replace(flags, ssid=None)
    return flags


def _record(config: RunConfig, wanted: str | None) -> tuple[dict[str, Any], bool]:
    """The record, and whether nobody else can write its ledger."""
    from installer.flow import resume

    with _records(config) as records:
        return resume.find_record(records, wanted), records.private


def _list(config: RunConfig, *, json: bool) -> None:
    import dataclasses
    from json import dumps

    from installer.flow import resume

    with _records(config) as records:
        found = resume.list_resumable(records)
        damage = records.damaged.error()
    now = datetime.now(UTC)
    for one in found:
        if json:
            output.print_result(dumps(dataclasses.asdict(one), ensure_ascii=False))
        else:
            batch = f"  (batch {printable(one.batch)}: start its plan again)" if one.batch else ""
            step = f"{one.outcome} at the {printable(one.step)} step"
            output.print_result(f"{one.id}  {one.device}  {step}, {one.ago(now)}{batch}")
    if damage is not None:
        raise damage
    if not found and not json:
        output.print_message("There is no installation to resume.")


def _print_installed(record: dict[str, Any], *, json: bool) -> None:
    """Say that the device is installed. This is no failure, so that a script may resume twice."""
    from installer.events.installation import InstallationDone

    names = ("address", "name", "model", "ssid", "account", "device_id")
    summary = {"installation": record["id"]} | {k: record[k] for k in names if record.get(k)}
    if json:
        event = InstallationDone(outcome="installed", took=0.0, summary=summary)
        output.print_result(event.model_copy(update={"installation": record["id"]}).model_dump_json())
        return
    name = printable(record.get("name") or record.get("model") or "The device")
    output.print_message(f"{name} {printable(record.get('address') or '')} is installed; nothing is left to do.")


def _records(config: RunConfig) -> Any:
    from contextlib import closing

    from installer import settings
    from installer.ledger import location as ledger_location
    from installer.ledger.records import Records

    target = ledger_location.target(config.ledger, settings.load().ledger, lab=config.lab)
    return closing(Records(target, settings.runtime_dir() / "stations"))
