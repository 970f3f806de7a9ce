"""What a resumed installation takes from its record, and what it takes from this station.

The record of a private ledger is this user's own word. A row of any other ledger may have been changed by everybody who
can write there: from it come the progress, the model and the sync method. Device, network, adapter, cloud, catalogues,
places of secrets and the address for notifications come from this station: from the command line, the settings, and
what this station chose itself (`installer/flow/station_choices.py`). Where the row says something that this station
does not say, a person is shown it and confirms it, and a script refuses. A cloud is not confirmed either: it would get
the client secret.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from installer import settings
from installer.answers import FindAnswer, LinkAnswer, StepKey, validate
from installer.errors import ErrorCode, InstallerError
from installer.flow import station_choices
from installer.flow.questions import ConfirmForeign, Question
from installer.flow.resume import EarlierAttempt, config_for
from installer.flow.run_options import RunConfig
from installer.flow.station_choices import StationChoices
from installer.ledger import shared
from installer.storage.reference_origin import OWN_CHOICES, OWN_RECORD
from installer.text import capitalized, printable, quoted

NEW_INSTALLATION = "a new installation: `device-installer install`"
NOT_CHOSEN = "not chosen any"
DEFAULT_ACCOUNT = str(LinkAnswer.model_fields["account"].default)


@dataclass(frozen=True)
class Difference:
    """Something that a shared row says, and this station does not. `option`: what says the same on the command line.

    `only_by_option`: a person cannot confirm it.
    """

    field: str
    row: str
    own: str
    option: str
    only_by_option: bool = False

    def __str__(self) -> str:
        """The difference in words."""
        return f"{self.field}: the row says {quoted(self.row, 120)}, this station has {self.own}"


@dataclass(frozen=True)
class Resumption:
    """How an installation is resumed. `differences`: what must be confirmed first. `notices`: what was not obeyed.

    `config`: with the adapter and the catalogues of the row, if they differ: they count only after they are confirmed.
    """

    attempt: EarlierAttempt
    config: RunConfig
    differences: tuple[Difference, ...] = ()
    notices: tuple[str, ...] = ()


def read(
    record: Mapping[str, Any],
    config: RunConfig,
    *,
    private: bool,
    account: str | None = None,
    device: str | None = None,
    ssid: str | None = None,
    only_options: bool = False,
) -> Resumption:
    """How to resume this record. `private`: nobody else can write its ledger.

    `account`, `device`, `ssid`: what the command line or the plan says. `only_options`: adapter, cloud and catalogues
    of the run are decided already. Raises ANSWERS_INVALID, USAGE, and what the record itself raises.
    """
    device = FindAnswer(device=device).device if device is not None else None
    earlier = config_for(config, record)
    if private:
        own = replace(config, options=earlier.options) if only_options else earlier
        attempt = EarlierAttempt.of(record, OWN_RECORD)
        _check_given(attempt, device, ssid)
        return Resumption(attempt, own)
    choices = station_choices.load(str(record["id"]))
    attempt = _attempt(record, choices)
    own = config if choices is None else config_for(config, {"options": choices.options})
    differences = [] if only_options else _places(record, config, own)
    differences += [*_device(attempt, choices, device), *_network(attempt, choices, ssid)]
    differences += _account(attempt, choices, account)
    # The required encryption of the row makes the run only stricter, and a guided one sends nothing. To keep the Wi-Fi
    # that a device has is for this station to say.
    options = replace(config_for(own, record).options, keep_wifi=own.options.keep_wifi)
    if shared.requires_encryption(record.get("answers")):
        options = replace(options, require_encryption=True)
    # The row's adapter and catalogues count only if they are this station's, or were confirmed; its cloud never does.
    chosen = own if only_options else config_for(earlier, {"options": {} if choices is None else choices.options})
    chosen = replace(chosen, cloud=own.cloud)
    return Resumption(attempt, replace(chosen, options=options), tuple(differences), tuple(_notices(record, choices)))


async def confirm(resumption: Resumption, ask: Callable[[Question], Awaitable[Any]] | None) -> None:
    """Have a person confirm the differences. `ask` None: nobody can be asked. Raises REFERENCE_REFUSED."""
    if not resumption.differences:
        return
    if ask is not None and not any(one.only_by_option for one in resumption.differences):
        question = ConfirmForeign(
            step=StepKey.FIND,
            title="Continue as the shared ledger says?",
            lines=(
                "The row of this installation in the shared ledger says what this station does not say. Somebody else "
                "may have written it. Secrets that you give go where it says.",
                *(f"{capitalized(str(one))}." for one in resumption.differences),
                *resumption.notices,
            ),
            yes="Continue as the row says: I know who wrote it",
            no="Do not continue it",
        )
        if await ask(question):
            return
    raise refusal(resumption)


def refusal(resumption: Resumption) -> InstallerError:
    """REFERENCE_REFUSED with all differences, and the options that say the same."""
    differences = resumption.differences
    options = dict.fromkeys(one.option for one in differences)
    return InstallerError(
        ErrorCode.REFERENCE_REFUSED,
        f"The row of installation {resumption.attempt.id} in the shared ledger says what this station does not say: "
        f"{'; '.join(map(str, differences))}. Nothing was sent.",
        f"Ask who changed it. What is right is given on the command line: {', '.join(options)}.",
        installation=resumption.attempt.id,
        differences=[
            {"field": one.field, "row": printable(one.row, 120), "own": one.own, "option": one.option}
            for one in differences
        ],
    )


def _attempt(record: Mapping[str, Any], choices: StationChoices | None) -> EarlierAttempt:
    """The earlier attempt; its answers are this station's, or else the row's without places and switches."""
    row = {**record, "steps": [_without_page(step) for step in record.get("steps", ())]}
    if choices is not None:
        own = validate(choices.answers, "the choices of this station", OWN_CHOICES)
        return EarlierAttempt.of(row, OWN_CHOICES, chosen=own, address=choices.address)
    kept = shared.answers_for_ledger(dict(record.get("answers") or {}), private=False)
    kept.pop("provision", None)  # nobody here has agreed to send anything
    return EarlierAttempt.of({**row, "answers": kept})


def _without_page(step: Mapping[str, Any]) -> Mapping[str, Any]:
    """The step without the address of the device's page: a person would open it."""
    result = step.get("result")
    if not isinstance(result, Mapping):
        return step
    return {**step, "result": {name: value for name, value in result.items() if name != "url"}}


