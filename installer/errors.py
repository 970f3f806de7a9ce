"""Every failure of the program: its code, exit status, what happened, and what to do.

An exit status is a contract with scripts: one number per code, never reused for another.
The README's table is checked against `ErrorCode` by a test.
"""

from __future__ import annotations

import enum
from typing import Any


class ErrorCode(enum.Enum):
    """Code (the text that scripts see), exit status, and the meaning in one line."""

    def __new__(cls, code: str, exit_status: int, meaning: str) -> ErrorCode:  # noqa: D102
        member = object.__new__(cls)
        member._value_ = code
        member.exit_status = exit_status
        member.meaning = meaning
        return member

    exit_status: int
    meaning: str

    INTERNAL = "internal", 1, "a defect of this program; a crash report was saved"
    USAGE = "usage", 2, "the command line is wrong"
    ANSWERS_INVALID = "answers_invalid", 3, "the answers file or an answer is wrong"
    CATALOGUE_INVALID = "catalogue_invalid", 4, "a catalogue file is wrong"
    SCENARIO_INVALID = "scenario_invalid", 5, "a scenario file of the lab is wrong"
    ANSWER_MISSING = "answer_missing", 6, "a script run needs a choice that nobody made"
    SECRET_UNAVAILABLE = "secret_unavailable", 7, "a named secret cannot be read"
    SETTINGS_INVALID = "settings_invalid", 8, "the settings file is wrong"
    FILE_UNWRITABLE = "file_unwritable", 9, "a file cannot be written"

    BLUETOOTH_MISSING = "bluetooth_missing", 10, "no Bluetooth adapter, or no service for it"
    BLUETOOTH_OFF = "bluetooth_off", 11, "Bluetooth is switched off"
    BLUETOOTH_DENIED = "bluetooth_denied", 12, "no permission to use Bluetooth"
    ADAPTER_FAILED = "adapter_failed", 13, "the named adapter cannot be opened or stopped working"

    DATABASE_FAILED = "database_failed", 14, "a database cannot be opened, read or written"
    DATABASE_OUTDATED = "database_outdated", 15, "the tables of a database are older or newer than this program"
    RECORD_UNKNOWN = "record_unknown", 16, "there is no such record, or nothing to resume"

    PLAN_INVALID = "plan_invalid", 17, "the plan of a batch has mistakes"
    RECORD_AMBIGUOUS = "record_ambiguous", 18, "several records have an id that begins like that"

    DEVICE_NOT_FOUND = "device_not_found", 20, "no such device within reach"
    DEVICE_AMBIGUOUS = "device_ambiguous", 21, "several devices fit; name one by its address"
    DEVICE_UNSUPPORTED = "device_unsupported", 22, "this device cannot be set up by this program"
    DEVICE_ALREADY_SET_UP = "device_already_set_up", 23, "the device is set up already"
    CONNECTION_FAILED = "connection_failed", 24, "the device was seen but no connection came about"
    CONNECTION_LOST = "connection_lost", 25, "the Bluetooth connection dropped"
    DEVICE_MISBEHAVED = "device_misbehaved", 26, "the device answered against its protocol"
    DEVICE_REFUSED = "device_refused", 27, "the device refused the request"
    DEVICE_TAKEN = "device_taken", 28, "another station is installing this device"

    SYNC_WIFI_ONLY = "sync_wifi_only", 30, "Bluetooth-only asked of a model that syncs by Wi-Fi only"
    SYNC_BLUETOOTH_ONLY = "sync_bluetooth_only", 31, "Wi-Fi asked of a model that has no Wi-Fi"
    ENCRYPTION_REQUIRED = (
        "encryption_required",
        32,
        "--require-encryption, and the protocol sends credentials unencrypted",
    )

    NETWORK_NOT_FOUND = "network_not_found", 40, "the device does not see this network"
    NETWORK_UNSUPPORTED = "network_unsupported", 41, "the device cannot join this kind of network"
    SSID_INVALID = "ssid_invalid", 42, "not a possible SSID"
    PASSPHRASE_INVALID = "passphrase_invalid", 43, "not a possible passphrase for this network"

    JOIN_FAILED = "join_failed", 50, "the device could not join the network (check the passphrase)"
    AUTHORIZATION_TIMEOUT = "authorization_timeout", 51, "nobody pressed the button on the device"
    PROVISIONING_TIMEOUT = "provisioning_timeout", 52, "the device did not report an outcome in time"
    PROOF_WRONG = "proof_wrong", 53, "the proof of possession was wrong"
    PROOF_MISSING = "proof_missing", 54, "the device wants a proof of possession, and none was given"
    GUIDE_TIMEOUT = "guide_timeout", 55, "the device did not come to the account with the vendor's app in time"

    SESSION_TAKEN = "session_taken", 56, "another app talks to the device at the same time"

    CLOUD_UNREACHABLE = "cloud_unreachable", 60, "the cloud does not answer"
    CLOUD_BUSY = "cloud_busy", 61, "too many requests to the cloud (status 601)"
    CLOUD_FAILED = "cloud_failed", 62, "the cloud answered with an error"
    SIGN_IN_FAILED = "sign_in_failed", 63, "signing in to the account failed"
    SIGN_IN_TIMEOUT = "sign_in_timeout", 64, "nobody signed in within the time"
    CODE_EXPIRED = "code_expired", 65, "the sign-in code was older than 30 seconds or used before"
    ACCOUNT_UNKNOWN = "account_unknown", 66, "no tokens are stored for this account"
    TOKEN_REJECTED = "token_rejected", 67, "the cloud no longer accepts the stored tokens"
    LINK_REFUSED = "link_refused", 68, "the cloud refused to link the device"
    LINK_TIMEOUT = "link_timeout", 69, "the device did not appear in the account in time"

    FIRST_DATA_TIMEOUT = "first_data_timeout", 70, "no first measurement arrived in time"
    MEASUREMENT_FAILED = "measurement_failed", 71, "no measurement could be read over Bluetooth"

    GATEWAY_RUNNING = "gateway_running", 72, "another gateway of this user is running already"
    OUTBOX_INVALID = "outbox_invalid", 73, "the gateway's outbox is damaged, or of another program or version"
    GATEWAY_EMPTY = "gateway_empty", 74, "the gateway has no device to collect from"
    GATEWAY_INCOMPLETE = "gateway_incomplete", 75, "the gateway has not collected or delivered everything"

    NOTIFICATIONS_REFUSED = "notifications_refused", 76, "the cloud does not take this address for notifications"
    RECEIVER_FAILED = "receiver_failed", 77, "the receiver of notifications cannot run"
    STORE_VERSION = "store_version", 78, "the store of measurements is of another version of this program"
    DATA_UNKNOWN = "data_unknown", 79, "the store has no measurements of this device or kind"

    LAB_UNAVAILABLE = "lab_unavailable", 80, "the lab could not be started or reached"
    TIMEOUT = "timeout", 90, "the time given with --timeout is over"
    DOCTOR_FOUND = "doctor_found", 91, "doctor found something that prevents an installation"
    BATCH_INCOMPLETE = "batch_incomplete", 92, "some rows of the plan are not installed"
    LABEL_UNKNOWN = "label_unknown", 93, "what was given to `link` is neither a known id nor the text of a label"
    INTERRUPTED = "interrupted", 130, "stopped by the person (Ctrl-C)"


class InstallerError(Exception):
    """A failure that a person or a script can act on.

    `what` is one sentence about what happened, `todo` one or two about what to do.
    `data` carries machine-readable details (JSON types only); never a secret.
    """

    def __init__(self, code: ErrorCode, what: str, todo: str, **data: Any) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.todo = todo
        self.data = data

    @property
    def exit_status(self) -> int:
        """The number that the program exits with."""
        return self.code.exit_status

    def __str__(self) -> str:
        return f"{self.what} {self.todo}".strip()

    def __repr__(self) -> str:
        return f"InstallerError({self.code.value}: {self.what!r})"
