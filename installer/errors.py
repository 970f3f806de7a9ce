"""The table of exit statuses (`ErrorCode`), and `InstallerError`: what happened, and what to do.

Exit statuses are a contract with scripts: one number for each code, and a number is never given to another code.
`device-installer exits` prints the table. A test compares it with `docs/exit-statuses.md`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    # Not imported at run time: `--help` needs the error codes, and pydantic takes 60 ms.
    from pydantic import ValidationError


class ErrorCode(enum.Enum):
    """One failure: the code that scripts read, the exit status, what it means, what to do.

    `todo` is the general advice. An `InstallerError` gives the advice for the case at hand.
    """

    def __new__(cls, code: str, exit_status: int, meaning: str, todo: str) -> ErrorCode:  # noqa: D102
        member = object.__new__(cls)
        member._value_ = code
        member.exit_status = exit_status
        member.meaning = meaning
        member.todo = todo
        return member

    exit_status: int
    meaning: str
    todo: str

    # fmt: off
    INTERNAL = (
        "internal", 1, "a defect of this program; a crash report was saved",
        "Send in the crash report. It contains no passphrase and no token.")
    USAGE = (
        "usage", 2, "the command line is wrong",
        "Correct the command. `--help` lists its options.")
    ANSWERS_INVALID = (
        "answers_invalid", 3, "the answers file or an answer is wrong",
        "Correct the answer that the message names. `schema answers` prints what is allowed.")
    CATALOGUE_INVALID = (
        "catalogue_invalid", 4, "a catalogue file is wrong",
        "Correct the key or line that the message names. `schema catalogue` prints what is allowed.")
    SCENARIO_INVALID = (
        "scenario_invalid", 5, "a scenario file of the lab is wrong",
        "Correct the key or line that the message names. `lab scenario` prints an example.")
    ANSWER_MISSING = (
        "answer_missing", 6, "a choice is missing, and nobody can be asked",
        "Give the choice as an option or in the answers file.")
    SECRET_UNAVAILABLE = (
        "secret_unavailable", 7, "a secret cannot be read from its file, variable or keyring entry",
        "Check that the file, variable or keyring entry exists and can be read.")
    SETTINGS_INVALID = (
        "settings_invalid", 8, "the settings file is wrong",
        "Correct the key or line that the message names.")
    FILE_UNWRITABLE = (
        "file_unwritable", 9, "a file cannot be written",
        "Check the permissions and the free space, or write to another folder.")

    BLUETOOTH_MISSING = (
        "bluetooth_missing", 10, "no Bluetooth adapter, or no Bluetooth service",
        "Plug in an adapter or start the Bluetooth service, then run `doctor`. `--lab` needs no adapter.")
    BLUETOOTH_OFF = (
        "bluetooth_off", 11, "Bluetooth is switched off",
        "Switch Bluetooth on, then try again.")
    BLUETOOTH_DENIED = (
        "bluetooth_denied", 12, "no permission to use Bluetooth",
        "Allow this program to use Bluetooth in the system's settings, then run `doctor`.")
    ADAPTER_FAILED = (
        "adapter_failed", 13, "the adapter cannot be opened, or it stopped working",
        "Check the name after `--adapter`, or unplug the adapter and plug it in again.")

    DATABASE_FAILED = (
        "database_failed", 14, "a database cannot be opened, read or written",
        "Check the path or URL, the permissions, and that the database server runs.")
    DATABASE_OUTDATED = (
        "database_outdated", 15, "the tables of a database belong to another version of this program",
        "Older tables: run `ledger migrate`. Newer tables: update this program.")
    RECORD_UNKNOWN = (
        "record_unknown", 16, "there is no such record, or nothing to resume",
        "`records list` and `resume --list` show what there is.")

    PLAN_INVALID = (
        "plan_invalid", 17, "the plan of a batch has mistakes",
        "Correct the lines that were printed. `batch --dry-run` checks a plan without touching a device.")
    RECORD_AMBIGUOUS = (
        "record_ambiguous", 18, "several records have an id that begins with this text",
        "Give more characters of the id.")
    REFERENCE_REFUSED = (
        "reference_refused", 19, "answers, a plan or a shared record name something of this computer without its leave",
        "Look at what is named. If you trust the origin, give it on the command line or allow it by the option.")

    DEVICE_NOT_FOUND = (
        "device_not_found", 20, "the device was not found within Bluetooth range",
        "Bring the device nearer, wake it up or start its set-up mode, then try again.")
    DEVICE_AMBIGUOUS = (
        "device_ambiguous", 21, "several devices fit",
        "Name one device by its address with `--device`.")
    DEVICE_UNSUPPORTED = (
        "device_unsupported", 22, "this program cannot set up this device",
        "`models` lists the supported models. A new model can be added with `--catalogue`.")
    DEVICE_ALREADY_SET_UP = (
        "device_already_set_up", 23, "the device is set up already",
        "Reset the device to set it up again, or keep its Wi-Fi with `--keep-wifi`.")
    CONNECTION_FAILED = (
        "connection_failed", 24, "the device was seen, but the connection failed",
        "Bring the device nearer, close other apps that use it, then try again.")
    CONNECTION_LOST = (
        "connection_lost", 25, "the Bluetooth connection dropped",
        "Bring the device nearer, then try again or use `resume`.")
    DEVICE_MISBEHAVED = (
        "device_misbehaved", 26, "the device broke the rules of its protocol",
        "Restart the device and try again. If it fails again, update its firmware.")
    DEVICE_REFUSED = (
        "device_refused", 27, "the device refused the request",
        "Restart or reset the device, then try again.")
    DEVICE_TAKEN = (
        "device_taken", 28, "another station or run is installing this device",
        "Wait until the other one is done, or choose another device.")
    DEVICE_CHANGED = (
        "device_changed", 29, "another device, or one with less security, answers at the address of the first one",
        "Check which device is in front of you, and that nobody pretends to be it. Then start a new installation.")

    SYNC_WIFI_ONLY = (
        "sync_wifi_only", 30, "Bluetooth-only sync was chosen for a model that syncs by Wi-Fi only",
        "Choose `--sync wifi`.")
    SYNC_BLUETOOTH_ONLY = (
        "sync_bluetooth_only", 31, "Wi-Fi sync was chosen for a model that has no Wi-Fi",
        "Choose `--sync bluetooth`.")
    ENCRYPTION_REQUIRED = (
        "encryption_required", 32, "--require-encryption is set, and the device takes credentials unencrypted",
        "Leave out `--require-encryption` if you accept that, or use another device.")
    SECURITY_TOO_LOW = (
        "security_too_low", 33, "the device did not prove itself as its proof, its label or --require-encryption asks",
        "Nothing was sent. Check that it is the right device, and restart or reset it.")

    PAIRING_NEEDED = (
        "pairing_needed", 34, "the device wants to be paired, and nobody can be asked",
        "Let a person answer (`--ask pairing`), or give the digits that the device shows with `--passkey-file`.")
    PAIRING_FAILED = (
        "pairing_failed", 35, "the device could not be paired: wrong digits, refused, or out of time",
        "Put the device into pairing mode, bring it nearer, then try again.")
    BOND_LOST = (
        "bond_lost", 36, "the device no longer has the keys with which it was paired",
        "If you reset the device, pair it anew with `--renew-bond`.")

    NETWORK_NOT_FOUND = (
        "network_not_found", 40, "the device does not see this network",
        "Check the name, bring the device nearer to the access point, and offer 2.4 GHz.")
    NETWORK_UNSUPPORTED = (
        "network_unsupported", 41, "the device cannot join this kind of network",
        "Choose a network with another kind of security.")
    SSID_INVALID = (
        "ssid_invalid", 42, "not a possible SSID",
        "An SSID has 1 to 32 bytes. Check the name.")
    PASSPHRASE_INVALID = (
        "passphrase_invalid", 43, "not a possible passphrase for this network",
        "Check the passphrase and the security of the network.")
    NETWORK_AMBIGUOUS = (
        "network_ambiguous", 44, "the code of a network can be read in several ways",
        "Name the network with `--ssid`, and give its passphrase with `--passphrase-file`.")
    NETWORK_MISSPELLED = (
        "network_misspelled", 45, "the device hears a network of nearly this name, and not this one",
        "Give the name as the device hears it, or send it all the same with `--exact`.")

    JOIN_FAILED = (
        "join_failed", 50, "the device could not join the network",
        "Check the passphrase, and that the network is within range of the device.")
    AUTHORIZATION_TIMEOUT = (
        "authorization_timeout", 51, "nobody pressed the button on the device in time",
        "Start again, and press the button when you are asked to.")
    PROVISIONING_TIMEOUT = (
        "provisioning_timeout", 52, "the device did not report a result in time",
        "Restart the device, then try again.")
    PROOF_WRONG = (
        "proof_wrong", 53, "the proof of possession is wrong",
        "Check the proof on the device's label, or scan its QR code.")
    PROOF_MISSING = (
        "proof_missing", 54, "the device needs a proof of possession, and none was given",
        "Give `--proof-file`, `--proof-env` or `--qr`.")
    GUIDE_TIMEOUT = (
        "guide_timeout", 55, "after the set-up with the vendor's app, the device did not appear in the account in time",
        "Finish the set-up in the app, then use `resume`. `--guide-timeout` waits longer.")

    SESSION_TAKEN = (
        "session_taken", 56, "another app is connected to the device",
        "Close the other app, then try again.")

    CLOUD_UNREACHABLE = (
        "cloud_unreachable", 60, "the cloud does not answer",
        "Check the Internet connection and the proxy, then try again.")
    CLOUD_BUSY = (
        "cloud_busy", 61, "too many requests to the cloud (status 601)",
        "Wait a minute, then try again.")
    CLOUD_FAILED = (
        "cloud_failed", 62, "the cloud answered with an error",
        "Try again later. The message has the status of the cloud.")
    SIGN_IN_FAILED = (
        "sign_in_failed", 63, "the sign-in to the account failed",
        "Sign in again with `account login`.")
    SIGN_IN_TIMEOUT = (
        "sign_in_timeout", 64, "nobody signed in within the time",
        "Sign in again with `account login`, and finish within the time.")
    CODE_EXPIRED = (
        "code_expired", 65, "the sign-in code was older than 30 seconds, or was used before",
        "Sign in again. The code is valid for 30 seconds.")
    ACCOUNT_UNKNOWN = (
        "account_unknown", 66, "no tokens are stored for this account",
        "Sign in with `account login NAME`. `account list` shows the stored accounts.")
    TOKEN_REJECTED = (
        "token_rejected", 67, "the cloud no longer accepts the stored tokens",
        "Sign in again with `account login NAME`.")
    LINK_REFUSED = (
        "link_refused", 68, "the cloud refused to link the device",
        "Check that no other account has the device, and that the application may link devices.")
    LINK_TIMEOUT = (
        "link_timeout", 69, "the device did not appear in the account in time",
        "Check that the device is online, then use `resume`.")

    FIRST_DATA_TIMEOUT = (
        "first_data_timeout", 70, "no first measurement arrived in time",
        "The device is linked. Take a measurement, or do not wait with `--no-wait`.")
    MEASUREMENT_FAILED = (
        "measurement_failed", 71, "no measurement could be read over Bluetooth",
        "Take a measurement near this computer, then try again.")

    GATEWAY_RUNNING = (
        "gateway_running", 72, "another gateway of this user is running",
        "Stop that gateway, or let it do the work. `gateway status` shows it.")
    OUTBOX_INVALID = (
        "outbox_invalid", 73, "the gateway's outbox is damaged, or belongs to another program or version",
        "Move the outbox file away, or use the version of this program that wrote it.")
    GATEWAY_EMPTY = (
        "gateway_empty", 74, "the gateway has no device to collect from",
        "Install a Bluetooth-only device, or name one with `--device` and `--profile`.")
    GATEWAY_INCOMPLETE = (
        "gateway_incomplete", 75, "the gateway did not collect or deliver everything",
        "`gateway status` shows what failed. Collected data is kept; try again.")

    NOTIFICATIONS_REFUSED = (
        "notifications_refused", 76, "the cloud refused this address for notifications",
        "Check that the address answers over HTTPS from the Internet, then use `notifications subscribe`.")
    RECEIVER_FAILED = (
        "receiver_failed", 77, "the receiver of notifications cannot run",
        "Stop the other receiver, choose another `--port`, or check the certificate.")
    STORE_VERSION = (
        "store_version", 78, "the store of measurements belongs to another version of this program",
        "Use that version, or name another store with `--database`.")
    DATA_UNKNOWN = (
        "data_unknown", 79, "the store has no measurements of this device or kind",
        "`data show` lists what the store has. `data fetch` gets new measurements.")

    LAB_UNAVAILABLE = (
        "lab_unavailable", 80, "the lab could not be started or reached",
        "Use `lab stop`, then `lab start`. The log of the lab says why.")
    TIMEOUT = (
        "timeout", 90, "the time given with --timeout is over",
        "Give a longer `--timeout`.")
    DOCTOR_FOUND = (
        "doctor_found", 91, "doctor found something that prevents an installation",
        "Follow the advice below each line with FAIL.")
    BATCH_INCOMPLETE = (
        "batch_incomplete", 92, "some rows of the plan are not installed",
        "Start the same plan again. It continues with the rows that are left.")
    LABEL_UNKNOWN = (
        "label_unknown", 93, "the text given to `link` is neither a known id nor the text of a label",
        "Give the id on the label, the text of its QR code in quotes, or `--qr-image`.")
    ACCOUNT_CHANGED = (
        "account_changed", 94, "another person signed in under a known name, or a known person under a second name",
        "Sign in as the right person, or allow it with `account login --replace` or `--second-name`.")
    FOLDER_UNSAFE = (
        "folder_unsafe", 95, "a folder of this program belongs to another user, or others can write to it",
        "Take the folder over with `chown` and `chmod 700`, or choose another with DEVICE_INSTALLER_HOME.")
    ERASURE_INCOMPLETE = (
        "erasure_incomplete", 96, "not all that was to be erased is erased",
        "Do what the message says, then give the same command again.")
    INTERRUPTED = (
        "interrupted", 130, "stopped by the user (Ctrl-C)",
        "Start again, or continue with `resume`.")
    # fmt: on


# This computer's Bluetooth does not work. No device can be the cause.
COMPUTER_BLUETOOTH = (ErrorCode.BLUETOOTH_MISSING, ErrorCode.BLUETOOTH_OFF, ErrorCode.ADAPTER_FAILED)


class InstallerError(Exception):
    """A failure that a person or a script can do something about.

    `what` is one sentence about what happened, `todo` one or two about what to do.
    `data` holds details for programs (JSON types only), and never a secret.
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

    @property
    def link_is_down(self) -> bool:
        """Whether the connection to the device is lost, whoever ended it."""
        return self.code is ErrorCode.CONNECTION_LOST or self.computers_bluetooth

    @property
    def computers_bluetooth(self) -> bool:
        """Whether this computer's Bluetooth is the cause, and no device."""
        return self.code in COMPUTER_BLUETOOTH

    def with_advice(self, todo: str, **more_data: Any) -> InstallerError:
        """The same failure with other advice, and `more_data` beside its own."""
        return InstallerError(self.code, self.what, todo, **{**self.data, **more_data})

    def __str__(self) -> str:
        return f"{self.what} {self.todo}".strip()

    def __repr__(self) -> str:
        return f"InstallerError({self.code.value}: {self.what!r})"


