"""Checks the rows of a plan: makes one unit for each device, or reports all mistakes at once."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from installer.answers import NetworkAnswer
from installer.batch import spreadsheet
from installer.batch.plan import Plan, Unit
from installer.batch.plan_format import LATER, Defaults, Row
from installer.batch.plan_reader import RawPlan, RawRow
from installer.batch.spreadsheet import FilePosition, Mistake
from installer.catalogue.catalogue_file import Catalogue
from installer.catalogue.model import Model, SyncMethod
from installer.catalogue.sync_rule_wifi_or_bluetooth import check_sync
from installer.errors import ErrorCode, InstallerError
from installer.storage.secret_references import SecretRef
from installer.text import in_quotes, printable, printable_name
from installer.wifi.credentials import Credentials, check_credentials
from installer.wifi.near_names import near_names
from installer.wifi.saved_networks import SavedNetwork

MAX_KEY = 120
MAX_UNITS = spreadsheet.MAX_ROWS


@dataclass(frozen=True)
class PlanResources:
    """The models, saved networks and accounts that a plan may name. `accounts` None: any name is valid (in the lab).

    `passphrase`: that of the command line, for an `ssid` that is not saved. `damaged_accounts`: those of `accounts`
    whose tokens cannot be used, and why.
    """

    catalogue: Catalogue
    networks: Mapping[str, SavedNetwork]
    accounts: Collection[str] | None = None
    passphrase: SecretRef | None = None
    damaged_accounts: Mapping[str, InstallerError] = field(default_factory=dict)


def check(raw: RawPlan, resources: PlanResources, overrides: Mapping[str, Any] | None = None) -> Plan:
    """The checked plan. `overrides`: the defaults of the command line, which replace those of the file.

    Raises PLAN_INVALID; its `data["mistakes"]` lists them all: line, column, name, what, todo.
    """
    checker = _Checker(raw, resources)
    units = checker.units(overrides or {})
    mistakes = raw.mistakes + checker.mistakes
    if mistakes:
        raise invalid(raw.source, mistakes)
    return Plan(raw.name, raw.source, tuple(units), tuple(raw.remarks))


def invalid(source: str, mistakes: Sequence[Mistake]) -> InstallerError:
    """The error PLAN_INVALID with all mistakes, in the order of the lines."""
    ordered = sorted(mistakes, key=lambda m: (m.position.line, m.position.column))
    count = "1 mistake" if len(ordered) == 1 else f"{len(ordered)} mistakes"
    return InstallerError(
        ErrorCode.PLAN_INVALID,
        f"The plan {source} has {count}.",
        "Correct them. `batch PLAN --dry-run` checks the plan again without touching a device.",
        file=source,
        mistakes=[
            {
                "line": m.position.line,
                "column": m.position.column,
                "name": m.position.name,
                "what": m.what,
                "todo": m.todo,
            }
            for m in ordered
        ],
    )


class _Checker:
    """Collects the mistakes of all rows. A row with a mistake is still checked for others."""

    def __init__(self, raw: RawPlan, resources: PlanResources) -> None:
        self._raw = raw
        self._resources = resources
        self._mistakes: dict[Mistake, None] = {}  # in their order, each once
        self._passphrase_errors: dict[str, InstallerError | None] = {}
        self._devices: dict[str, FilePosition] = {}
        self._keys: dict[str, int] = {}
        self._reported_account = False
        self._own_network = False  # the command line names the network of the rows that name none

    @property
    def mistakes(self) -> list[Mistake]:
        """All that were found."""
        return list(self._mistakes)

    def units(self, overrides: Mapping[str, Any]) -> list[Unit]:
        """The units of all rows. Mistakes go to `mistakes`."""
        defaults = self._validated(Defaults, self._raw.defaults)
        options = Defaults()
        try:
            options = Defaults.model_validate({k: v for k, v in overrides.items() if v is not None})
        except ValidationError as error:
            for item in error.errors(include_url=False, include_input=False, include_context=False):
                self._add_mistake(
                    FilePosition(0, 0, f"--{item['loc'][0]}" if item["loc"] else "command line"), _message(item)
                )
        merged = _merged(defaults, options)
        self._own_network = options.network is not None or options.ssid is not None
        raw_defaults = RawRow(self._raw.defaults.position, {}, dict(self._raw.defaults.positions))
        for name in Defaults.model_fields:
            if getattr(options, name) is not None:
                raw_defaults.positions[name] = FilePosition(0, 0, f"--{name}")
        self._network(merged, raw_defaults)
        self._account(merged, raw_defaults)
        units: list[Unit] = []
        for number, raw in enumerate(self._raw.rows, 1):
            row = self._validated(Row, raw)
            if row is not None:
                units += self._row(number, raw, row, merged)
            if len(units) > MAX_UNITS:
                self._add_mistake(
                    raw.position_of("count"),
                    f"Up to here the plan has more than {MAX_UNITS} devices.",
                    "Split it into several files.",
                )
                break
        return units

    def _validated(self, kind: type[Any], raw: RawRow) -> Any:
        """The row as a model, without its wrong values, so that the others are checked; None if nothing is left."""
        values, origin = dict(raw.values), self._raw.origin
        while True:
            try:
                return kind.model_validate(values, context=origin.context if origin is not None else None)
            except ValidationError as error:
                wrong = set()
                for item in error.errors(include_url=False, include_input=False, include_context=False):
                    name = str(item["loc"][0]) if item["loc"] else ""
                    wrong.add(name)
                    self._add_mistake(raw.position_of(name), _message(item))
                if "" in wrong or not wrong & set(values):
                    return None
                values = {k: v for k, v in values.items() if k not in wrong}
                if kind is Row and not (values.get("device") or values.get("model")):
                    return None

    def _row(self, number: int, raw: RawRow, row: Row, defaults: Defaults) -> list[Unit]:
        model = self._model(raw, row)
        if row.device is not None:
            first = self._devices.setdefault(row.device, raw.position_of("device"))
            if first is not raw.position_of("device"):
                self._add_mistake(
                    raw.position_of("device"),
                    f"The device {row.device} is already in the plan, in {first}.",
                    "Give it once.",
                )
        if row.proof is not None and (row.count or 1) > 1:
            self._add_mistake(
                raw.position_of("proof"), "A proof of possession is for one device.", "Give each device its own row."
            )
        sync, sync_required = (row.sync, True) if row.sync is not None else (defaults.sync, False)
        if sync is None and (row.network or row.ssid):
            sync = SyncMethod.WIFI
        has_network = row.network is not None or row.ssid is not None
        network = self._network(row, raw) if has_network else self._network(defaults, None)
        if network is not None and row.exact is not None:
            network = network.model_copy(update={"exact": row.exact})
        if model is not None:
            try:
                if sync is not None and sync_required:
                    check_sync(model, sync)
                elif has_network and not model.allows(SyncMethod.WIFI):
                    check_sync(model, SyncMethod.WIFI)
            except InstallerError as error:
                self._add_mistake(raw.position_of("sync" if sync_required else "network"), error.what, error.todo)
                return []
            if sync is None or not model.allows(sync):
                sync = model.sync[0] if len(model.sync) == 1 else None
            if sync is None:
                ways = " or ".join(m.value for m in model.sync)
                self._add_mistake(
                    raw.position_of("model"),
                    f"{model.name} has two sync methods, and the row names none.",
                    f"Give sync: {ways}.",
                )
                return []
        if sync is SyncMethod.BLUETOOTH and has_network and sync_required:
            position = raw.position_of("network" if row.network else "ssid")
            self._add_mistake(
                position, "A network is given, but the device is to sync over Bluetooth only.", "Remove one of them."
            )
        # One that is wrong is a mistake already.
        names_network = has_network or any(raw.values.get(name) for name in ("network", "ssid"))
        if sync is SyncMethod.WIFI and network is None and not (names_network or defaults.network or defaults.ssid):
            self._add_mistake(
                raw.position_of("sync"),
                "The device is to sync over Wi-Fi, but no network is given.",
                "Give network, or --network.",
            )
        account = self._account(row, raw) if row.account else self._account(defaults, None)
        if not (row.account or defaults.account) and (model is None or model.cloud.data is not None):
            self._check_default_account(raw)
        unit = Unit(
            name=str(number),
            key="",
            row=number,
            position=raw.position,
            device=row.device,
            model=model.id if model is not None else None,
            sync=sync,
            sync_required=sync_required,
            network=network if sync is not SyncMethod.BLUETOOTH else None,
            own_network=self._own_network and not has_network,
            account=None if account == LATER else account,
            link_later=account == LATER,
            proof=row.proof,
            username=row.username,
            security=row.security,
            site=printable(row.site or defaults.site or "", 200),
            label=printable(row.label or defaults.label or "", 200),
            notes=row.notes or "",
        )
        return self._units_of_row(unit, row.count)

    def _units_of_row(self, unit: Unit, count: int | None) -> list[Unit]:
        if unit.device is not None:
            return [replace(unit, key=unit.device)]
        base = "/".join(part for part in (unit.model or "", unit.site, unit.label) if part)[:MAX_KEY]
        used = self._keys.get(base, 0)
        self._keys[base] = used + (count or 1)
        several = (count or 1) > 1
        return [
            replace(unit, name=f"{unit.name}.{i + 1}" if several else unit.name, key=f"{base}#{used + i + 1}")
            for i in range(count or 1)
        ]

    def _model(self, raw: RawRow, row: Row) -> Model | None:
        if row.model is None:
            return None
        try:
            return self._resources.catalogue.get(row.model)
        except InstallerError:
            names = [n for m in self._resources.catalogue.models for n in (m.id, m.name)]
            self._add_mistake(
                raw.position_of("model"),
                f"There is no model “{printable(row.model, 40)}”.",
                _did_you_mean(row.model, names),
            )
            return None

    def _network(self, part: Defaults | Row, raw: RawRow | None) -> NetworkAnswer | None:
        """The named network as an answer. `raw` None: its mistakes are already reported."""
        found: SavedNetwork | None = None
        name = part.network
        if name is not None:
            found = self._resources.networks.get(name)
            if found is None and raw is not None:
                self._add_mistake(
                    raw.position_of("network"),
                    f"No network is saved as “{printable_name(name, 40)}”.",
                    _did_you_mean(name, list(self._resources.networks))
                    or "Save it with: device-installer networks add NAME.",
                )
        elif part.ssid is not None:
            found = next((n for n in self._resources.networks.values() if n.ssid == part.ssid), None)
            if found is None and self._resources.passphrase is not None:
                return NetworkAnswer(ssid=part.ssid, exact=bool(part.exact), passphrase=self._resources.passphrase)
            if found is None and raw is not None:
                self._add_mistake(
                    raw.position_of("ssid"),
                    f"No network with SSID “{printable_name(part.ssid, 40)}” is saved: its passphrase is not known.",
                    f"{self._near_saved(part.ssid)}Save it with: device-installer networks add NAME. Or give "
                    "--passphrase-file or --passphrase-env.",
                )
        if found is None:
            return None
        problem = self._passphrase_error(name or part.ssid or "", found)
        if problem is not None and raw is not None:
            self._add_mistake(raw.position_of("network" if name else "ssid"), problem.what, problem.todo)
        answer = NetworkAnswer.from_saved(found)
        return answer.model_copy(update={"exact": True}) if part.exact else answer

    def _near_saved(self, ssid: str) -> str:
        """A question with the name of a saved network that may be meant, or an empty text."""
        near = near_names(ssid, [saved.ssid for saved in self._resources.networks.values()])
        return f"Did you mean {in_quotes(near[0])}? " if near else ""

    def _passphrase_error(self, name: str, saved: SavedNetwork) -> InstallerError | None:
        """The error of its credentials, or None. Each passphrase is fetched once."""
        if name not in self._passphrase_errors:
            try:
                secret = saved.passphrase.fetch() if saved.passphrase is not None else None
                check_credentials(
                    Credentials(network=saved.network)
                    if secret is None
                    else Credentials(network=saved.network, passphrase=secret)
                )
                self._passphrase_errors[name] = None
            except InstallerError as error:
                self._passphrase_errors[name] = error
        return self._passphrase_errors[name]

    def _account(self, part: Defaults | Row, raw: RawRow | None) -> str:
        name = part.account or "default"
        if name.strip().lower() == LATER:
            return LATER
        known = self._resources.accounts
        if known is not None and name not in known and raw is not None and part.account is not None:
            self._add_mistake(
                raw.position_of("account"),
                f"There is no signed-in account “{printable(name, 40)}”.",
                f"{_did_you_mean(name, [*known, LATER])} Sign in with: device-installer account login {name}".strip()
                + ".",
            )
        if raw is not None and part.account is not None:
            self._check_damage(name, raw.position_of("account"))
        return name

    def _check_damage(self, name: str, position: FilePosition) -> None:
        error = self._resources.damaged_accounts.get(name)
        if error is not None:
            self._add_mistake(position, error.what, error.todo)

    def _check_default_account(self, raw: RawRow) -> None:
        if not self._reported_account and "default" in self._resources.damaged_accounts:
            self._reported_account = True
            self._check_damage("default", raw.position)
        if self._resources.accounts is None or "default" in self._resources.accounts or self._reported_account:
            return
        self._reported_account = True
        self._add_mistake(
            raw.position,
            "No account is given, and the account “default” is not signed in.",
            "Give account (a signed-in one, or “later”) in the row or with --account. "
            + (
                f"Signed in: {', '.join(self._resources.accounts)}."
                if self._resources.accounts
                else "Sign in with: device-installer account login NAME."
            ),
        )

    def _add_mistake(self, position: FilePosition, what: str, todo: str = "") -> None:
        self._mistakes.setdefault(Mistake(position, what, todo))


def _merged(file: Defaults | None, options: Defaults) -> Defaults:
    base = {} if file is None else file.model_dump(exclude_none=True)
    overrides = options.model_dump(exclude_none=True)
    if "network" in overrides:
        base.pop("ssid", None)
    if "ssid" in overrides:
        base.pop("network", None)
    return Defaults.model_validate(base | overrides)


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.lower(), [k.lower() for k in known], 1, 0.5)
    if near:
        return f"Did you mean “{next(k for k in known if k.lower() == near[0])}”?"
    return f"Use: {', '.join(known)}." if known else ""


def _message(item: Any) -> str:
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "there is no such key"
    return f"{message[:1].upper()}{message[1:]}".rstrip(".") + "."
