"""What an earlier attempt left in the record, and how an installation that goes on takes it up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from installer.answers import Answers, FindAnswer, LinkAnswer, NetworkAnswer, ProvisionAnswer, StepKey, SyncAnswer
from installer.answers import validate as validated
from installer.bluetooth.sighting import Advert, Certainty, Detection, Sighting
from installer.catalogue.catalogue import SyncMethod, check_sync
from installer.errors import ErrorCode, InstallerError
from installer.events.stream import DeviceFound, NetworkChosen, StepDone, StepSkipped, SyncChosen
from installer.flow.steps.step import Situation, Step
from installer.ledger import timestamps
from installer.provisioning.guided import checklist
from installer.text import printable
from installer.wifi.networks import Network, Security

UNKNOWN = "unknown"  # whether it has joined, in the result of a provision step
NO_SIGNAL = -127


@dataclass(frozen=True)
class EarlierAttempt:
    """A record, as a resumed installation reads it. `done`: results by step; `sent`: the SSID whose credentials left.

    `known`: what was in each account before the device; `started`: seconds since 1970; `took`: seconds by step.
    """

    id: str
    outcome: str
    step: str | None
    started: float
    answers: Answers
    address: str | None = None
    name: str = ""
    model: str | None = None
    certainty: str = Certainty.UNKNOWN.value
    reasons: tuple[str, ...] = ()
    protocol: str | None = None
    sent: str | None = None
    handed_over: str | None = None
    attempts: int = 1
    account: str | None = None
    done: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    took: Mapping[str, float] = field(default_factory=dict)
    known: Mapping[str, frozenset[str]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> EarlierAttempt:
        """Out of a whole record. Raises ANSWERS_INVALID for answers that this version cannot read."""
        steps = [s for s in record.get("steps", ()) if isinstance(s.get("result"), dict)]
        sent = record.get("sent") or {}
        address = record.get("address")
        answers = _once_only(validated(record.get("answers") or {}, f"record {record['id']}"))
        if address:
            find = answers.find or FindAnswer(device=address)
            # What was chosen by model or by name is this very device by now.
            update = {"device": address, "name": None, "model": record.get("model") or find.model}
            answers = answers.with_answer(StepKey.FIND, find.model_copy(update=update))
        if record.get("outcome") == "to_be_linked":
            answers = answers.without([StepKey.LINK])
        return cls(
            id=str(record["id"]),
            outcome=str(record.get("outcome") or ""),
            step=record.get("step"),
            started=timestamps.seconds_of(record.get("started")) or 0.0,
            answers=answers,
            address=address,
            name=str(record.get("name") or ""),
            model=record.get("model"),
            certainty=str(record.get("certainty") or Certainty.UNKNOWN.value),
            reasons=tuple(str(r) for r in record.get("reasons") or ()),
            protocol=record.get("protocol"),
            sent=sent.get("ssid") if address and sent.get("address") == address else None,
            handed_over=record.get("handed_over"),
            attempts=int(record.get("attempts") or 1),
            account=record.get("account"),
            done={s["step"]: s["result"] for s in steps},
            took={s["step"]: float(s.get("took") or 0.0) for s in steps},
            known={k: frozenset(v) for k, v in (record.get("known") or {}).items()},
            options=record.get("options") or {},
            record=record,
        )

    @property
    def is_guided(self) -> bool:
        """Whether only the vendor's app sets the device up."""
        return self.done.get("find", {}).get("protocol") == checklist.PROTOCOL

    @property
    def method(self) -> SyncMethod | None:
        """The sync method that was chosen."""
        told = self.done.get("sync", {}).get("method")
        return SyncMethod(told) if told in [m.value for m in SyncMethod] else None

    @property
    def keeps_wifi(self) -> bool:
        """Whether the device was on Wi-Fi before, and was to keep that."""
        return bool(self.done.get("find", {}).get("keep_wifi"))

    @property
    def provisioned(self) -> bool:
        """Whether it is known that the device has joined, or has come to the account with the vendor's app."""
        result = self.done.get("provision")
        return result is not None and result.get("joined") != UNKNOWN

    @property
    def unsettled(self) -> bool:
        """Whether credentials left and nobody knows what became of them."""
        return self.sent is not None and not self.provisioned and "find" in self.done and not self.is_guided

    def linked(self, wanted: LinkAnswer | None) -> str | None:
        """The cloud's id of the device, if it was seen in the account that is wanted."""
        result = self.done.get("link", {})
        if wanted is not None and wanted.account != result.get("account"):
            return None
        found = result.get("device_id")
        return str(found) if found else None

    def reached(self, wanted: LinkAnswer | None) -> StepKey:
        """The first step that is to be carried out; those before it are not. `wanted`: the account, if one is named."""
        first = StepKey.FIND
        if "find" not in self.done:
            return first
        if self.is_guided:
            if self.method is None:
                return StepKey.SYNC
            first = StepKey.VERIFY if self.provisioned and self.linked(wanted) else StepKey.LINK
        elif self.method is SyncMethod.BLUETOOTH or (
            self.method is SyncMethod.WIFI and (self.keeps_wifi or self.provisioned)
        ):
            first = StepKey.VERIFY if self.linked(wanted) else StepKey.LINK
        elif self.method is SyncMethod.WIFI and self.unsettled:
            first = StepKey.PROVISION
        return first

    @property
    def ended(self) -> bool:
        """Whether all steps were done, and only the end was not kept."""
        return "verify" in self.done and self.outcome != "to_be_linked"