def _places(record: Mapping[str, Any], given: RunConfig, own: RunConfig) -> list[Difference]:
    """Where adapter, cloud and catalogues of the row differ from this station's. `given`: by the command line."""
    row, found = _options(record), []
    adapter, cloud, files = row.get("adapter"), row.get("cloud"), row.get("catalogues")
    if adapter and not given.lab and given.adapter is None and adapter != own.adapter:
        is_own = quoted(own.adapter, 120) if own.adapter else "the one of the system"
        found.append(Difference("adapter", str(adapter), is_own, f"--adapter {_quoted(adapter)}"))
    if cloud and not given.lab and given.cloud is None:
        own_cloud = own.cloud or settings.load().cloud.api
        if str(cloud).rstrip("/") != own_cloud.rstrip("/"):
            is_own, option = quoted(own_cloud, 120), f"--cloud {_quoted(cloud)}"
            found.append(Difference("cloud", str(cloud), is_own, option, only_by_option=True))
    if isinstance(files, list) and files and not given.catalogues and files != [str(path) for path in own.catalogues]:
        names = ", ".join(str(name) for name in files)
        is_own = ", ".join(str(path) for path in own.catalogues) or "none"
        found.append(Difference("catalogues", names, is_own, "--catalogue FILE"))
    return found


def _device(attempt: EarlierAttempt, choices: StationChoices | None, given: str | None) -> list[Difference]:
    """Where the row names a device that this station did not choose: it would get the passphrase."""
    find = attempt.answers.find
    if given is not None or choices is not None:
        own = given or (choices.address.upper() if choices is not None else "")
        if not attempt.address or attempt.address.upper() == own or not (own or "find" in attempt.step_results):
            return []
        return [Difference("device", attempt.address, f"“{own}”" if own else "not found it yet", NEW_INSTALLATION)]
    address = attempt.address or (find.device if find is not None else None)
    if address:
        return [Difference("device", address, NOT_CHOSEN, f"--device {_quoted(address)}")]
    named = (find.name or find.model or "") if find is not None else ""
    return [Difference("device", named, NOT_CHOSEN, "--device ADDRESS")] if named else []


def _network(attempt: EarlierAttempt, choices: StationChoices | None, given: str | None) -> list[Difference]:
    """Where the row names a network that this station did not choose."""
    answer = attempt.answers.network
    named = [attempt.sent_ssid or str(attempt.step_results.get("network", {}).get("ssid") or "")]
    own = given or ""
    if choices is None:
        named += [answer.ssid] if answer is not None else []
    elif given is None:
        own = answer.ssid if answer is not None else ""
    is_own = quoted(own, 32) if own else NOT_CHOSEN
    return [
        Difference("network", ssid, is_own, NEW_INSTALLATION if own or choices else f"--ssid {_quoted(ssid)}")
        for ssid in dict.fromkeys(named)
        if ssid and ssid != own
    ]


def _check_given(attempt: EarlierAttempt, device: str | None, ssid: str | None) -> None:
    """Raise USAGE if an option names another device or network than the record: then it is another installation."""
    choices = StationChoices(address=attempt.address)
    wrong = [*(_device(attempt, choices, device) if device else ()), *(_network(attempt, None, ssid) if ssid else ())]
    if wrong:
        raise InstallerError(
            ErrorCode.USAGE,
            f"The installation {attempt.id} has another {' and another '.join(one.field for one in wrong)}: "
            f"{', '.join(printable(one.row, 64) for one in wrong)}.",
            f"Leave the option out, or start {NEW_INSTALLATION}.",
        )


def _account(attempt: EarlierAttempt, choices: StationChoices | None, given: str | None) -> list[Difference]:
    """Where the row links the device to another account than this station chose: it may belong to another person."""
    if given is not None:
        return []
    link = choices.answers.get("link") if choices is not None else None
    own = str(link.get("account", DEFAULT_ACCOUNT)) if isinstance(link, Mapping) else DEFAULT_ACCOUNT
    answered = attempt.answers.link.account if attempt.answers.link is not None else ""
    linked = str(attempt.step_results.get("link", {}).get("account") or "")
    for named in dict.fromkeys((answered, linked, attempt.account)):
        if named and named != own:
            return [Difference("account", named, quoted(own, 64), f"--account {_quoted(named)}")]
    return []


def _notices(record: Mapping[str, Any], choices: StationChoices | None) -> list[str]:
    found = []
    named = shared.places_in(record.get("answers"))
    if named:
        instead = "What this station itself chose counts." if choices is not None else "Give them on the command line."
        found.append(
            f"The row in the shared ledger names places of secrets or an address ({', '.join(named)}). They are not "
            f"used: somebody else may have written them. {instead}"
        )
    return found


def _options(record: Mapping[str, Any]) -> Mapping[str, Any]:
    options = record.get("options")
    return options if isinstance(options, Mapping) else {}


def _quoted(value: object) -> str:
    import shlex

    return shlex.quote(printable(str(value), 120))
