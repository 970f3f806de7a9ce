"""Writes of one installation: INSERT and UPDATE statements on a connection that is in a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from installer.errors import ErrorCode, InstallerError
from installer.ledger import timestamps
from installer.ledger.query_types import damaged_record
from installer.ledger.records import Context
from installer.ledger.sql_tables import FORGOTTEN_OPTION, TIMED_STEPS, details, failures, installations, steps
from installer.text import printable

if TYPE_CHECKING:
    from sqlalchemy import Connection

RUNNING = "running"
# The columns that a text filter searches.
SEARCH_COLUMNS = (
    *("id", "address", "serial", "name", "model", "protocol", "ssid", "account", "device_id"),
    *("site", "operator", "label", "batch", "row", "station", "error"),
)
# {step: {key of its result: column}}
RESULT_COLUMNS: dict[str, dict[str, str]] = {
    "find": {k: k for k in ("address", "name", "model", "certainty", "protocol", "firmware", "serial")},
    "sync": {"method": "method"},
    "network": {"ssid": "ssid"},
    "provision": {"ssid": "ssid", "protocol": "protocol"},
    "link": {"account": "account", "device_id": "device_id", "serial": "serial"},
}

# The columns that belong to one device. They are cleared when another device is chosen.
DEVICE_COLUMNS = ("serial", "firmware", "protocol", "method", "ssid", "account", "device_id", "handed_over")

# {step: column with its duration}; the same number is in the table `steps`.
STEP_SECONDS_COLUMNS = {step: f"seconds_{step}" for step in TIMED_STEPS}
# Results that are never kept: a measurement belongs to the data of that person.
PRIVATE_RESULT_KEYS = ("measurement",)


def storable_result(result: Any) -> Any:
    """The result of a step without private values and unstorable characters."""
    return storable(
        {k: v for k, v in result.items() if k not in PRIVATE_RESULT_KEYS} if isinstance(result, dict) else result
    )


def storable(value: Any) -> Any:
    """The value without characters that a database cannot store: NUL and lone surrogates."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {storable(k): storable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [storable(v) for v in value]
    return value


def insert_installation(
    connection: Connection,
    installation: str,
    version: str,
    context: Context,
    started: str,
    answers: dict[str, Any],
    holder: str,
    lease_seconds: float,
) -> None:
    """Insert a new installation."""
    values: dict[str, Any] = {
        "id": installation,
        "version": version,
        "started": started,
        "outcome": RUNNING,
        "step": "find",
        "attempts": 1,
        "site": context.site,
        "operator": context.operator,
        "label": context.label,
        "batch": context.batch,
        "row": context.row,
        "station": context.station,
        "holder": holder,
        "alive_until": timestamps.database_time(connection) + lease_seconds,
    }
    values = storable(values)
    connection.execute(insert(installations).values(**values, search=search_text(values)))
    connection.execute(
        insert(details).values(installation=installation, answers=storable(answers), options=storable(context.options))
    )


def claim_installation(
    connection: Connection, installation: str, version: str, holder: str, lease_seconds: float
) -> None:
    """Resume an installation that no process works on. Raises DEVICE_TAKEN, RECORD_UNKNOWN."""
    changed = connection.execute(
        update(installations)
        .where((installations.c.id == installation) & (installations.c.outcome != RUNNING))
        .values(
            outcome=RUNNING,
            ended=None,
            holder=holder,
            version=version,
            attempts=installations.c.attempts + 1,
            alive_until=timestamps.database_time(connection) + lease_seconds,
        )
    ).rowcount
    if changed:
        return
    station = connection.execute(select(installations.c.station).where(installations.c.id == installation)).first()
    if station is None:
        raise record_unknown(installation)
    raise InstallerError(
        ErrorCode.DEVICE_TAKEN,
        f"Installation {installation} is running now, at station “{printable(str(station[0] or 'unknown'))}”.",
        "Wait until it has ended.",
        installation=installation,
    )


