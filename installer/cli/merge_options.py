"""Choices from flags laid over choices from an answers file: a flag wins over the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer.answers import Answers, StepKey, validate
from installer.errors import ErrorCode, InstallerError
from installer.storage.secret_references import SecretRef, reference
from installer.wifi.networks import Security

if TYPE_CHECKING:
    from installer.qr.classify import DevicePayload
    from installer.qr.wifi_text import WifiText


@dataclass(frozen=True)
class Flags:
    """The choices of `install`'s command line; None and False mean: not said.

    `network`: the name of a saved network. `wifi_qr` and `qr`: the text of a code or where it is
    (`installer/cli/qr_options.py`).
    """

    device: str | None = None
    proof_file: str | None = None
    proof_env: str | None = None
    username: str | None = None
    model: str | None = None
    sync: str | None = None
    ssid: str | None = None
    hidden: bool = False
    passphrase_file: str | None = None
    passphrase_env: str | None = None
    passphrase_keyring: str | None = None
    passphrase_host: bool = False
    network: str | None = None
    wifi_qr: str | None = None
    wifi_qr_image: Path | None = None
    qr: str | None = None
    qr_image: Path | None = None
    account: str | None = None
    notify: str | None = None
    no_notify: bool = False
    no_wait: bool = False


def merge(answers: Answers | None, flags: Flags) -> Answers:
    """The answers of file and flags together; what a code carries of secrets is in them for this run only.

    Raises ANSWERS_INVALID, USAGE, SETTINGS_INVALID (the saved networks), and what `installer.cli.qr_options` raises.
    """
    _check_sources(flags)
    device, wifi = _codes(flags)
    data: dict[str, Any] = (answers or Answers()).model_dump(mode="json", exclude_none=True)
    if flags.device or flags.model or device:
        # A device named by a flag replaces the file's whole choice: the file's address would contradict it.
        named = _said(name=device.name, username=device.username or None) if device else {}
        data["find"] = _said(device=flags.device, model=flags.model) | named
    wifi_flags = (flags.ssid, flags.network, _secret(flags))
    if (flags.sync or "").strip().lower() == "bluetooth" and any(f is not None for f in wifi_flags):
        raise InstallerError(
            ErrorCode.USAGE,
            "--sync bluetooth was given together with a Wi-Fi network.",
            "Leave out the network and the passphrase, or choose --sync wifi.",
        )
    proof = _said(file=flags.proof_file, env=flags.proof_env)
    if proof and device is not None and device.has_secret:
        raise InstallerError(
            ErrorCode.USAGE,
            "The proof of possession is named in two places: the code of the device carries it.",
            "Leave out --proof-file and --proof-env.",
        )
    if len(proof) > 1:
        raise InstallerError(
            ErrorCode.USAGE, "The proof of possession is named in two places.", "Give --proof-file or --proof-env."
        )
    if proof or flags.username is not None:
        if "find" not in data:
            raise InstallerError(
                ErrorCode.USAGE, "A proof of possession was given without a device.", "Add --device or --model."
            )
        data["find"] |= _said(proof=proof or None, username=flags.username)
    if flags.sync:
        data["sync"] = {"method": flags.sync.strip().lower()}
    network = data.get("network", {})
    if flags.ssid is not None:
        network = _said(ssid=flags.ssid, passphrase=network.get("passphrase"))
    elif flags.network is not None:
        from installer.wifi import saved_networks

        network = saved_networks.find(flags.network).answer.model_dump(mode="json", exclude_none=True)
    elif wifi is not None:
        known = None if wifi.security is Security.UNKNOWN else wifi.security.value
        network = _said(ssid=wifi.ssid, security=known, hidden=wifi.hidden)
    if flags.hidden:
        network["hidden"] = True
    secret = _secret(flags)
    if secret:
        network["passphrase"] = secret
    if network:
        if "ssid" not in network:
            raise InstallerError(
                ErrorCode.USAGE,
                "A passphrase or --hidden was given without a network.",
                "Add --ssid NAME or --network NAME.",
            )
        data["network"] = network
    if flags.account is not None:
        data["link"] = {**data.get("link", {}), "account": flags.account}
    notify_url = answers.link.notify_url if answers is not None and answers.link is not None else None
    if flags.notify is not None or flags.no_notify:
        data["link"] = {**data.get("link", {}), "notify": _notify(flags)}
        notify_url = None
    if flags.no_wait:
        data["verify"] = {**data.get("verify", {}), "skip": True}
    merged = validate(data, "command line" if answers is None else "answers and command line")
    if notify_url is not None and merged.link is not None:
        merged = merged.with_answer(StepKey.LINK, merged.link.model_copy(update={"notify_url": notify_url}))
    return _with_secrets(merged, device, wifi)


def _notify(flags: Flags) -> Any:
    if flags.notify is None:
        return False
    if flags.no_notify:
        raise InstallerError(
            ErrorCode.USAGE, "--notify and --no-notify were given together.", "Leave one of the two out."
        )
    found = reference(flags.notify)
    return found.model_dump(exclude_none=True) if isinstance(found, SecretRef) else found


def steps(text: str) -> frozenset[StepKey]:
    """The steps of `--ask`, a list with commas. Raises USAGE with the known names."""
    names = [n.strip().lower() for n in text.split(",") if n.strip()]
    known = {k.value for k in StepKey}
    wrong = [n for n in names if n not in known]
    if wrong:
        raise InstallerError(
            ErrorCode.USAGE, f"--ask knows no step “{wrong[0]}”.", f"The steps: {', '.join(k.value for k in StepKey)}."
        )
    return frozenset(StepKey(n) for n in names)


def _codes(flags: Flags) -> tuple[DevicePayload | None, WifiText | None]:
    if not any((flags.qr, flags.qr_image, flags.wifi_qr, flags.wifi_qr_image)):
        return None, None
    # Most runs have no code, and need not wait for what reads one.
    from installer.cli import qr_options

    return qr_options.device_code(flags.qr, flags.qr_image), qr_options.wifi_code(flags.wifi_qr, flags.wifi_qr_image)


def _is_stdin(argument: str | None) -> bool:
    return argument in ("-", "@-")  # as `installer.cli.qr_options` reads it


def check_terminal(flags: Flags) -> None:
    """Raise USAGE where a code would be read from standard input, which the wizard needs for itself."""
    if _is_stdin(flags.wifi_qr) or _is_stdin(flags.qr):
        raise InstallerError(
            ErrorCode.USAGE,
            "The wizard needs standard input for itself.",
            "Give the code as @FILE or env:VARIABLE, or give its picture (--wifi-qr-image, --qr-image).",
        )


def _with_secrets(answers: Answers, device: DevicePayload | None, wifi: WifiText | None) -> Answers:
    if device is not None and device.proof is not None and answers.find is not None:
        answers = answers.with_answer(StepKey.FIND, answers.find.model_copy(update={"secret": device.proof}))
    if wifi is not None and answers.network is not None:
        # Of an open network too: nothing is to be asked any more.
        answers = answers.with_answer(StepKey.NETWORK, answers.network.model_copy(update={"secret": wifi.passphrase}))
    return answers


def _check_sources(flags: Flags) -> None:
    """Each choice is made once, and standard input is read for one thing."""
    wifi_code = flags.wifi_qr is not None or flags.wifi_qr_image is not None
    if sum((flags.ssid is not None, flags.network is not None, wifi_code)) > 1:
        raise InstallerError(
            ErrorCode.USAGE,
            "The network is named in several places.",
            "Give only one of --ssid, --network, --wifi-qr, --wifi-qr-image.",
        )
    if wifi_code and _secret(flags):
        raise InstallerError(
            ErrorCode.USAGE,
            "The passphrase is named in two places: the code of the network carries it.",
            "Leave out --passphrase-file, --passphrase-env, --passphrase-keyring and --passphrase-host.",
        )
    codes = [_is_stdin(flags.wifi_qr), _is_stdin(flags.qr), flags.notify == "-"]
    if any(codes) and sum((*codes, flags.passphrase_file == "-", flags.proof_file == "-")) > 1:
        raise InstallerError(
            ErrorCode.USAGE,
            "Standard input can be read for one thing only.",
            "Give one of them as a file or a variable.",
        )


def _secret(flags: Flags) -> dict[str, Any] | None:
    given = _said(
        file=flags.passphrase_file,
        env=flags.passphrase_env,
        keyring=flags.passphrase_keyring,
        host=flags.passphrase_host or None,
    )
    if len(given) > 1:
        raise InstallerError(
            ErrorCode.USAGE,
            "The passphrase is named in several places.",
            "Give only one of --passphrase-file, --passphrase-env, --passphrase-keyring, --passphrase-host.",
        )
    return given or None


def _said(**values: Any) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is not None}
