"""The command `link`: links a device that was set up before to its user's account."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from installer import output
from installer.cli.option_groups import only
from installer.cli.options import BehaviourOptions, Flags, Json, PlaceOptions
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError
from installer.text import printable
from installer.text.written_by_people import without_mark

if TYPE_CHECKING:
    from installer.answers import Answers
    from installer.flow.link_later import DeviceToLink
    from installer.flow.run_options import RunConfig
    from installer.flow.run_resources import RunResources

LINKABLE_OUTCOMES = ("to_be_linked", "installed")
LINKED_BEFORE = "This device was linked before, to account “{}”. Nothing is left to do."


def link(
    *,
    device: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="The id on its label, or the text of the label's code in quotes."),
    ] = None,
    qr_image: Annotated[Path | None, typer.Option("--qr-image", metavar="FILE", help="A picture of the label.")] = None,
    flags: Annotated[Flags, only("account", "notify", "no_wait")],
    behaviour: Annotated[BehaviourOptions, only("dry_run", "non_interactive", "timeout")],
    json: Json = False,
    place_options: PlaceOptions,
) -> None:
    """Link a device that was set up before to its user's account."""
    from installer.cli.answers_from_options import merge
    from installer.cli.scripted_front_end import failure_as_event

    with failure_as_event(json=json):
        text = _device_text(device, qr_image)
    config = place_options.run_config(behaviour.run_options())
    with failure_as_event(json=json):
        answers = merge(None, flags)
    run(_link(config, text, flags.account, answers, json=json))


async def _link(config: RunConfig, text: str, account: str | None, answers: Answers, *, json: bool) -> None:
    from installer.cli.scripted_front_end import ScriptedFrontEnd, failure_as_event, print_summary
    from installer.events.installation import Notice
    from installer.flow.link_later import LinkLater
    from installer.flow.run_resources import RunResources

    with failure_as_event(json=json):
        resources = RunResources(config)
    try:
        with failure_as_event(json=json):
            if config.lab:
                await resources.lab()
            waiting, linked_account = await _find(resources, text)
            front_end = ScriptedFrontEnd(json=json)
            if linked_account and account in (None, linked_account):
                done = LINKED_BEFORE.format(linked_account)
                front_end.show(Notice(code="linked_before", text=done, installation=waiting.id))
                return
            if waiting.recorded and not resources.records().private:
                said = f"{waiting.model.name} {waiting.address} is what the shared ledger says of {waiting.id}."
                front_end.show(Notice(code="shared_ledger", text=said, installation=waiting.id))
            linking = LinkLater(resources.environment(), front_end, answers, waiting)
        ended = await linking.run()
    finally:
        await resources.close()
    if ended.error is not None:
        raise ended.error
    print_summary(ended, json=json)


def _device_text(device: str | None, image: Path | None) -> str:
    """The id or the text of the label: given, read from a picture, or asked for. Raises USAGE, ANSWERS_INVALID."""
    if device is not None and image is not None:
        raise InstallerError(ErrorCode.USAGE, "The device is named twice.", "Give its id or text, or its picture.")
    if image is not None:
        from installer.batch.labels import is_code
        from installer.qr.read_image import text_of_image

        return text_of_image(image, is_code)
    if device is None and sys.stdin.isatty():
        device = output.ask_line("Id of the record, or text of the label's code: ")
    if device is None or not device.strip():
        raise InstallerError(
            ErrorCode.USAGE,
            "The device to link was not given.",
            "Give the id on its label, the text of its code (in quotes), or a picture of it with --qr-image.",
        )
    return without_mark(device).strip()


async def _find(resources: RunResources, text: str) -> tuple[DeviceToLink, str]:
    """The device, and the account that it was linked to before (empty: none). Raises LABEL_UNKNOWN."""
    from installer.batch import labels
    from installer.ledger.query_types import damaged_record

    label = labels.parse(text) if labels.is_code(text) else None
    records = resources.records()
    known = await records.store.call(lambda: records.get(label.id if label is not None else text))
    if known is not None and known["damaged"]:
        raise damaged_record(known["id"], known["damaged"])
    if known is not None:
        if label is not None:
            labels.check_same_device(label, known)
        return _of_record(resources, known), str(known.get("account") or "") if _is_linked(known) else ""
    if label is None:
        raise labels.label_unknown(f"There is no record “{printable(text, 64)}” in this computer's ledger.")
    if label.method is None:
        raise labels.label_unknown("The label does not say how the device syncs.")
    return _waiting(resources, label.id, label.address, label.model, label.method, since=label.since), ""


def _of_record(resources: RunResources, record: dict[str, Any]) -> DeviceToLink:
    from installer.batch import labels
    from installer.catalogue.model import SyncMethod
    from installer.ledger.timestamps import unix_seconds

    link_later = any(s["step"] == "link" and (s["result"] or {}).get("later") for s in record["steps"])
    complete = record.get("address") and record.get("model") and record.get("method")
    if not complete or not (record["outcome"] in LINKABLE_OUTCOMES or link_later):
        raise labels.label_unknown(
            f"The device of installation {record['id']} cannot be linked: the installation ended too early "
            f"(“{record['outcome']}”)."
        )
    return _waiting(
        resources,
        record["id"],
        record["address"],
        record["model"],
        SyncMethod(record["method"]),
        since=unix_seconds(record["started"]) or 0.0,
        name=record.get("name") or "",
        recorded=True,
        chosen=record.get("answers") or {},
    )


def _waiting(resources: RunResources, record: str, address: str, model: str, method: Any, **more: Any) -> DeviceToLink:
    from installer.flow.link_later import DeviceToLink

    return DeviceToLink(id=record, address=address, model=resources.catalogue.get(model), method=method, **more)


def _is_linked(record: dict[str, Any]) -> bool:
    return record["outcome"] == "installed" and bool(record.get("account"))