async def go_on(situation: Situation, past: EarlierAttempt) -> StepKey:
    """Take up what was done, keep the device for this process, and tell it; the first step to be carried out.

    Raises DEVICE_TAKEN, ANSWERS_INVALID, and the sync rule's errors.
    """
    first = past.reached(situation.given.link)
    restore(situation, past, first)
    if first is StepKey.FIND:
        return first
    sighting = situation.the_sighting
    await situation.record.device(
        sighting.address, name=past.name, model=past.model, certainty=past.certainty, reasons=past.reasons or None
    )
    situation.emit(
        DeviceFound(
            address=sighting.address,
            name=sighting.name,
            model=situation.the_model.id,
            certainty=sighting.detection.certainty.value,
            rssi=sighting.rssi,
            reasons=past.reasons,
        )
    )
    if situation.method is not None:
        situation.emit(SyncChosen(method=situation.method))
    if situation.network is not None:
        network = situation.network
        seen = bool(past.done.get("network", {}).get("seen"))
        situation.emit(NetworkChosen(ssid=network.label, security=network.security.value, seen_by_device=seen))
    return first


def begin_at(situation: Situation, past: EarlierAttempt, first: StepKey, steps: Sequence[Step]) -> int:
    """Where in `steps` the walk begins; those before are told to have been done, for whoever follows the events."""
    keys = [step.key for step in steps]
    # Another account may be wanted now than the one that it was verified in.
    ended = past.ended and (first is StepKey.VERIFY or "link" not in past.done)
    index = len(steps) if ended else keys.index(first)
    if situation.guided and first is StepKey.LINK and situation.linked_as is not None:
        # The vendor's app has brought it to the account already.
        index = keys.index(StepKey.PROVISION) + 1
    told: set[StepKey] = set()
    for step in steps[:index]:
        reason, result = step.skip_reason(situation), past.done.get(step.key.value)
        if step.key in told:
            continue
        told.add(step.key)
        if reason is not None:
            situation.emit(StepSkipped(step=step.key, reason=reason))
        elif result is not None:
            took = past.took.get(step.key.value, 0.0)
            situation.emit(StepDone(step=step.key, took=took, result=dict(result), before=True))
    return index


def restore(situation: Situation, past: EarlierAttempt, first: StepKey) -> None:
    """Know again what was known before step `first`. Raises the sync rule's errors, ANSWERS_INVALID.

    Before the device itself is looked for, nothing but its address holds.
    """
    situation.resumed = True
    situation.known_before = dict(past.known)
    if past.started:
        # What the device has delivered since then is its first data.
        situation.started = past.started
    if first is StepKey.FIND:
        situation.keep_wifi_wanted = past.keeps_wifi
        return
    if past.address is None or past.model is None:
        raise InstallerError(
            ErrorCode.INTERNAL, f"The record {past.id} names no device.", "Start a new installation of it."
        )
    found = past.done.get("find", {})
    certainty = Certainty(past.certainty) if past.certainty in list(Certainty) else Certainty.UNKNOWN
    situation.model = situation.surroundings.catalogue.get(past.model)
    situation.sighting = Sighting(
        address=past.address,
        rssi=_number(found.get("rssi")),
        advert=Advert(name=past.name),
        detection=Detection(
            model_id=past.model, certainty=certainty, protocol=found.get("protocol"), reasons=past.reasons
        ),
    )
    situation.guided = past.is_guided
    situation.associated = found.get("associated")
    situation.handed_over = past.handed_over
    situation.keep_wifi = past.keeps_wifi
    situation.made = Answers(find=past.answers.find or FindAnswer(device=past.address))
    if past.method is not None:
        # The rule holds for resumed installations too, whatever the record says.
        check_sync(situation.model, past.method)
        situation.method = past.method
        situation.made = situation.made.with_answer(StepKey.SYNC, SyncAnswer(method=past.method))
    ssid = past.sent or past.done.get("network", {}).get("ssid")
    if situation.method is SyncMethod.WIFI and ssid and not situation.guided:
        _network(situation, past, str(ssid))
    if past.provisioned:
        situation.url = past.done["provision"].get("url")
        if not situation.guided or first is StepKey.VERIFY:
            situation.made = situation.made.with_answer(StepKey.PROVISION, ProvisionAnswer())
    if first is StepKey.VERIFY:
        link = situation.given.link or LinkAnswer(account=past.account or "default")
        situation.linked_as, situation.made = past.linked(link), situation.made.with_answer(StepKey.LINK, link)
    elif situation.guided and past.provisioned:
        situation.linked_as = past.handed_over
    situation.sent = past.sent is not None and not situation.guided
    situation.unsettled = past.unsettled and first is StepKey.PROVISION


def _once_only(answers: Answers) -> Answers:
    """Without the secrets that were read from standard input: they cannot be read there again."""
    find, network = answers.find, answers.network
    if find is not None and find.proof is not None and find.proof.file == "-":
        answers = answers.with_answer(StepKey.FIND, find.model_copy(update={"proof": None}))
    if network is not None and network.passphrase is not None and network.passphrase.file == "-":
        answers = answers.with_answer(StepKey.NETWORK, network.model_copy(update={"passphrase": None}))
    return answers


def _network(situation: Situation, past: EarlierAttempt, ssid: str) -> None:
    result = past.done.get("network", {})
    told = result.get("security")
    security = Security(told) if told in list(Security) else Security.UNKNOWN
    hidden = bool(result.get("hidden"))
    situation.network = Network(ssid=ssid, security=security, hidden=hidden)
    answer = past.answers.network or NetworkAnswer(ssid=ssid, security=security, hidden=hidden)
    situation.made = situation.made.with_answer(StepKey.NETWORK, answer)


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else NO_SIGNAL


def title(past: EarlierAttempt) -> str:
    """The device in a few words, for a person."""
    name = printable(past.name, 32) or past.model or "a device"
    return f"{name} {past.address}" if past.address else name
