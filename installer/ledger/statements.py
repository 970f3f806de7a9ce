"""What is written of one installation, as statements on a connection that is in a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from installer.errors import ErrorCode, InstallerError
from installer.ledger import timestamps
from installer.ledger.site_and_operator import Context
from installer.ledger.sql_tables import TIMED, details, failures, installations, steps

if TYPE_CHECKING:
    from sqlalchemy import Connection

RUNNING = "running"
# What a text filter looks through.
SEARCHED = (
    *("id", "address", "serial", "name", "model", "protocol", "ssid", "account", "device_id"),
    *("site", "operator", "label", "batch", "row", "station", "error"),
)
# Which result of which step stands in which column.
COLUMNS: dict[str, dict[str, str]] = {
    "find": {k: k for k in ("address", "name", "model", "certainty", "protocol", "firmware", "serial")},
    "sync": {"method": "method"},
    "network": {"ssid": "ssid"},
    "provision": {"ssid": "ssid", "protocol": "protocol"},
    "link": {"account": "account", "device_id": "device_id", "serial": "serial"},
}

OF_DEVICE = ("serial", "firmware", "protocol", "method", "ssid", "account", "device_id", "handed_over")


# Which column has the seconds of a step, too.
SECONDS = {step: f"seconds_{step}" for step in TIMED}
# What a step tells that is no business of a ledger: a person's measurement belongs to that person's data.
PRIVATE = ("measurement",)


def kept(result: Any) -> Any:
    """A step's result as a record may hold it."""
    return clean({k: v for k, v in result.items() if k not in PRIVATE} if isinstance(result, dict) else result)


def clean(value: Any) -> Any:
    """Text without what a database cannot hold: NUL and halves of surrogate pairs."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {clean(k): clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [clean(v) for v in value]
    return value


def begin(connection: Connection, installation: str, version: str, context: Context, began: dict[str, Any]) -> None:
    """The row of a new installation. `began`: started, holder, seconds, answers."""
    values: dict[str, Any] = {
        "id": installation,
        "version": version,
        "started": began["started"],
        "outcome": RUNNING,
        "step": "find",
        "attempts": 1,
        "site": context.site,
        "operator": context.operator,
        "label": context.label,
        "batch": context.batch,
        "row": context.row,
        "station": context.station,
        "holder": began["holder"],
        "alive_until": timestamps.now(connection) + began["seconds"],
    }
    values = clean(values)
    connection.execute(insert(installations).values(**values, search=searched(values)))
    connection.execute(
        insert(details).values(
            installation=installation, answers=clean(began["answers"]), options=clean(context.options)
        )
    )


def claim(connection: Connection, installation: str, version: str, holder: str, seconds: float) -> None:
    """Go on with an installation that nobody works on. Raises DEVICE_TAKEN, RECORD_UNKNOWN."""
    changed = connection.execute(
        update(installations)
        .where((installations.c.id == installation) & (installations.c.outcome != RUNNING))
        .values(
            outcome=RUNNING,
            ended=None,
            holder=holder,
            version=version,
            attempts=installations.c.attempts + 1,
            alive_until=timestamps.now(connection) + seconds,
        )
    ).rowcount
    if changed:
        return
    station = connection.execute(select(installations.c.station).where(installations.c.id == installation)).first()
    if station is None:
        raise unknown(installation)
    raise InstallerError(
        ErrorCode.DEVICE_TAKEN,
        f"Installation {installation} is running just now, at station “{station[0] or 'unknown'}”.",
        "Wait until it has ended.",
        installation=installation,
    )


def alive(connection: Connection, installation: str, holder: str, seconds: float) -> None:
    """Say that the process still works on it; others may have thought that it does not."""
    _set(connection, installation, holder, {"alive_until": timestamps.now(connection) + seconds, "outcome": RUNNING})


def device(connection: Connection, installation: str, holder: str, values: dict[str, Any]) -> None:
    """What is known of the device as soon as it was sighted. For another device all begins anew."""
    reasons = values.pop("reasons", None)
    before = connection.execute(select(installations.c.address).where(installations.c.id == installation)).scalar()
    if before not in (None, values.get("address")):
        connection.execute(steps.delete().where(steps.c.installation == installation))
        values = {**dict.fromkeys((*OF_DEVICE, *SECONDS.values())), **values}
    _set(connection, installation, holder, values)
    if reasons is not None:
        connection.execute(
            update(details).where(details.c.installation == installation).values(reasons=clean(list(reasons)))
        )


def step_done(
    connection: Connection,
    installation: str,
    holder: str,
    step: str,
    took: float,
    result: dict[str, Any],
    reached: str | None,
    answers: dict[str, Any] | None,
) -> None:
    """A step's result replaces its older one; the step after it is reached."""
    mine = (steps.c.installation == installation) & (steps.c.step == step)
    connection.execute(steps.delete().where(mine))
    position = select(func.coalesce(func.max(steps.c.position), 0) + 1).where(steps.c.installation == installation)
    connection.execute(
        insert(steps).values(
            installation=installation,
            step=step,
            position=position.scalar_subquery(),
            done=timestamps.stamp(),
            took=round(took, 3),
            result=kept(result),
        )
    )
    values: dict[str, Any] = {
        column: result[key] for key, column in COLUMNS.get(step, {}).items() if result.get(key) not in (None, "")
    }
    if step in SECONDS:
        values[SECONDS[step]] = round(took, 3)
    if step == "provision" and result.get("protocol") == "guided" and "device_id" in result:
        values["handed_over"] = result["device_id"]
    _set(connection, installation, holder, {**values, "error": None, **({"step": reached} if reached else {})})
    if answers is not None:
        choices(connection, installation, answers)
    if step == "sync" and result.get("method") == "bluetooth":
        _set(connection, installation, holder, {"ssid": None})
    if step == "find" and result.get("reasons"):
        connection.execute(
            update(details).where(details.c.installation == installation).values(reasons=clean(result["reasons"]))
        )


