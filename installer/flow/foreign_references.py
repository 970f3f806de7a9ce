"""What answers or a plan of somebody else may name of this computer: its secrets, and where they go.

Each reference keeps its origin (`installer/storage/reference_origin.py`). Here a foreign one gets its leave before
anything is scanned: it is a file beside the file that names it, the option --allow-references is given, or a person
says yes. What is of this program itself is never allowed (`installer/flow/own_secrets.py`).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from installer.answers import Answers, LinkAnswer, StepKey
from installer.errors import ErrorCode, InstallerError
from installer.errors import combined as one_of
from installer.flow.beside_answers import is_beside
from installer.flow.own_secrets import OwnSecrets, resolved
from installer.storage.pinned_file import PinnedFile, read_pinned
from installer.storage.reference_origin import Origin
from installer.storage.secret_references import MAX_SECRET_BYTES, SecretRef, unreadable_file
from installer.text import capitalized, in_quotes, printable, quoted, without_quotes
from installer.text.written_by_people import STDIN, UnreadableText, longest_file, secret_in

NEEDS_LEAVE = "nobody gave leave"
NEVER_FOREIGN = "What is of this program itself is never allowed: remove it from the file."
NEVER_RECORDED = "What is of this program itself is not taken from a record: name it on the command line again."
UNLIKE_A_NAME = (
    "If it is the secret itself, remove it from the file. Else write the name of a file as ./NAME or with its ending "
    "(.txt), and that of a variable in capitals; or name it on the command line."
)
MAX_PATH = 120  # characters of a path or a source in a sentence
MAX_FLAG = 4096
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

    @cached_property
    def path(self) -> Path | None:
        """The resolved path of its file. It is resolved once: the file is read and shown under this path."""
        name = self.reference.file
        return None if name in (None, STDIN) else resolved(name or "", self.origin.folder)

    @cached_property
    def pinned(self) -> PinnedFile | None:
        """Its file as it was when it was judged; None if it is no file. Only for a path that may be opened."""
        return None if self.path is None else read_pinned(self.path, longest_file(MAX_SECRET_BYTES))

    @property
    def place(self) -> str:
        """The secret's place in words, as it really is: the resolved path, shortened in its middle."""
        if self.path is None or not self.reference.is_shown:
            return without_quotes(self.reference.place)
        return f"the file {shortened(str(self.path), MAX_PATH)}"

    @property
    def sentence(self) -> str:
        """Source and target, for the log of a script."""
        return (
            f"The {self.what} comes from {self.place}, named by {shortened(self.origin.source, MAX_PATH)} "
            f"({self.key}). It goes to {self.target}."
        )

    @property
    def lines(self) -> tuple[str, ...]:
        """Target, place and source for a person, each in a line of its own: no name can stand for another of them."""
        return (
            f"It goes to: {self.target}.",
            f"The {self.what}: {self.place}.",
            f"Named by: {shortened(self.origin.source, MAX_PATH)}, {self.key}.",
        )

    @property
    def allowed(self) -> SecretRef:
        """The reference with leave. It holds what was in the file that was judged; nothing is opened again."""
        reference = self.reference
        if self.pinned is not None:
            reference = reference.holding(self._held(self.pinned))
            if not self.origin.trusted and reference.is_shown:
                reference = reference.model_copy(update={"file": str(self.path)})
        return reference.named_by(self.origin.with_leave())

    def _held(self, pinned: PinnedFile) -> SecretStr | InstallerError:
        if pinned.too_long:
            return unreadable_file(self.what, self.place, f"is longer than {MAX_SECRET_BYTES} bytes")
        if pinned.why:
            return unreadable_file(self.what, self.place, f"is not readable: {pinned.why}")
        try:
            return SecretStr(secret_in(pinned.content, MAX_SECRET_BYTES))
        except UnreadableText as error:
            return unreadable_file(self.what, self.place, error.why, error.todo)


@dataclass(frozen=True)
class Refused:
    """A use that is not allowed. `never`: no option allows it. `todo`: a way out of its own."""

    use: Use
    why: str
    never: bool = False
    todo: str = ""


def uses_of(answers: Answers) -> list[Use]:
    """The secrets that foreign answers name, and those of an earlier run's record: they are judged again."""
    device, found = _device(answers), []
    find, network, link = answers.find, answers.network, answers.link
    if find is not None and find.proof is not None and not find.proof.may_be_used:
        flag = _flag(find.proof, "proof")
        found.append(Use(StepKey.FIND, "find.proof", "proof of possession", find.proof, device, flag))
    if network is not None and network.passphrase is not None and not network.passphrase.may_be_used:
        target = f"the network {in_quotes(network.ssid)} on {device}"
        flag = _flag(network.passphrase, "passphrase")
        found.append(Use(StepKey.NETWORK, "network.passphrase", "passphrase", network.passphrase, target, flag))
    if link is not None and isinstance(link.notify, SecretRef) and not link.notify.may_be_used:
        target, flag = "the cloud, which then tells that address of new data", _flag(link.notify, "notify")
        found.append(Use(StepKey.LINK, "link.notify", "address for notifications", link.notify, target, flag))
    return found