def renew_heartbeat(connection: Connection, installation: str, holder: str, lease_seconds: float) -> None:
    """Record that the process still works on it, also if another process marked it as interrupted."""
    _set(
        connection,
        installation,
        holder,
        {"alive_until": timestamps.database_time(connection) + lease_seconds, "outcome": RUNNING},
    )


def set_device(connection: Connection, installation: str, holder: str, values: dict[str, Any]) -> None:
    """Save the device as soon as it was sighted. The results for a different earlier device are deleted."""
    reasons = values.pop("reasons", None)
    previous = connection.execute(select(installations.c.address).where(installations.c.id == installation)).scalar()
    if previous not in (None, values.get("address")):
        connection.execute(steps.delete().where(steps.c.installation == installation))
        values = {**dict.fromkeys((*DEVICE_COLUMNS, *STEP_SECONDS_COLUMNS.values())), **values}
    _set(connection, installation, holder, values)
    if reasons is not None:
        connection.execute(
            update(details).where(details.c.installation == installation).values(reasons=storable(list(reasons)))
        )


def change_address(connection: Connection, installation: str, holder: str, address: str) -> None:
    """The same device has this address now. Unlike `set_device`, what was done with it stays."""
    this = installations.c.id == installation
    before = connection.execute(select(installations.c.address, installations.c.sent_address).where(this)).first()
    # What was sent to it was sent to this device.
    sent = before is not None and before.sent_address is not None and before.sent_address == before.address
    _set(connection, installation, holder, {"address": address, **({"sent_address": address} if sent else {})})


def set_step_done(
    connection: Connection,
    installation: str,
    holder: str,
    step: str,
    took: float,
    result: dict[str, Any],
    reached: str | None,
    answers: dict[str, Any] | None,
) -> None:
    """Save the result of a step in place of an older one. `reached`: the next step."""
    this_step = (steps.c.installation == installation) & (steps.c.step == step)
    connection.execute(steps.delete().where(this_step))
    position = select(func.coalesce(func.max(steps.c.position), 0) + 1).where(steps.c.installation == installation)
    connection.execute(
        insert(steps).values(
            installation=installation,
            step=step,
            position=position.scalar_subquery(),
            done=timestamps.timestamp(),
            took=round(took, 3),
            result=storable_result(result),
        )
    )
    values: dict[str, Any] = {
        column: result[key] for key, column in RESULT_COLUMNS.get(step, {}).items() if result.get(key) not in (None, "")
    }
    if step in STEP_SECONDS_COLUMNS:
        values[STEP_SECONDS_COLUMNS[step]] = round(took, 3)
    if step == "provision" and result.get("protocol") == "guided" and "device_id" in result:
        values["handed_over"] = result["device_id"]
    _set(connection, installation, holder, {**values, "error": None, **({"step": reached} if reached else {})})
    if answers is not None:
        set_answers(connection, installation, answers)
    if step == "sync" and result.get("method") == "bluetooth":
        _set(connection, installation, holder, {"ssid": None})
    if step == "find" and result.get("reasons"):
        connection.execute(
            update(details).where(details.c.installation == installation).values(reasons=storable(result["reasons"]))
        )


def set_answers(connection: Connection, installation: str, answers: dict[str, Any]) -> None:
    """Save the current answers."""
    connection.execute(update(details).where(details.c.installation == installation).values(answers=storable(answers)))


def set_known_devices(connection: Connection, installation: str, account: str, ids: list[str]) -> None:
    """Save which devices the account had before this one; the first call for an account counts."""
    known = _object(connection, installation, "known")
    connection.execute(
        update(details)
        .where(details.c.installation == installation)
        .values(known=storable({**known, account: known.get(account, ids)}))
    )


def set_sending(connection: Connection, installation: str, holder: str, address: str, ssid: str) -> None:
    """Save that credentials are about to be sent."""
    values = {"sent_address": address, "sent_ssid": ssid, "sent_at": timestamps.timestamp(), "step": "provision"}
    _set(connection, installation, holder, values)