def combined(errors: Sequence[InstallerError], **data: Any) -> InstallerError:
    """One error for several: the code and the data of the first, `data`, and the words of all."""
    first = errors[0]
    what = " ".join(dict.fromkeys(error.what for error in errors))
    todo = " ".join(dict.fromkeys(error.todo for error in errors))
    return InstallerError(first.code, what, todo, **{**first.data, **data})


def problems(error: ValidationError, data: Any = None) -> list[str]:
    """Each mistake that pydantic found, as `key: what is wrong`. The values themselves are left out.

    `data`: what was validated. The `id` of a list entry is taken from it, to name that entry.
    """
    found = []
    items = error.errors(include_url=False, include_input=False, include_context=False)
    if len(items) > 1:
        # Pydantic counts only the valid entries, so it calls a list with one wrong entry too short.
        items = [i for i in items if i["type"] != "too_short"] or items
    for item in items:
        path, value = [], data
        for key in item["loc"]:
            path.append(str(key) if not isinstance(key, int) else f"[{key + 1}]")
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                value = None
            if isinstance(key, int) and isinstance(value, dict) and isinstance(value.get("id"), str):
                path.append(f"({value['id']})")
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "there is no such key"
        elif item["type"] == "missing":
            message = "is missing"
        found.append(f"{'.'.join(path).replace('.[', ' [').replace('.(', ' (') or 'file'}: {message}")
    return found
