"""Fuzz targets: the decoders of measurements, advertisements, the cloud's answers, QR codes, labels and batch plans.

The targets of a provisioning protocol stand in the test folder of that protocol (`fuzz_targets.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial

from installer.batch import labels, plan_check, plan_reader
from installer.bluetooth.hci import advertising_data, advertising_reports
from installer.catalogue.catalogue_file import Catalogue, load
from installer.catalogue.model import Profile
from installer.cloud.response import parse_answer
from installer.errors import InstallerError
from installer.health_profiles.blood_pressure import supported_status
from installer.health_profiles.characteristic_fields import CodecError
from installer.health_profiles.characteristics import MessageJoiner
from installer.health_profiles.characteristics import decode as decode_measurement
from installer.health_profiles.device_clock import parse_current_time
from installer.health_profiles.heart_rate import sensor_location
from installer.measurement import Measurement
from installer.notifications.notification import parse_notification
from installer.qr.classify import classify
from tests.fuzz.targets import Target


def _health_messages(profile: Profile, data: bytes) -> None:
    """Messages of a device in chunks of the size that the first byte gives; split measurements are joined."""
    if not data:
        return
    size, rest = data[0] % 30 + 1, data[1:]
    joiner = MessageJoiner(profile)
    for at in range(0, len(rest), size):
        with contextlib.suppress(CodecError):
            for decoded in joiner.feed(rest[at : at + size]):
                assert decoded.measurement.readings
                assert decoded.raw in rest
    with contextlib.suppress(CodecError):
        joiner.finish()


def _current_time(data: bytes) -> None:
    now = datetime(2026, 11, 25, 8, 0, 0)
    measured = Measurement(readings=(), device_time=now)
    parse_current_time(data, now.astimezone()).add_times(measured, now.astimezone())


def classify_bytes(data: bytes) -> None:
    """The text of a QR code."""
    classify(data.decode("utf-8", "surrogateescape"))


def label(data: bytes) -> None:
    """The text of a label's code."""
    text = data.decode("utf-8", "surrogateescape")
    labels.parse(text)
    labels.is_code(text)


def _plan(read: Callable[[bytes, plan_reader.RawPlan], None], data: bytes) -> None:
    plan = plan_reader.RawPlan("fuzz.csv", "fuzz")
    read(data, plan)
    plan_check.check(plan, plan_check.PlanResources(_catalogue(), {}, ["default"]))


@cache
def _catalogue() -> Catalogue:
    return load()


DECODERS: dict[str, Target] = {
    "health": Target(
        [
            *(partial(decode_measurement, profile) for profile in Profile),
            partial(_health_messages, Profile.BODY_COMPOSITION),
            partial(_health_messages, Profile.STEPS),
            supported_status,
            sensor_location,
            _current_time,
        ],
        CodecError,
    ),
    "advertisement": Target([advertising_data.parse_advertising_data, advertising_reports.parse_report]),
    "envelope": Target([parse_answer], InstallerError),
    "qr": Target([classify_bytes], InstallerError),
    "notification": Target([parse_notification]),
    "label": Target([label], InstallerError),
    "plan": Target([partial(_plan, plan_reader._read_csv), partial(_plan, plan_reader._read_toml)], InstallerError),
}
