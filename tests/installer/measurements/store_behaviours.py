"""What the store does on any database. `database_url`: a new, empty database."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from installer.errors import ErrorCode, InstallerError
from installer.measurement import Measurement, Quantity, Reading
from installer.measurements import own_day
from installer.measurements.store import INSERT_BATCH, READ_PAGE, Added, Device, Store
from installer.measurements.stored_value import Row, of_measurement, row
from installer.storage import database

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SCALE = "00:24:E4:20:00:3C"


def weight(value: str = "72.35", unit: str = "kg", **more: Any) -> Row:
    given = {"source": "bluetooth", "device": SCALE, "kind": "weight", "taken": NOON, **more}
    return row(measured=Decimal(value), unit=unit, **given)


def steps(value: int, modified: int, **more: Any) -> Row:
    given = {"source": "cloud", "device": "d", "kind": "steps", "period": "2026-11-24", **more}
    return row(measured=Decimal(value), unit="steps", taken=NOON, modified=modified, **given)


def as_version_1(url: str) -> None:
    """Make the tables those of version 1, which kept no zones."""
    engine = database.open_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX measurements_unknown_zone"))
        for column in ("measurements.day", "measurements.zone", "measurements.zone_known", "cursors.again_from"):
            table, _, name = column.partition(".")
            connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {name}"))
        connection.execute(text("UPDATE store_version SET version = 1"))
    engine.dispose()


PUTTER = """
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from installer.measurements.stored_value import row
from installer.measurements.store import Store
start = datetime(2026, 11, 24, tzinfo=UTC)
with Store.open(sys.argv[1]) as store:
    new = 0
    for n in range(20):
        rows = [row(source="cloud", device="d", kind="weight", measured=Decimal(n * 10 + i), unit="kg",
                    taken=start + timedelta(seconds=n * 10 + i)) for i in range(10)]
        new += store.put(rows)
    print(new)