def add_failure(connection: Connection, installation: str, holder: str, step: str | None, code: str, what: str) -> None:
    """Add a failure, also of a step that is retried."""
    position = select(func.coalesce(func.max(failures.c.position), 0) + 1)
    connection.execute(
        insert(failures).values(
            installation=installation,
            position=position.where(failures.c.installation == installation).scalar_subquery(),
            step=step,
            code=code,
            what=storable(what),
            time=timestamps.timestamp(),
        )
    )
    _set(connection, installation, holder, {"error": code, **({"step": step} if step else {})})


def set_ended(connection: Connection, installation: str, holder: str, outcome: str, took: float) -> None:
    """Save the outcome. `took`: the seconds of this attempt, which are added to those of earlier attempts."""
    values: dict[str, Any] = {
        "outcome": outcome,
        "ended": timestamps.timestamp(),
        "took": func.coalesce(installations.c.took, 0.0) + round(took, 3),
        "holder": None,
        "alive_until": None,
    }
    if outcome == "installed":
        values |= {"error": None, "step": None}
    _set(connection, installation, holder, values)


def _object(connection: Connection, installation: str, column: str) -> dict[str, Any]:
    """A JSON object of a record that is about to be changed. Raises DATABASE_FAILED if it is damaged."""
    value = connection.execute(select(details.c[column]).where(details.c.installation == installation)).scalar()
    if value is not None and not isinstance(value, dict):
        raise damaged_record(installation, [column])
    return value or {}


def hide_from_resume(connection: Connection, installation: str) -> None:
    """Hide it from the list of what can be resumed."""
    changed = {**_object(connection, installation, "options"), FORGOTTEN_OPTION: True}
    connection.execute(update(details).where(details.c.installation == installation).values(options=changed))


def check_recorded(connection: Connection, installation: str) -> None:
    """Raise DATABASE_FAILED if the record of a running installation is missing. No other station is to blame then."""
    found = connection.execute(select(installations.c.id).where(installations.c.id == installation))
    if found.first() is not None:
        return
    raise InstallerError(
        ErrorCode.DATABASE_FAILED,
        f"The ledger has lost the record of installation {installation} while it ran: somebody restored the database, "
        "wrote over it or removed the record.",
        "Nothing more was sent. Start the installation again, and restore a ledger only while nobody installs.",
        installation=installation,
    )


def record_unknown(installation: str) -> InstallerError:
    """The error RECORD_UNKNOWN."""
    return InstallerError(
        ErrorCode.RECORD_UNKNOWN,
        f"There is no record “{printable(installation, 64)}”.",
        "`device-installer records list` lists them.",
        installation=installation,
    )


def _set(connection: Connection, installation: str, holder: str, values: dict[str, Any]) -> None:
    """Update the row if this process still holds it. Raises DEVICE_TAKEN if another process has resumed it."""
    values = {k: storable(v) for k, v in values.items()}
    own = (installations.c.id == installation) & (installations.c.holder == holder)
    changed = connection.execute(update(installations).where(own).values(**values)).rowcount
    if not changed:
        raise InstallerError(
            ErrorCode.DEVICE_TAKEN,
            f"Another process resumed installation {installation} because this one was silent for too long.",
            "See the result there.",
            installation=installation,
            lost=True,
        )
    if not values.keys().isdisjoint(SEARCH_COLUMNS):
        columns = [installations.c[name] for name in SEARCH_COLUMNS]
        row = connection.execute(select(*columns).where(installations.c.id == installation)).mappings().one()
        connection.execute(
            update(installations).where(installations.c.id == installation).values(search=search_text(dict(row)))
        )


def search_text(values: dict[str, Any]) -> str:
    """The text of an installation that a text filter searches."""
    return " ".join(str(values[name]).lower() for name in SEARCH_COLUMNS if values.get(name))
