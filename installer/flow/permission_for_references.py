"""Settles, before anything is scanned, what foreign answers name of this computer: allowed, asked, or refused."""

from __future__ import annotations

from installer import settings
from installer.answers import LinkAnswer, StepKey
from installer.errors import ErrorCode, InstallerError
from installer.events.installation import Notice
from installer.flow import foreign_references as foreign
from installer.flow.own_secrets import OwnSecrets
from installer.flow.questions import ConfirmForeign
from installer.flow.situation import Situation


async def settle(situation: Situation) -> bool:
    """Give the given answers their leave, or take from them what a person does not allow. Whether any needed it.

    Raises REFERENCE_REFUSED with everything that is refused, before a secret is used.
    """
    given = situation.given
    uses = foreign.uses_of(given)
    link = given.link
    address = foreign.foreign_address(link)
    if not uses and not address:
        return False
    own = OwnSecrets.of(settings.load())
    errors: list[InstallerError] = []
    judged = [(use, foreign.judge(use, own, allowed=situation.options.allow_references)) for use in uses]
    refused = [why for use, why in judged if why is not None and (why.never or not situation.may_ask(use.step))]
    if refused:
        errors.append(foreign.refusal(refused))
    for use, why in judged:
        if why is None:
            given = foreign.with_reference(given, use, use.allowed)
            if not use.origin.trusted:
                situation.emit(Notice(code="reference", text=use.sentence))
        elif not refused:
            # A person is asked only if the rest may be used.
            given = foreign.with_reference(given, use, use.allowed if await _allowed(situation, use) else None)
    if link is not None and address:
        try:
            given = given.with_answer(StepKey.LINK, await _settle_address(situation, link, address))
        except InstallerError as error:
            if error.code is not ErrorCode.REFERENCE_REFUSED:
                raise
            errors.append(error)
    if errors:
        raise foreign.combined(errors)
    situation.given = given
    return True


async def _settle_address(situation: Situation, link: LinkAnswer, address: str) -> LinkAnswer:
    """The answer with leave for its address. Raises REFERENCE_REFUSED."""
    origin = link.origin or foreign.UNKNOWN_ORIGIN
    opened = situation.environment.open_notifications
    if opened is None:
        return link.model_copy(update={"notify": None, "notify_url": None})
    allowed = origin.with_leave() if situation.options.allow_references and link.origin is not None else origin
    try:
        await opened().check_host(address, allowed)
    except InstallerError as error:
        never = any(entry.get("never") for entry in error.data.get("references", ()))
        if error.code is not ErrorCode.REFERENCE_REFUSED or never or not situation.may_ask(StepKey.LINK):
            raise
        question = ConfirmForeign(
            step=StepKey.LINK,
            title="Send notifications of new data to that address?",
            lines=_lines(error),
            yes="Use that address",
            no="Do not use it",
        )
        if not await situation.ask(question):
            return link.model_copy(update={"notify": None, "notify_url": None})
    return link.named_by(origin.with_leave())


def _lines(error: InstallerError) -> tuple[str, ...]:
    """Target and source of a refused address, each in a line of its own."""
    (entry,) = error.data["references"]
    return (
        f"They would go to: {foreign.shortened(entry['target'], foreign.MAX_PATH)}.",
        f"Named by: {foreign.shortened(entry['source'], foreign.MAX_PATH)}, {entry['key']}.",
    )


async def _allowed(situation: Situation, use: foreign.Use) -> bool:
    question = ConfirmForeign(
        step=use.step,
        title=f"Use this {use.what}?",
        lines=use.lines,
        yes="Use it: I trust who wrote the file",
        no="Do not use it; ask me instead",
    )
    return bool(await situation.ask(question))


def step_of(error: InstallerError) -> StepKey | None:
    """The step whose answer was refused first; None for another error."""
    entries = error.data.get("references", ())
    return StepKey(entries[0]["key"].partition(".")[0]) if entries else None