"""


class StoreBehaviours:
    def test_what_is_put_comes_out_again_exactly(self, database_url: str) -> None:
        put = weight(
            "123456789.123456789",
            user="2",
            account="clinic",
            model="body-plus",
            group="7",
            origin="person",
            ended=NOON + timedelta(hours=1),
            modified=5,
        )
        with Store.open(database_url) as store:
            assert store.put([put]) == 1
        with Store.open(database_url) as store:
            assert list(store.rows()) == [put]
            assert store.latest() == [put]

    def test_the_same_is_never_stored_twice(self, database_url: str) -> None:
        with Store.open(database_url) as store:
            assert store.put([weight(), weight(), weight(user="1")]) == 2
            assert store.put([weight(), weight("72.350")]) == 0
            elsewhere = NOON.astimezone(timezone(timedelta(hours=5)))
            assert store.put([weight(taken=elsewhere)]) == 0
            assert store.put([weight("72.40"), weight(taken=NOON + timedelta(seconds=1)), weight(source="cloud")]) == 3
            assert store.count() == 5

    def test_a_unit_is_turned_and_the_original_kept(self, database_url: str) -> None:
        with Store.open(database_url) as store:
            store.put([weight("160.5", "lb"), weight("98.6", "°F", kind="temperature"), weight("16", "kPa", kind="x")])
            found = {r.kind: r for r in store.rows()}
        assert (found["weight"].value, found["weight"].unit) == (Decimal("72.801575385"), "kg")
        assert (found["weight"].measured, found["weight"].measured_unit) == (Decimal("160.5"), "lb")
        assert (found["temperature"].value, found["temperature"].unit) == (Decimal(37), "°C")
        assert found["x"].value == Decimal("120.009852135")
        assert found["x"].unit == "mmHg"

    def test_a_total_grows_and_only_forward(self, database_url: str) -> None:
        with Store.open(database_url) as store:
            assert store.put([steps(800, 100)]) == 1
            added = store.add([steps(1600, 200)])
            assert (added.new, [r.value for r in added.changed]) == ((), [Decimal(1600)])
            late = store.add([steps(800, 100), steps(1200, 150), steps(1600, 200)])
            assert (late.new, late.changed) == ((), ())
            assert [r.value for r in store.rows()] == [Decimal(1600)]
            # Both in one: the newest counts.
            assert store.put([steps(9, 9, period="p"), steps(8, 8, period="p")]) == 1
            assert [r.value for r in store.rows() if r.period == "p"] == [Decimal(9)]

    def test_the_rows_of_one_act_of_measuring(self, database_url: str) -> None:
        measured = Measurement(
            readings=(
                Reading(quantity=Quantity.SYSTOLIC, value=Decimal(120), unit="mmHg"),
                Reading(quantity=Quantity.PULSE, value=Decimal(60), unit="1/min"),
            )
        )
        with Store.open(database_url) as store:
            made = of_measurement(measured, source="bluetooth", device="d", received=NOON, user="1")
            assert store.put(made) == 2
            assert [(r.kind, r.value, r.unit, r.taken, r.user) for r in store.rows()] == [
                ("systolic pressure", Decimal(120), "mmHg", NOON, "1"),
                ("pulse", Decimal(60), "1/min", NOON, "1"),
            ]

    def test_rows_are_chosen_and_come_in_the_order_of_time(self, database_url: str) -> None:
        later = NOON + timedelta(days=1)
        with Store.open(database_url) as store:
            store.put([weight(taken=later), weight(kind="pulse"), weight(device="other", account="a"), weight("1")])
            assert [r.taken for r in store.rows(kind="weight")] == [NOON, NOON, later]
            assert [r.device for r in store.rows(account="a")] == ["other"]
            assert [r.device for r in store.rows(device="other")] == ["other"]
            assert len(list(store.rows(since=later))) == 1
            assert len(list(store.rows(until=later))) == 3
            assert len(list(store.rows(source="cloud"))) == 0

    def test_the_latest_of_each_kind(self, database_url: str) -> None:
        with Store.open(database_url) as store:
            store.put([weight(str(n), taken=NOON + timedelta(minutes=n)) for n in range(1, 6)])
            store.put([weight("60", kind="pulse"), weight("9", user="2", account="a")])
            assert next((r.kind, r.value) for r in store.latest()) == ("weight", Decimal(5))
            assert len(store.latest()) == 3
            assert [r.value for r in store.latest(each=3) if r.kind == "weight" and not r.user] == [5, 4, 3]
            assert [r.value for r in store.latest(account="a")] == [9]

    def test_many_rows_at_once_and_page_by_page(self, database_url: str) -> None:
        many = [
            weight(str(n), taken=NOON + timedelta(seconds=n // 7)) for n in range(2 * READ_PAGE + INSERT_BATCH // 2)
        ]
        with Store.open(database_url) as store:
            assert store.put(many) == len(many)
            assert store.put(many) == 0
            assert [r.value for r in store.rows()] == [r.value for r in many]

    def test_up_to_where_an_account_was_fetched_goes_with_the_rows(self, database_url: str) -> None:
        with Store.open(database_url) as store:
            assert store.cursor("a", "getmeas") is None
            store.add([weight()], [("a", "getmeas", 100)])
            store.add([], [("a", "getmeas", 90), ("b", "getmeas", 5)])
            assert (store.cursor("a", "getmeas"), store.cursor("b", "getmeas")) == (100, 5)
            with pytest.raises(InstallerError):
                store.add([weight("1"), weight("2", kind=None)], [("a", "getmeas", 200)])
            assert store.cursor("a", "getmeas") == 100
            assert store.count() == 1

    def test_what_devices_are_called(self, database_url: str) -> None:
        with Store.open(database_url) as store:
            store.name_devices([Device("d", name="Body+ 3C", model="body-plus", account="a")])
            store.name_devices([Device("d", address=SCALE), Device("e", name="Move")])
            assert store.devices() == {
                "d": Device("d", "Body+ 3C", "body-plus", SCALE, "a"),
                "e": Device("e", "Move"),
            }

    def test_odd_texts_do_no_harm(self, database_url: str) -> None:
        odd = "a\0b\ud800'; DROP TABLE measurements; --"
        with Store.open(database_url) as store:
            assert store.put([weight(device=odd, user=odd)]) == 1
            assert store.put([weight(device=odd, user=odd)]) == 0
            assert "DROP TABLE" in next(store.rows()).device

    def test_several_programs_put_the_same_at_once(self, database_url: str) -> None:
        programs = [
            subprocess.Popen([sys.executable, "-c", PUTTER, database_url], stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        counts = [int(p.communicate(timeout=50)[0]) for p in programs]
        assert sum(counts) == 200
        with Store.open(database_url) as store:
            assert store.count() == 200

    def test_a_day_in_an_unknown_zone_is_marked_and_mended_when_the_zone_is_known(self, database_url: str) -> None:
        utc_day = own_day.of_day("2026-11-24", "Mars/Olympus")
        right = own_day.of_day("2026-11-24", "Pacific/Kiritimati")
        assert utc_day is not None
        assert right is not None
        a_day = {"kind": "steps", "source": "cloud", "period": "day 2026-11-24"}
        # As an older database of zones leaves them, which does not know Kiritimati.
        old = {"zone": "Pacific/Kiritimati", "zone_known": False}
        days = [weight(**{**a_day, **utc_day, **old}), weight(**{**a_day, **utc_day, "device": "mars"})]
        night = weight(kind="asleep", period="night 1", ended=NOON, **old)
        with Store.open(database_url) as store:
            store.put([*days, night, weight()])
            assert store.unknown_zones() == ["", "Mars/Olympus", "Pacific/Kiritimati"]
            assert store.place_known_zones() == 2
            assert store.place_known_zones() == 0
            assert store.unknown_zones() == ["", "Mars/Olympus"]
            found = {(r.kind, r.device): r for r in store.rows()}
            mended = found["steps", SCALE]
            assert {name: getattr(mended, name) for name in right} == right
            assert (mended.taken, mended.ended) == (NOON - timedelta(hours=26), NOON - timedelta(hours=2))
            assert found["steps", "mars"] == days[1]
            assert (found["asleep", SCALE].day, found["asleep", SCALE].taken) == ("2026-11-25", NOON)

    def test_a_fetch_gives_a_stored_value_its_zone_and_changes_nothing_else(self, database_url: str) -> None:
        lost = steps(800, 100, zone="Mars/Olympus")
        right = {"zone": "Asia/Kolkata", "zone_known": True, "day": "2026-11-24"}
        with Store.open(database_url) as store:
            store.put([lost, weight(zone="")])
            added = store.add([replace(lost, **right), replace(weight(), **right)])
            assert (added.new, added.changed, added.placed) == ((), (), 2)
            assert {(r.zone, r.day) for r in store.rows()} == {("Asia/Kolkata", "2026-11-24")}
            # A computer that does not know the zone takes nothing back.
            assert store.add([lost, weight(zone="")]) == Added()
            assert len(store.add([steps(900, 200, **right)]).changed) == 1

    def test_a_newer_database_of_zones_moves_a_day(self, database_url: str) -> None:
        place = {"zone": "America/Mexico_City", "zone_known": True, "day": "2026-07-01", "period": "day 2026-07-01"}
        with_summer_time = steps(800, 100, ended=NOON + timedelta(days=1), **place)
        without = replace(with_summer_time, taken=NOON + timedelta(hours=1), ended=NOON + timedelta(hours=25))
        with Store.open(database_url) as store:
            store.put([with_summer_time])
            assert store.add([without]).placed == 1
            assert list(store.rows()) == [without]

    def test_rows_are_chosen_by_the_day_of_the_person(self, database_url: str) -> None:
        def on(day: str, zone: str) -> Row:
            place = own_day.of_day(day, zone)
            assert place is not None
            return weight(**{"kind": zone, "period": f"day {day}", **place})

        zones = ("Pacific/Kiritimati", "Europe/Paris", "Pacific/Pago_Pago", "Mars/Olympus")
        the_day, before = date(2026, 11, 24), date(2026, 11, 23)
        midnight = NOON - timedelta(hours=12)
        with Store.open(database_url) as store:
            store.put(on(f"2026-11-{n}", zone) for n in (22, 23, 24, 25) for zone in zones)
            store.put([weight("1", taken=midnight), weight("2", taken=midnight - timedelta(seconds=1))])
            found = list(
                store.rows(first_day=the_day, last_day=the_day, since=midnight, until=midnight + timedelta(days=1))
            )
            # In the order of time: the day began in the east.
            assert [r.kind for r in found if r.day] == [zones[0], zones[1], zones[3], zones[2]]
            assert [r.value for r in found if not r.day] == [1]
            assert {r.day for r in store.rows(last_day=before) if r.day} == {"2026-11-22", "2026-11-23"}
            assert {r.day for r in store.rows(first_day=the_day) if r.day} == {"2026-11-24", "2026-11-25"}

    def test_a_store_of_version_1_is_migrated_and_says_what_to_fetch_again(self, database_url: str) -> None:
        with Store.open(database_url) as store:
            store.put([steps(800, 100, period="day 2026-11-24", user="7"), weight(source="cloud", user="8"), weight()])
            store.add([], [("wbsapi.withings.net 7", "getactivity", 100), ("wbsapi.withings.net 9", "getmeas", 5)])
        as_version_1(database_url)
        with Store.open(database_url) as store:
            rows = {r.kind + r.user: r for r in store.rows()}
            assert {r.zone for r in rows.values()} == {None}
            assert rows["steps7"].day == "2026-11-24"
            assert {r.zone_known for r in rows.values()} == {False}
            assert store.unknown_zones() == []
            assert store.again_from("wbsapi.withings.net 7", "getactivity") == NOON
            assert store.again_from("wbsapi.withings.net 9", "getmeas") is None
            store.fetched_again("wbsapi.withings.net 7", "getactivity")
            assert store.again_from("wbsapi.withings.net 7", "getactivity") is None
            assert store.cursor("wbsapi.withings.net 7", "getactivity") == 100

    def test_a_store_of_another_version_is_said_to_be_one(self, database_url: str) -> None:
        Store.open(database_url).close()
        engine = database.open_engine(database_url)
        with engine.begin() as connection:
            connection.execute(text("UPDATE store_version SET version = 99"))
        engine.dispose()
        with pytest.raises(InstallerError) as caught:
            Store.open(database_url)
        assert caught.value.code is ErrorCode.STORE_VERSION
        assert "Update device-installer" in caught.value.todo
