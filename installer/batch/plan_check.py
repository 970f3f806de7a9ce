"""Checks a file's rows: a plan for each of their devices, or all their mistakes at once."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from installer.answers import NetworkAnswer
from installer.batch.plan import Plan, Unit
from installer.batch.plan_format import LATER, Defaults, Row
from installer.batch.plan_reader import RawPlan, RawRow
from installer.batch.spreadsheet import Mistake, Place
from installer.catalogue.catalogue import Catalogue, Model, SyncMethod, check_sync
from installer.errors import ErrorCode, InstallerError
from installer.storage.secret_references import SecretRef
from installer.text import printable
from installer.wifi.networks import Credentials, check_credentials
from installer.wifi.saved_networks import SavedNetwork

MAX_KEY = 120


@dataclass(frozen=True)
class Known:
    """What this computer knows, to check a plan against. `accounts` None: any name will do (the lab signs in itself).

    `loose`: a passphrase given on the command line for an `ssid` that is not saved.
    """

    catalogue: Catalogue
    networks: Mapping[str, SavedNetwork]
    accounts: Collection[str] | None = None
    loose: SecretRef | None = None


def check(raw: RawPlan, known: Known, over: Mapping[str, Any] | None = None) -> Plan:
    """The plan. `over`: the defaults of the command line, which win over those of the file.

    Raises PLAN_INVALID; `data["mistakes"]` has every one: line, column, name, what, todo.
    """
    checker = _Checker(raw, known)
    units = checker.units(over or {})
    mistakes = raw.mistakes + checker.mistakes
    if mistakes:
        raise invalid(raw.source, mistakes)
    return Plan(raw.name, raw.source, tuple(units), tuple(raw.remarks))


def invalid(source: str, mistakes: Sequence[Mistake]) -> InstallerError:
    """PLAN_INVALID with all mistakes, in the order of the lines."""
    ordered = sorted(mistakes, key=lambda m: (m.place.line, m.place.column))
    many = "1 mistake" if len(ordered) == 1 else f"{len(ordered)} mistakes"
    return InstallerError(
        ErrorCode.PLAN_INVALID,
        f"The plan {source} has {many}.",
        "Mend them; `batch PLAN --dry-run` checks it again without touching a device.",
        file=source,
        mistakes=[
            {"line": m.place.line, "column": m.place.column, "name": m.place.name, "what": m.what, "todo": m.todo}
            for m in ordered
        ],
    )


class _Checker:
    """Collects mistakes; a row with one still shows its others."""

    def __init__(self, raw: RawPlan, known: Known) -> None:
        self._raw = raw
        self._known = known
        self.mistakes: list[Mistake] = []
        self._secrets: dict[str, InstallerError | None] = {}
        self._devices: dict[str, Place] = {}
        self._keys: dict[str, int] = {}
        self._said_account = False

    def units(self, over: Mapping[str, Any]) -> list[Unit]:
        """The units of all rows; what is wrong goes to `mistakes`."""
        defaults = self._part(Defaults, self._raw.defaults)
        said = Defaults()
        try:
            said = Defaults.model_validate({k: v for k, v in over.items() if v is not None})
        except ValidationError as error:
            for item in error.errors(include_url=False, include_input=False, include_context=False):
                self._say(Place(0, 0, f"--{item['loc'][0]}" if item["loc"] else "command line"), _words(item))
        merged = _merged(defaults, said)
        from_file = RawRow(self._raw.defaults.place, {}, dict(self._raw.defaults.places))
        for name in Defaults.model_fields:
            if getattr(said, name) is not None:
                from_file.places[name] = Place(0, 0, f"--{name}")
        self._network(merged, from_file)
        self._account(merged, from_file)
        units: list[Unit] = []
        for number, raw in enumerate(self._raw.rows, 1):
            row = self._part(Row, raw)
            if row is not None:
                units += self._row(number, raw, row, merged)
        return units

    def _part(self, kind: type[Any], raw: RawRow) -> Any:
        """The row as a model; where some of its values are wrong, what is left of it, so that the rest is checked."""
        values = dict(raw.values)
        while True:
            try:
                return kind.model_validate(values)
            except ValidationError as error:
                bad = set()
                for item in error.errors(include_url=False, include_input=False, include_context=False):
                    name = str(item["loc"][0]) if item["loc"] else ""
                    bad.add(name)
                    self._say(raw.at(name), _words(item))
                if "" in bad or not bad & set(values):
                    return None
                values = {k: v for k, v in values.items() if k not in bad}
                if kind is Row and not (values.get("device") or values.get("model")):
                    return None

    def _row(self, number: int, raw: RawRow, row: Row, defaults: Defaults) -> list[Unit]:
        model = self._model(raw, row)
        if row.device is not None:
            first = self._devices.setdefault(row.device, raw.at("device"))
            if first is not raw.at("device"):
                self._say(
                    raw.at("device"), f"The device {row.device} is in the plan already, in {first}.", "Once will do."
                )
        if row.proof is not None and (row.count or 1) > 1:
            self._say(
                raw.at("proof"), "One proof of possession is for one device.", "Give each device a row of its own."
            )
        sync, firm = (row.sync, True) if row.sync is not None else (defaults.sync, False)
        if sync is None and (row.network or row.ssid):
            sync = SyncMethod.WIFI
        own = row.network is not None or row.ssid is not None
        network = self._network(row, raw) if own else self._network(defaults, None)
        if model is not None:
            try:
                if sync is not None and firm:
                    check_sync(model, sync)
                elif own and not model.allows(SyncMethod.WIFI):
                    check_sync(model, SyncMethod.WIFI)
            except InstallerError as error:
                self._say(raw.at("sync" if firm else "network"), error.what, error.todo)
                return []
            if sync is None or not model.allows(sync):
                sync = model.sync[0] if len(model.sync) == 1 else None
            if sync is None:
                ways = " or ".join(m.value for m in model.sync)
                self._say(
                    raw.at("model"),
                    f"{model.name} can sync in two ways, and the row names none.",
                    f"Give sync: {ways}.",
                )
                return []
        if sync is SyncMethod.BLUETOOTH and own and firm:
            place = raw.at("network" if row.network else "ssid")
            self._say(
                place, "A network is given, and the device is to sync over Bluetooth only.", "Leave one of them out."
            )
        if sync is SyncMethod.WIFI and network is None and not (own or defaults.network or defaults.ssid):
            self._say(
                raw.at("sync"), "The device syncs by Wi-Fi, and no network is named.", "Give network, or --network."
            )
        account = self._account(row, raw) if row.account else self._account(defaults, None)
        if not (row.account or defaults.account) and (model is None or model.cloud.data is not None):
            self._no_account(raw)
        unit = Unit(
            name=str(number),
            key="",
            row=number,
            place=raw.place,
            device=row.device,
            model=model.id if model is not None else None,
            sync=sync,
            firm=firm,
            network=network if sync is not SyncMethod.BLUETOOTH else None,
            account=None if account == LATER else account,
            later=account == LATER,
            proof=row.proof,
            username=row.username,
            site=printable(row.site or defaults.site or "", 200),
            label=printable(row.label or defaults.label or "", 200),
            notes=row.notes or "",
        )
        return self._counted(unit, row.count)

    def _counted(self, unit: Unit, count: int | None) -> list[Unit]:
        if unit.device is not None:
            return [replace(unit, key=unit.device)]
        base = "/".join(part for part in (unit.model or "", unit.site, unit.label) if part)[:MAX_KEY]
        begin = self._keys.get(base, 0)
        self._keys[base] = begin + (count or 1)
        several = (count or 1) > 1
        return [
            replace(unit, name=f"{unit.name}.{i + 1}" if several else unit.name, key=f"{base}#{begin + i + 1}")
            for i in range(count or 1)
        ]

    def _model(self, raw: RawRow, row: Row) -> Model | None:
        if row.model is None:
            return None
        try:
            return self._known.catalogue.get(row.model)
        except InstallerError:
            names = [n for m in self._known.catalogue.models for n in (m.id, m.name)]
            self._say(raw.at("model"), f"There is no model “{printable(row.model, 40)}”.", _nearest(row.model, names))
            return None

    def _network(self, part: Defaults | Row, raw: RawRow | None) -> NetworkAnswer | None:
        """The named network as an answer; `raw` None: its mistakes were said already."""
        found: SavedNetwork | None = None
        name = part.network
        if name is not None:
            found = self._known.networks.get(name)
            if found is None and raw is not None:
                self._say(
                    raw.at("network"),
                    f"No network is saved under the name “{printable(name, 40)}”.",
                    _nearest(name, list(self._known.networks)) or "Save it: device-installer networks add NAME.",
                )
        elif part.ssid is not None:
            found = next((n for n in self._known.networks.values() if n.ssid == part.ssid), None)
            if found is None and self._known.loose is not None:
                return NetworkAnswer(ssid=part.ssid, passphrase=self._known.loose)
            if found is None and raw is not None:
                self._say(
                    raw.at("ssid"),
                    f"No network with the SSID “{printable(part.ssid, 40)}” is saved, so its passphrase is not known.",
                    "Save it: device-installer networks add NAME; or give --passphrase-file or --passphrase-env.",
                )
        if found is None:
            return None
        problem = self._passphrase(name or part.ssid or "", found)
        if problem is not None and raw is not None:
            self._say(raw.at("network" if name else "ssid"), problem.what, problem.todo)
        return found.answer

    def _passphrase(self, name: str, saved: SavedNetwork) -> InstallerError | None:
        """Why its credentials cannot be used, if so; each is fetched once."""
        if name not in self._secrets:
            try:
                secret = saved.passphrase.fetch() if saved.passphrase is not None else None
                check_credentials(
                    Credentials(network=saved.network)
                    if secret is None
                    else Credentials(network=saved.network, passphrase=secret)
                )
                self._secrets[name] = None
            except InstallerError as error:
                self._secrets[name] = error
        return self._secrets[name]

    def _account(self, part: Defaults | Row, raw: RawRow | None) -> str:
        name = part.account or "default"
        if name.strip().lower() == LATER:
            return LATER
        known = self._known.accounts
        if known is not None and name not in known and raw is not None and part.account is not None:
            self._say(
                raw.at("account"),
                f"Nobody is signed in to an account “{printable(name, 40)}”.",
                f"{_nearest(name, [*known, LATER])} Sign in: device-installer account login {name}".strip() + ".",
            )
        return name

    def _no_account(self, raw: RawRow) -> None:
        if self._known.accounts is None or "default" in self._known.accounts or self._said_account:
            return
        self._said_account = True
        self._say(
            raw.place,
            "No account is named, and nobody is signed in to the account “default”.",
            "Give account (a signed-in one, or “later”) in the row or with --account. "
            + (
                f"There are: {', '.join(self._known.accounts)}."
                if self._known.accounts
                else "Sign in: device-installer account login NAME."
            ),
        )

    def _say(self, place: Place, what: str, todo: str = "") -> None:
        mistake = Mistake(place, what, todo)
        if mistake not in self.mistakes:
            self.mistakes.append(mistake)


def _merged(file: Defaults | None, said: Defaults) -> Defaults:
    base = {} if file is None else file.model_dump(exclude_none=True)
    over = said.model_dump(exclude_none=True)
    if "network" in over:
        base.pop("ssid", None)
    if "ssid" in over:
        base.pop("network", None)
    return Defaults.model_validate(base | over)


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.lower(), [k.lower() for k in known], 1, 0.5)
    if near:
        return f"Did you mean “{next(k for k in known if k.lower() == near[0])}”?"
    return f"There are: {', '.join(known)}." if known else ""


def _words(item: Any) -> str:
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "there is no such key"
    return f"{message[:1].upper()}{message[1:]}".rstrip(".") + "."