def with_reference(answers: Answers, use: Use, reference: SecretRef | None) -> Answers:
    """A copy with this reference in the place of the one of `use`. None: that proof or passphrase is asked for.

    Who takes a proof out does not lower what the device must show: it must still prove itself.
    """
    if reference is None and use.step is StepKey.FIND and answers.find is not None:
        return answers.with_answer(StepKey.FIND, answers.find.without_proof())
    field = use.key.partition(".")[2]
    part = answers.get(use.step)
    update: dict[str, Any] = {field: reference}
    return answers.with_answer(use.step, part.model_copy(update=update))


def without_foreign(answers: Answers) -> Answers:
    """A copy without the places and addresses that somebody else named, also with leave.

    Leave holds for this run and what was judged in it. A record that is resumed must not bring it back as our own.
    """
    find, network, link = answers.find, answers.network, answers.link
    if find is not None and find.proof is not None and not find.proof.is_own:
        answers = answers.with_answer(StepKey.FIND, find.without_proof())
    if network is not None and network.passphrase is not None and not network.passphrase.is_own:
        answers = answers.with_answer(StepKey.NETWORK, network.model_copy(update={"passphrase": None}))
    if link is None or link.notify is None or isinstance(link.notify, bool):
        foreign = link is not None and link.notify_url is not None and not link.is_own
    else:
        foreign = not (link.notify.is_own if isinstance(link.notify, SecretRef) else link.is_own)
    if link is not None and foreign:
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
    """Why this use is refused, or None. `allowed`: the option was given. Its file is opened here, once."""
    never = own.why_never(use.reference, use.path)
    if not never and use.pinned is not None and use.pinned.status is not None:
        never = own.why_never_opened(use.pinned.status)
    if never:
        todo = NEVER_RECORDED if use.origin.trusted else NEVER_FOREIGN
        return Refused(use, f"it is {never}", never=True, todo=todo)
    if use.reference.origin is None:
        return Refused(use, "nobody knows who named it", never=True, todo=NEVER_FOREIGN)
    if use.origin.trusted:
        return None
    if not use.reference.is_shown:
        # Nobody can give leave for what they are not shown.
        return Refused(use, "it does not look like a name", never=True, todo=UNLIKE_A_NAME)
    # A file beside the answers came with them. An address in it would be somebody else's, too.
    status = use.pinned.status if use.pinned is not None else None
    beside = use.step is not StepKey.LINK and is_beside(use.path, use.origin.folder, status)
    return None if allowed or beside else Refused(use, NEEDS_LEAVE)


def refusal(refused: Sequence[Refused]) -> InstallerError:
    """REFERENCE_REFUSED with all that was refused, and the ways out."""
    listed = "; ".join(_line(one) for one in refused)
    sources = dict.fromkeys(one.use.origin.source for one in refused)
    todo = list(dict.fromkeys(one.todo for one in refused if one.todo))
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
                "reference": one.use.place,
                "target": one.use.target,
                "why": one.why,
                "never": one.never,
            }
            for one in refused
        ],
    )


def combined(errors: Sequence[InstallerError]) -> InstallerError:
    """One error for several refusals."""
    references = [entry for error in errors for entry in error.data.get("references", ())]
    return errors[0] if len(errors) == 1 else one_of(errors, references=references)


def _line(one: Refused) -> str:
    why = "" if one.why == NEEDS_LEAVE else f" ({one.why})"
    return f"{one.use.key} is {one.use.place}, for {one.use.target}{why}"


def _device(answers: Answers) -> str:
    find = answers.find
    if find is None:
        return "the device that is chosen"
    if find.device is not None:
        return f"the device {find.device}"
    if find.model:
        return f"a device of model {quoted(find.model)}"
    return f"a device {quoted(find.name or '', 32)}"


def shortened(text: str, limit: int) -> str:
    """`text` on one line, cut in its middle: the end of a path says which file it is."""
    safe = without_quotes(" ".join(printable(text, len(text) + 1).split()))
    if len(safe) <= limit:
        return safe
    begin = limit // 3
    return f"{safe[:begin]}…{safe[begin + 1 - limit :]}"


def _flag(reference: SecretRef, what: str) -> str:
    """The option that names the same secret, as it is typed; the name only if it is surely no secret."""
    shown = reference.is_shown
    if what == "notify":
        return f"--notify env:{reference.env if shown else 'VAR'}" if reference.env is not None else "--notify @FILE"
    if reference.env is not None:
        return f"--{what}-env {reference.env if shown else 'VAR'}"
    if reference.file is not None:
        folder = reference.origin.folder if reference.origin is not None else None
        path = None if reference.file == STDIN else resolved(reference.file, folder)
        name = reference.file if path is None else str(path)
        return f"--{what}-file {shlex.quote(printable(name, MAX_FLAG)) if shown else 'F'}"
    if what == "proof":
        return ""
    entry = shlex.quote(printable(reference.keyring or "", MAX_FLAG))
    return "--passphrase-host" if reference.host else f"--passphrase-keyring {entry}"
