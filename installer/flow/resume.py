"""Reads earlier attempts from the ledger: which installations can be resumed, from which step, with which options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from installer.answers import Answers, FindAnswer, LinkAnswer, StepKey, validate
from installer.bluetooth.sighting import Certainty
from installer.catalogue.model import GUIDED, SyncMethod
from installer.errors import ErrorCode, InstallerError
from installer.ledger import timestamps
from installer.ledger.query_types import damaged_record
from installer.storage.private_files import is_absent
from installer.text import printable
from installer.timing.durations import short_time_ago

if TYPE_CHECKING:
    from installer.flow.run_options import Options, RunConfig
    from installer.ledger.records import Records
    from installer.storage.reference_origin import Origin

JOIN_UNKNOWN = "unknown"  # the value of `joined` in the result of a provision step that nobody has confirmed
MAX_LISTED = 9  # how many candidates an error names


@dataclass(frozen=True)
class AttemptSummary:
    """The main fields of an installation's record; a field that is not known is empty.

    It reads whole records, and the few columns that the ledger returns for the rows of a batch. `started`: in ISO
    8601. `sent_ssid`: the network whose credentials were sent to `address`. `step`: the step that was reached.
    """

    id: str
    outcome: str
    address: str = ""
    name: str = ""
    model: str = ""
    method: str = ""
    ssid: str = ""
    account: str = ""
    sent_ssid: str = ""
    started: str = ""
    station: str = ""
    error_code: str = ""
    step: str = ""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Read a record of the ledger."""
        return cls(**_summary_fields(record))


def _summary_fields(record: Mapping[str, Any]) -> dict[str, str]:
    sent = record.get("sent") or {"address": record.get("sent_address"), "ssid": record.get("sent_ssid")}
    address = record.get("address")
    sent_ssid = sent.get("ssid") if address and sent.get("address") == address else None
    found = {**record, "sent_ssid": sent_ssid, "error_code": record.get("error")}
    return {column.name: str(found.get(column.name) or "") for column in fields(AttemptSummary)}


@dataclass(frozen=True)
class EarlierAttempt(AttemptSummary):
    """A whole record, as a resumed installation reads it.

    `step_results` and `step_seconds`: by step. `known_devices`: by account, what was in it before the device.
    `handed_over_device_id`: the cloud's id, if the vendor's app brought the device to the account.
    """

    started_at: float = 0.0  # seconds since 1970
    answers: Answers = field(default_factory=Answers)
    certainty: str = Certainty.UNKNOWN.value
    reasons: tuple[str, ...] = ()
    handed_over_device_id: str | None = None
    step_results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    step_seconds: Mapping[str, float] = field(default_factory=dict)
    known_devices: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        record: Mapping[str, Any],
        origin: Origin | None = None,
        *,
        chosen: Answers | None = None,
        address: str = "",
    ) -> Self:
        """Read a whole record. Raises ANSWERS_INVALID for answers that this version cannot read, DATABASE_FAILED.

        `origin`: who vouches for the record's answers; without one no secret that they name is read. `chosen`: the
        answers that count instead of the record's, and the `address` of the device that they are for.
        """
        if record.get("damaged"):
            raise damaged_record(str(record["id"]), record["damaged"])
        steps = [s for s in record.get("steps", ()) if isinstance(s.get("result"), dict)]
        return cls(
            **_summary_fields(record),
            started_at=timestamps.unix_seconds(record.get("started")) or 0.0,
            answers=_resumed_answers(record, origin) if chosen is None else _for_device(chosen, address, record),
            certainty=str(record.get("certainty") or Certainty.UNKNOWN.value),
            reasons=tuple(str(r) for r in record.get("reasons") or ()),
            handed_over_device_id=record.get("handed_over"),
            step_results={s["step"]: s["result"] for s in steps},
            step_seconds={s["step"]: float(s.get("took") or 0.0) for s in steps},
            known_devices={k: frozenset(v) for k, v in (record.get("known") or {}).items()},
        )

    @property
    def is_guided(self) -> bool:
        """Whether only the vendor's app sets the device up."""
        return self.step_results.get("find", {}).get("protocol") == GUIDED

    @property
    def sync_method(self) -> SyncMethod | None:
        """The result of the sync step."""
        value = self.step_results.get("sync", {}).get("method")
        return SyncMethod(value) if value in [m.value for m in SyncMethod] else None

    @property
    def keeps_wifi(self) -> bool:
        """Whether the device was on Wi-Fi before and keeps that network."""
        return bool(self.step_results.get("find", {}).get("keep_wifi"))

    @property
    def provisioned(self) -> bool:
        """Whether it is confirmed that the device joined, or that the vendor's app brought it to the account."""
        result = self.step_results.get("provision")
        return result is not None and result.get("joined") != JOIN_UNKNOWN

    @property
    def join_unconfirmed(self) -> bool:
        """Whether credentials were sent and nobody knows whether the device joined."""
        return bool(self.sent_ssid) and not self.provisioned and "find" in self.step_results and not self.is_guided

    @property
    def all_steps_done(self) -> bool:
        """Whether all steps were done, and only the outcome was not recorded."""
        return "verify" in self.step_results and self.outcome != "to_be_linked"

    def linked_device_id(self, wanted: LinkAnswer | None) -> str | None:
        """The cloud's id of the device, if it was linked to the wanted account."""
        result = self.step_results.get("link", {})
        if wanted is not None and wanted.account != result.get("account"):
            return None
        found = result.get("device_id")
        return str(found) if found else None

    def next_step(self, wanted: LinkAnswer | None) -> StepKey:
        """The first step that must be carried out. `wanted`: the account, if one is named."""
        if "find" not in self.step_results:
            return StepKey.FIND
        linked = self.linked_device_id(wanted) is not None
        if self.is_guided:
            if self.sync_method is None:
                return StepKey.SYNC
            return StepKey.VERIFY if self.provisioned and linked else StepKey.LINK
        if self.sync_method is SyncMethod.BLUETOOTH:
            return StepKey.VERIFY if linked else StepKey.LINK
        if self.sync_method is SyncMethod.WIFI and (self.keeps_wifi or self.provisioned):
            return StepKey.VERIFY if linked else StepKey.LINK
        if self.sync_method is SyncMethod.WIFI and self.join_unconfirmed:
            return StepKey.PROVISION
        return StepKey.FIND


