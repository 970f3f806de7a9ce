"""Reads records of earlier attempts: the next step, the answers, the options. No device."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from installer.answers import LinkAnswer, StepKey
from installer.errors import ErrorCode, InstallerError
from installer.flow.resume import EarlierAttempt, Resumable, options_for, with_resume_command
from installer.flow.run_options import Options

ADDRESS = "00:24:E4:20:00:3C"
SENT = {"address": ADDRESS, "ssid": "Home", "time": "2026-11-25T08:00:03.000+00:00"}
IMPROV = {"address": ADDRESS, "protocol": "improv"}
GUIDED = {"address": ADDRESS, "protocol": "guided"}
WIFI, BLUETOOTH = {"method": "wifi"}, {"method": "bluetooth"}
NETWORK = {"ssid": "Home", "security": "wpa2", "hidden": False}
JOINED = {"protocol": "improv", "ssid": "Home"}
LINKED = {"account": "default", "device_id": "cloud-1"}


def record(sent: dict[str, str] | None = None, **steps: Any) -> dict[str, Any]:
    return {
        "id": "6110e67ff168",
        "outcome": "interrupted",
        "started": "2026-11-25T08:00:00.000+00:00",
        "address": ADDRESS,
        "name": "Body+ 3C",
        "model": "body-plus",
        "sent": sent,
        "account": "default",
        "answers": {"sync": {"method": "wifi"}},
        "steps": [
            {"step": k, "done": "2026-11-25T08:00:01.000+00:00", "took": 1.0, "result": v} for k, v in steps.items()
        ],
        "failures": [],
    }


@pytest.mark.parametrize(
    ("kept", "step"),
    [
        (record(), StepKey.FIND),
        (record(find=IMPROV), StepKey.FIND),
        (record(find=IMPROV, sync=WIFI, network=NETWORK), StepKey.FIND),
        (record(SENT, find=IMPROV, sync=WIFI, network=NETWORK), StepKey.PROVISION),
        (record(SENT, find=IMPROV, sync=WIFI, network=NETWORK, provision=JOINED), StepKey.LINK),
        (record(SENT, find=IMPROV, sync=WIFI, network=NETWORK, provision=JOINED, link={"later": True}), StepKey.LINK),
        (record(SENT, find=IMPROV, sync=WIFI, network=NETWORK, provision=JOINED, link=LINKED), StepKey.VERIFY),
        # Only the cloud can confirm the join, and has not done so yet.
        (
            record(
                SENT, find=IMPROV, sync=WIFI, network=NETWORK, provision={**JOINED, "joined": "unknown"}, link=LINKED
            ),
            StepKey.PROVISION,
        ),
        # The credentials were sent to another device before this one was chosen.
        (record({**SENT, "address": "AA"}, find=IMPROV, sync=WIFI), StepKey.FIND),
        (record(find={**IMPROV, "keep_wifi": True}, sync=WIFI), StepKey.LINK),
        (record(find=IMPROV, sync=BLUETOOTH), StepKey.LINK),
        (record(find=IMPROV, sync=BLUETOOTH, link=LINKED), StepKey.VERIFY),
        (record(find=GUIDED), StepKey.SYNC),
        (record(find=GUIDED, sync=WIFI, link={"account": "default"}), StepKey.LINK),
        (record(find=GUIDED, sync=WIFI, provision={"device_id": "cloud-1"}, link=LINKED), StepKey.VERIFY),
    ],
)
def test_next_step(kept: dict[str, Any], step: StepKey) -> None:
    assert EarlierAttempt.of(kept).next_step(None) is step


def test_another_account_is_linked_anew() -> None:
    earlier = EarlierAttempt.of(record(SENT, find=IMPROV, sync=WIFI, network=NETWORK, provision=JOINED, link=LINKED))
    assert earlier.next_step(LinkAnswer(account="default")) is StepKey.VERIFY
    assert earlier.next_step(LinkAnswer(account="clinic")) is StepKey.LINK


def test_the_device_is_the_one_of_the_record_and_secrets_from_standard_input_are_gone() -> None:
    kept = record() | {
        "answers": {
            "find": {"name": "Body+ 3C", "proof": {"file": "-"}},
            "network": {"ssid": "Home", "passphrase": {"file": "-"}},
        }
    }
    answers = EarlierAttempt.of(kept).answers
    assert answers.find is not None
    assert (answers.find.device, answers.find.model, answers.find.name) == (ADDRESS, "body-plus", None)
    assert answers.find.proof is None
    assert answers.network is not None
    assert answers.network.passphrase is None


def test_answers_that_cannot_be_read_are_told() -> None:
    with pytest.raises(InstallerError) as raised:
        EarlierAttempt.of(record() | {"answers": {"sync": {"method": "smoke signals"}}})
    assert raised.value.code is ErrorCode.ANSWERS_INVALID
    assert "6110e67ff168" in raised.value.what


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0, "just now"), (5, "5 min ago"), (60, "1 h ago"), (1500, "yesterday"), (5000, "3 days ago"), (-5, "just now")],
)
def test_when_it_stopped(minutes: int, words: str) -> None:
    one = Resumable.of(record(SENT, find=IMPROV))
    assert one.stopped == SENT["time"]  # its last action
    assert one.ago(datetime(2026, 11, 25, 8, 0, 4, tzinfo=UTC) + timedelta(minutes=minutes)) == words


def test_a_resumed_installation_keeps_the_switches_of_the_first_attempt() -> None:
    kept = {"options": {"require_encryption": True, "guided": True, "keep_wifi": False, "forgotten": True}}
    options = options_for(Options(non_interactive=True), kept)
    assert (options.require_encryption, options.guided, options.keep_wifi) == (True, True, False)
    assert options.non_interactive


def test_a_failure_names_the_command_where_something_was_done() -> None:
    error = InstallerError(ErrorCode.CLOUD_UNREACHABLE, "It is away.", "Wait.", status=1)
    assert with_resume_command(error, {"installation": "1"}, lab=False) is error
    told = with_resume_command(error, {"installation": "1", "sync": "wifi"}, lab=True)
    assert told.todo == "Wait. Later, `device-installer resume 1 --lab` resumes it."
    assert (told.code, told.data) == (error.code, error.data)