def choices(connection: Connection, installation: str, answers: dict[str, Any]) -> None:
    """The choices that hold now."""
    connection.execute(update(details).where(details.c.installation == installation).values(answers=clean(answers)))


def known(connection: Connection, installation: str, account: str, ids: list[str]) -> None:
    """What was in the account before the device."""
    before = connection.execute(select(details.c.known).where(details.c.installation == installation)).scalar() or {}
    connection.execute(
        update(details)
        .where(details.c.installation == installation)
        .values(known=clean({**before, account: before.get(account, ids)}))
    )


def sending(connection: Connection, installation: str, holder: str, address: str, ssid: str) -> None:
    """Credentials are about to leave."""
    values = {"sent_address": address, "sent_ssid": ssid, "sent_at": timestamps.stamp(), "step": "provision"}
    _set(connection, installation, holder, values)


def failed(connection: Connection, installation: str, holder: str, step: str | None, code: str, what: str) -> None:
    """A failure, also of a step that is tried again."""
    position = select(func.coalesce(func.max(failures.c.position), 0) + 1)
    connection.execute(
        insert(failures).values(
            installation=installation,
            position=position.where(failures.c.installation == installation).scalar_subquery(),
            step=step,
            code=code,
            what=clean(what),
            time=timestamps.stamp(),
        )
    )
    _set(connection, installation, holder, {"error": code, **({"step": step} if step else {})})


def end(connection: Connection, installation: str, holder: str, outcome: str, took: float) -> None:
    """How it ended, and how long this attempt took."""
    values: dict[str, Any] = {
        "outcome": outcome,
        "ended": timestamps.stamp(),
        "took": func.coalesce(installations.c.took, 0.0) + round(took, 3),
        "holder": None,
        "alive_until": None,
    }
    if outcome == "installed":
        values |= {"error": None, "step": None}
    _set(connection, installation, holder, values)


def forget(connection: Connection, installation: str) -> None:
    """It is not offered for resuming any more."""
    options = connection.execute(select(details.c.options).where(details.c.installation == installation)).scalar()
    changed = {**(options or {}), "forgotten": True}
    connection.execute(update(details).where(details.c.installation == installation).values(options=changed))


def unknown(installation: str) -> InstallerError:
    """RECORD_UNKNOWN in words."""
    return InstallerError(
        ErrorCode.RECORD_UNKNOWN,
        f"There is no record “{installation}”.",
        "`device-installer records list` lists them.",
        installation=installation,
    )


def _set(connection: Connection, installation: str, holder: str, values: dict[str, Any]) -> None:
    """Change the row, if this process still has it. Raises DEVICE_TAKEN where another one has gone on with it."""
    values = {k: clean(v) for k, v in values.items()}
    mine = (installations.c.id == installation) & (installations.c.holder == holder)
    changed = connection.execute(update(installations).where(mine).values(**values)).rowcount
    if not changed:
        raise InstallerError(
            ErrorCode.DEVICE_TAKEN,
            f"Installation {installation} was taken up again by another process: this one was silent for too long.",
            "Look there how it ended.",
            installation=installation,
            lost=True,
        )
    if not values.keys().isdisjoint(SEARCHED):
        columns = [installations.c[name] for name in SEARCHED]
        row = connection.execute(select(*columns).where(installations.c.id == installation)).mappings().one()
        connection.execute(
            update(installations).where(installations.c.id == installation).values(search=searched(dict(row)))
        )


def searched(values: dict[str, Any]) -> str:
    """What a text filter looks through, of a row."""
    return " ".join(str(values[name]).lower() for name in SEARCHED if values.get(name))