def _resumed_answers(record: Mapping[str, Any], origin: Origin | None) -> Answers:
    """The recorded answers, for this device only, without what must be chosen or read again."""
    answers = validate(record.get("answers") or {}, f"record {record['id']}", origin)
    return _for_device(answers, str(record.get("address") or ""), record)


def _for_device(answers: Answers, address: str, record: Mapping[str, Any]) -> Answers:
    """The answers for the device at `address`, without what must be chosen or read again."""
    find, network = answers.find, answers.network
    # A secret from standard input cannot be read a second time.
    if find is not None and find.proof is not None and find.proof.file == "-":
        find = find.without_proof()
    if network is not None and network.passphrase is not None and network.passphrase.file == "-":
        network = network.model_copy(update={"passphrase": None})
    if address:
        # A device that was chosen by its model or name is now chosen by its address.
        find = find or FindAnswer(device=address)
        update = {"device": address, "name": None, "model": record.get("model") or find.model}
        find = find.model_copy(update=update)
    answers = answers.with_answer(StepKey.FIND, find).with_answer(StepKey.NETWORK, network)
    return answers.without([StepKey.LINK]) if record.get("outcome") == "to_be_linked" else answers


@dataclass(frozen=True)
class Resumable:
    """One installation that can be resumed. `stopped`: the time of its last action, in ISO 8601.

    `sent`: whether credentials were sent. `batch`: the plan that it belongs to; a new run of that plan resumes it.
    `resume --list --json` prints these fields under these names.
    """

    id: str
    outcome: str
    step: str
    stopped: str
    address: str = ""
    name: str = ""
    model: str = ""
    error: str = ""
    sent: bool = False
    batch: str = ""
    cloud: str = ""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Resumable:
        """Read a whole record."""
        summary = AttemptSummary.of(record)
        sent = record.get("sent") or {}
        times = [record.get("started"), record.get("ended"), sent.get("time")]
        times += [s.get("done") for s in record.get("steps", ())] + [f.get("time") for f in record.get("failures", ())]
        find_answer = (record.get("answers") or {}).get("find") or {}
        return cls(
            id=summary.id,
            outcome=summary.outcome,
            step=summary.step or "find",
            stopped=max(t for t in times if t),
            address=summary.address or find_answer.get("device") or "",
            name=printable(summary.name, 32),
            model=summary.model or find_answer.get("model") or "",
            error=summary.error_code,
            sent=bool(sent),
            batch=record.get("batch") or "",
            cloud=str((record.get("options") or {}).get("cloud") or ""),
        )

    @property
    def device(self) -> str:
        """The device in a few words."""
        return printable(" ".join(p for p in (self.name or self.model or "a device", self.address) if p))

    def ago(self, now: datetime) -> str:
        """How long ago it stopped, in words."""
        return short_time_ago(datetime.fromisoformat(self.stopped), now)


