"""The command `link`: a device that was set up before, and left to be linked, comes to an account."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from installer import output
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.answers import Answers
    from installer.flow.assembly import Assembly, Place
    from installer.flow.link_later import Waiting

LINKABLE = ("to_be_linked", "installed")
DONE = "This device was linked before, to account “{}”. Nothing is left to do."


def link(
    device: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="The id on its label, or the text of the label's code in quotes."),
    ] = None,
    qr_image: Annotated[Path | None, typer.Option("--qr-image", metavar="FILE", help="A picture of the label.")] = None,
    account: Annotated[str | None, typer.Option("--account", metavar="NAME", help="The account to link to.")] = None,
    notify: Annotated[
        str | None,
        typer.Option("--notify", metavar="URL", help="Let the cloud tell of new data there, as for install."),
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the first measurement.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look and check, but change nothing.")] = False,
    non_interactive: Annotated[bool, typer.Option("--non-interactive", help="Ask nobody.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON event a line.")] = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="S", min=0.001, help="Give up after S seconds.")
    ] = None,
    ledger: Annotated[
        str | None, typer.Option("--ledger", metavar="URL", help="The ledger, shared by several stations.")
    ] = None,
    adapter: Annotated[str | None, typer.Option("--adapter", metavar="A", help="Bluetooth adapter, if needed.")] = None,
    cloud: Annotated[str | None, typer.Option("--cloud", metavar="URL", help="Base URL of the cloud.")] = None,
    use_lab: Annotated[bool, typer.Option("--lab", help="Practise in the lab: no hardware, no Internet.")] = False,
    catalogue: Annotated[
        list[Path] | None, typer.Option("--catalogue", metavar="FILE", help="Add models from FILE (repeatable).")
    ] = None,
) -> None:
    """Link a device that was set up before to its user's account."""
    from installer.cli.merge_options import Flags, merge
    from installer.cli.scripted_front_end import fail_early
    from installer.flow.assembly import Place
    from installer.flow.steps.step import Options

    with fail_early(json=json):
        text = _text(device, qr_image)
    options = Options(
        # Where nobody can answer, nobody is asked.
        non_interactive=non_interactive or not sys.stdin.isatty(),
        dry_run=dry_run,
        timeout=timeout,
    )
    place = Place(
        adapter=adapter,
        cloud=cloud,
        lab=use_lab,
        catalogues=tuple(catalogue or ()),
        options=options,
        ledger=ledger,
    )
    with fail_early(json=json):
        choices = merge(None, Flags(account=account, notify=notify, no_wait=no_wait))
    run(_link(place, text, account, choices, json=json))


async def _link(place: Place, text: str, account: str | None, choices: Answers, *, json: bool) -> None:
    from installer.cli.scripted_front_end import Scripted, fail_early, summary_lines
    from installer.events.stream import Notice
    from installer.flow.assembly import Assembly
    from installer.flow.link_later import LinkLater

    with fail_early(json=json):
        assembly = Assembly(place)
    try:
        with fail_early(json=json):
            if place.lab:
                await assembly.lab()
            waiting, before = await _find(assembly, text)
            front = Scripted(json=json)
            if before and account in (None, before):
                front.show(Notice(code="linked_before", text=DONE.format(before), installation=waiting.id))
                return
            linking = LinkLater(assembly.surroundings(), front, choices, waiting)
        ended = await linking.run()
    finally:
        await assembly.close()
    if ended.error is not None:
        raise ended.error
    if not json:
        for line in summary_lines(ended):
            output.result(line)
    if ended.left is not None:
        raise ended.left


def _text(device: str | None, image: Path | None) -> str:
    """What was given, or is pasted now. Raises USAGE, ANSWERS_INVALID (the picture)."""
    if device is not None and image is not None:
        raise InstallerError(ErrorCode.USAGE, "The device is named twice.", "Give its id or text, or its picture.")
    if image is not None:
        from installer.batch.labels import is_code
        from installer.qr.read_image import text_of_image

        return text_of_image(image, is_code)
    if device is None and sys.stdin.isatty():
        device = output.ask("Id of the record, or text of the label's code: ")
    if device is None or not device.strip():
        raise InstallerError(
            ErrorCode.USAGE,
            "Which device to link was not said.",
            "Give the id on its label, the text of its code (in quotes), or a picture of it with --qr-image.",
        )
    return device.strip()


async def _find(assembly: Assembly, text: str) -> tuple[Waiting, str]:
    """The device, and the account that it was linked to before, or an empty text. Raises LABEL_UNKNOWN."""
    from installer.batch import labels

    label = labels.parse(text) if labels.is_code(text) else None
    records = assembly.records()
    known = await records.store.call(lambda: records.get(label.id if label is not None else text))
    if known is not None:
        return _of_record(assembly, known), str(known.get("account") or "") if _is_linked(known) else ""
    if label is None:
        raise labels.unknown(f"There is no record “{text}” in this computer's ledger.")
    if label.method is None:
        raise labels.unknown("The label does not say how the device syncs.")
    return _waiting(assembly, label.id, label.address, label.model, label.method, since=label.since), ""


def _of_record(assembly: Assembly, record: dict[str, Any]) -> Waiting:
    from installer.batch import labels
    from installer.catalogue.catalogue import SyncMethod
    from installer.ledger.timestamps import seconds_of

    later = any(s["step"] == "link" and (s["result"] or {}).get("later") for s in record["steps"])
    whole = record.get("address") and record.get("model") and record.get("method")
    if not whole or not (record["outcome"] in LINKABLE or later):
        raise labels.unknown(
            f"Installation {record['id']} did not come so far that its device could be linked (it is "
            f"“{record['outcome']}”)."
        )
    return _waiting(
        assembly,
        record["id"],
        record["address"],
        record["model"],
        SyncMethod(record["method"]),
        since=seconds_of(record["started"]) or 0.0,
        name=record.get("name") or "",
        recorded=True,
        chosen=record.get("answers") or {},
    )


def _waiting(assembly: Assembly, record: str, address: str, model: str, method: Any, **more: Any) -> Waiting:
    from installer.flow.link_later import Waiting

    return Waiting(id=record, address=address, model=assembly.catalogue.get(model), method=method, **more)


def _is_linked(record: dict[str, Any]) -> bool:
    return record["outcome"] == "installed" and bool(record.get("account"))
