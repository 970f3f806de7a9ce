"""What answers or a plan of somebody else may name of this computer: its secrets, and where they go.

Each reference keeps its origin (`installer/storage/reference_origin.py`). Here a foreign one gets its leave before
anything is scanned: it is a file beside the file that names it, the option --allow-references is given, or a person
says yes. What is of this program itself is never allowed (`installer/flow/own_secrets.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from installer.answers import Answers, LinkAnswer, StepKey
from installer.errors import ErrorCode, InstallerError
from installer.flow.own_secrets import OwnSecrets, is_beside, resolved
from installer.storage.reference_origin import Origin
from installer.storage.secret_references import NOT_REPEATED, SecretRef
from installer.text import capitalized, printable
from installer.text.written_by_people import STDIN

NEEDS_LEAVE = "nobody gave leave"
UNKNOWN_ORIGIN = Origin("a source that is not known")


@dataclass(frozen=True)
class Use:
    """One secret that somebody else names. `key`: as in the file. `what`: the secret in words. `target`: where it goes.

    `step`: the step whose questions are about it. `flag`: the option that names the same secret; empty: none.
    """

    step: StepKey
    key: str
    what: str
    reference: SecretRef
    target: str
    flag: str = ""

    @property
    def origin(self) -> Origin:
        """Who named it."""
        return self.reference.origin or UNKNOWN_ORIGIN

    @property
    def path(self) -> Path | None:
        """The resolved path of its file."""
        name = self.reference.file
        return None if name in (None, STDIN) else resolved(name or "", self.origin.folder)

    @property
    def sentence(self) -> str:
        """Source and target, for the person and the log of a script."""
        return (
            f"The {self.what} comes from {self.reference.place}, named by {self.origin.source} ({self.key}). "
            f"It goes to {self.target}."
        )

    @property
    def allowed(self) -> SecretRef:
        """The reference with leave. It names the very file that was checked."""
        path = self.path
        checked = self.reference if path is None else self.reference.model_copy(update={"file": str(path)})
        return checked.named_by(self.origin.with_leave())


@dataclass(frozen=True)
class Refused:
    """A use that is not allowed. `never`: no option allows it."""

    use: Use
    why: str
    never: bool = False


def uses_of(answers: Answers) -> list[Use]:
    """The secrets that foreign answers name."""
    device, found = _device(answers), []
    find, network, link = answers.find, answers.network, answers.link
    if find is not None and find.proof is not None and not find.proof.may_be_used:
        flag = _flag(find.proof, "proof")
        found.append(Use(StepKey.FIND, "find.proof", "proof of possession", find.proof, device, flag))
    if network is not None and network.passphrase is not None and not network.passphrase.may_be_used:
        target = f"the network “{printable(network.ssid, 32)}” on {device}"
        flag = _flag(network.passphrase, "passphrase")
        found.append(Use(StepKey.NETWORK, "network.passphrase", "passphrase", network.passphrase, target, flag))
    if link is not None and isinstance(link.notify, SecretRef) and not link.notify.may_be_used:
        target, flag = "the cloud, which then tells that address of new data", _flag(link.notify, "notify")
        found.append(Use(StepKey.LINK, "link.notify", "address for notifications", link.notify, target, flag))
    return found


def with_reference(answers: Answers, use: Use, reference: SecretRef | None) -> Answers:
    """A copy with this reference in the place of the one of `use`."""
    field = use.key.partition(".")[2]
    part = answers.get(use.step)
    update: dict[str, Any] = {field: reference}
    return answers.with_answer(use.step, part.model_copy(update=update))


def without_foreign(answers: Answers) -> Answers:
    """A copy without what nobody gave leave for: a record that is resumed must not bring it back as our own."""
    for use in uses_of(answers):
        answers = with_reference(answers, use, None)
    link = answers.link
    if link is not None and foreign_address(link):
        answers = answers.with_answer(StepKey.LINK, link.model_copy(update={"notify": None, "notify_url": None}))
    return answers


def foreign_address(link: LinkAnswer | None) -> str:
    """The address for notifications that somebody else gave; empty if there is none."""
    if link is None or link.may_be_used or isinstance(link.notify, SecretRef):
        return ""
    if isinstance(link.notify_url, SecretStr):
        return link.notify_url.get_secret_value()
    return link.notify if isinstance(link.notify, str) else ""


def judge(use: Use, own: OwnSecrets, *, allowed: bool) -> Refused | None:
    """Why this use is refused, or None. `allowed`: the option was given."""
    never = own.why_never(use.reference, use.path)
    if never:
        return Refused(use, f"it is {never}", never=True)
    if use.reference.origin is None:
        return Refused(use, "nobody knows who named it", never=True)
    # A file beside the answers came with them. An address in it would be somebody else's, too.
    beside = use.step is not StepKey.LINK and is_beside(use.path, use.origin.folder)
    return None if allowed or beside else Refused(use, NEEDS_LEAVE)


def refusal(refused: Sequence[Refused]) -> InstallerError:
    """REFERENCE_REFUSED with all that was refused, and the ways out."""
    listed = "; ".join(_line(one) for one in refused)
    sources = dict.fromkeys(one.use.origin.source for one in refused)
    todo = []
    if any(one.never for one in refused):
        todo.append("What is of this program itself is never allowed: remove it from the file.")
    if any(not one.never for one in refused):
        flags = dict.fromkeys(one.use.flag for one in refused if one.use.flag and not one.never)
        same = f", or give the same on the command line ({', '.join(flags)})" if flags else ""
        todo.append(f"If you trust who wrote it, allow it with --allow-references{same}.")
    return InstallerError(
        ErrorCode.REFERENCE_REFUSED,
        f"{capitalized(' and '.join(sources))} names secrets of this computer: {listed}.",
        " ".join(todo),
        references=[
            {
                "source": one.use.origin.source,
                "key": one.use.key,
                "reference": one.use.reference.place,
                "target": one.use.target,
                "why": one.why,
                "never": one.never,
            }
            for one in refused
        ],
    )


def combined(errors: Iterable[InstallerError]) -> InstallerError:
    """One error for several refusals."""
    found = list(errors)
    first = found[0]
    if len(found) == 1:
        return first
    references = [entry for error in found for entry in error.data.get("references", ())]
    return InstallerError(
        ErrorCode.REFERENCE_REFUSED,
        " ".join(dict.fromkeys(error.what for error in found)),
        " ".join(dict.fromkeys(error.todo for error in found)),
        **{**first.data, "references": references},
    )


def _line(one: Refused) -> str:
    why = "" if one.why == NEEDS_LEAVE else f" ({one.why})"
    return f"{one.use.key} is {one.use.reference.place}, for {one.use.target}{why}"


def _device(answers: Answers) -> str:
    find = answers.find
    if find is None:
        return "the device that is chosen"
    if find.device is not None:
        return f"the device {find.device}"
    if find.model:
        return f"a device of model {printable(find.model, 40)}"
    return f"a device “{printable(find.name or '', 32)}”"


def _flag(reference: SecretRef, what: str) -> str:
    """The option that names the same secret; the name only if it is surely no secret."""
    place = reference.place
    hidden = NOT_REPEATED in place
    if what == "notify":
        name = "VAR" if hidden else reference.env
        return f"--notify env:{name}" if reference.env is not None else "--notify @FILE"
    if reference.env is not None:
        return f"--{what}-env {'VAR' if hidden else reference.env}"
    if reference.file is not None:
        return f"--{what}-file {'F' if hidden else printable(reference.file)}"
    if what == "proof":
        return ""
    return "--passphrase-host" if reference.host else f"--passphrase-keyring {printable(reference.keyring or '')}"