def list_resumable(records: Records, limit: int = 50) -> list[Resumable]:
    """All installations that can be resumed, the newest first. Damaged records are left out; `records` names them."""
    found = (Resumable.of(record) for record in records.unfinished(limit) if not record["damaged"])
    return [r for r in found if r.address or r.model]


async def list_for_wizard(records: Records, cloud: str | None) -> list[Resumable]:
    """What the wizard offers to resume: no rows of a batch, and only installations with this cloud.

    Empty if the ledger is outdated: the wizard asks about that when the ledger is needed. Raises what `Records` raises.
    """
    file = records.store.target.file
    if file is not None and is_absent(file):
        return []
    try:
        found = await records.store.call(list_resumable, records)
    except InstallerError as error:
        if error.code is not ErrorCode.DATABASE_OUTDATED:
            raise
        return []
    return [r for r in found if r.address and not r.batch and r.cloud == (cloud or "")]


def find_record(records: Records, wanted: str | None) -> dict[str, Any]:
    """The whole record with this id, beginning of an id, or device address; without `wanted`, the only resumable one.

    Raises RECORD_UNKNOWN if there is none, USAGE if there are several.
    """
    if wanted:
        exact = records.get(wanted.strip())
        if exact is not None:
            return exact
    candidates = list_resumable(records)
    if wanted:
        text = wanted.strip().lower()
        matches = [r for r in candidates if r.id.startswith(text) or r.address.lower() == text]
        if not matches:
            raise InstallerError(
                ErrorCode.RECORD_UNKNOWN,
                f"There is no installation “{printable(wanted, 64)}” that can be resumed.",
                "`device-installer resume --list` lists those that can.",
                installation=wanted,
            )
    else:
        # A new run of the plan resumes the rows of a batch.
        matches = [r for r in candidates if not r.batch]
    if len(matches) > 1:
        raise _several_matches(matches)
    found = records.get(matches[0].id) if matches else None
    if found is None:
        rows = sum(bool(r.batch) for r in candidates)
        plans = f" {rows} row{'' if rows == 1 else 's'} of a batch: start its plan again." if rows else ""
        raise InstallerError(
            ErrorCode.RECORD_UNKNOWN,
            "There is no installation to resume." + plans,
            "`device-installer install` and the wizard begin a new one.",
        )
    return found


def _several_matches(matches: Sequence[Resumable]) -> InstallerError:
    listed = "; ".join(f"{r.id} ({r.device}, {r.step} step)" for r in matches[:MAX_LISTED])
    more = f"; and {len(matches) - MAX_LISTED} more" if len(matches) > MAX_LISTED else ""
    return InstallerError(
        ErrorCode.USAGE,
        f"{len(matches)} installations can be resumed: {listed}{more}.",
        "Name one: `device-installer resume ID`. `device-installer resume --list` prints them.",
        candidates=[r.id for r in matches],
    )


def config_for(config: RunConfig, record: Mapping[str, Any]) -> RunConfig:
    """`config`, completed with the adapter, cloud, catalogues and options of the earlier attempt."""
    earlier = record.get("options") or {}
    return replace(
        config,
        adapter=config.adapter or (None if config.lab else earlier.get("adapter")),
        cloud=config.cloud or (None if config.lab else earlier.get("cloud")),
        catalogues=config.catalogues or tuple(Path(str(p)) for p in earlier.get("catalogues") or ()),
        options=options_for(config.options, record),
    )


def options_for(options: Options, record: Mapping[str, Any]) -> Options:
    """`options`, with the switches that the earlier attempt had on."""
    earlier = record.get("options") or {}
    return replace(
        options,
        keep_wifi=options.keep_wifi or earlier.get("keep_wifi") is True,
        guided=options.guided or earlier.get("guided") is True,
        require_encryption=options.require_encryption or earlier.get("require_encryption") is True,
    )


def with_resume_command(error: InstallerError, summary: Mapping[str, Any], *, lab: bool) -> InstallerError:
    """`error` with the command that resumes the installation, if its sync method was chosen already."""
    if "sync" not in summary:
        return error
    command = f"device-installer resume {summary['installation']}{' --lab' if lab else ''}"
    return error.with_advice(f"{error.todo} Later, `{command}` resumes it.".strip())
