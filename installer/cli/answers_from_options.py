"""Makes the answers of an installation from an answers file and the command-line flags. A flag wins over the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from installer.answers import Answers, NetworkAnswer, StepKey, check_written_ssid, load, validate
from installer.cli.options import Flags
from installer.errors import ErrorCode, InstallerError
from installer.storage.reference_origin import COMMAND_LINE
from installer.storage.secret_references import SecretRef, on_command_line, parse_address

if TYPE_CHECKING:
    from installer.qr.device_setup_code import DevicePayload
    from installer.wifi.card_readings import CardReadings

PAIRING = "pairing"


def load_file(path: Path | None) -> Answers | None:
    """The answers of `--answers`, if it is given. Raises ANSWERS_INVALID."""
    return None if path is None else load(path)


def merge(answers: Answers | None, flags: Flags) -> Answers:
    """The answers of the file and the flags together. Secrets from a QR code are in them for this run only.

    Raises ANSWERS_INVALID, USAGE, SETTINGS_INVALID (the saved networks), and what `qr_code_arguments` raises.
    """
    _check_sources(flags)
    check_written_ssid(flags.ssid, "command line")
    device, wifi = _qr_codes(flags)
    data = _as_data(answers or Answers())
    if flags.device or flags.model or device:
        # A device in a flag replaces the whole choice of the file, whose address would contradict the flag.
        # What the file asks of its device is asked of this one as well.
        least = (answers or Answers()).find
        kept = {}
        if least is not None:
            kept = _given(security=least.least_scheme or least.security, require_proof=least.must_prove or None)
        from_code = _given(name=device.name, username=device.username or None) if device else {}
        stated = [n for n in (kept.get("security"), device.security if device else None) if n is not None]
        data["find"] = _given(device=flags.device, model=flags.model) | from_code | kept
        data["find"] |= _given(security=max(stated, default=None))
    wifi_flags = (flags.ssid, flags.network, _passphrase_reference(flags))
    if (flags.sync or "").strip().lower() == "bluetooth" and any(f is not None for f in wifi_flags):
        raise InstallerError(
            ErrorCode.USAGE,
            "--sync bluetooth was given together with a Wi-Fi network.",
            "Leave out the network and the passphrase, or choose --sync wifi.",
        )
    proofs = _given(file=flags.proof_file, env=flags.proof_env)
    if proofs and device is not None and device.has_secret:
        raise InstallerError(
            ErrorCode.USAGE,
            "The proof of possession is named in two places: the code of the device carries it.",
            "Leave out --proof-file and --proof-env.",
        )
    if len(proofs) > 1:
        raise InstallerError(
            ErrorCode.USAGE, "The proof of possession is named in two places.", "Give --proof-file or --proof-env."
        )
    proof = on_command_line(**proofs) if proofs else None
    if proof is not None or flags.username is not None:
        if "find" not in data:
            raise InstallerError(
                ErrorCode.USAGE, "A proof of possession was given without a device.", "Add --device or --model."
            )
        data["find"] |= _given(proof=proof, username=flags.username)
    if flags.sync:
        data["sync"] = {"method": flags.sync.strip().lower()}
    network = data.get("network", {})
    if wifi is not None:
        card = NetworkAnswer.from_card(wifi)
        network = card.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    elif flags.ssid is not None:
        network = _given(ssid=flags.ssid, passphrase=network.get("passphrase"))
    elif flags.network is not None:
        from installer.wifi import saved_networks

        saved = NetworkAnswer.from_saved(saved_networks.find(flags.network))
        network = saved.model_dump(mode="json", exclude_none=True) | _given(passphrase=saved.passphrase)
    if flags.hidden:
        network["hidden"] = True
    if flags.exact:
        network["exact"] = True
    passphrase = _passphrase_reference(flags)
    if passphrase:
        network["passphrase"] = passphrase
    if network:
        if "ssid" not in network:
            raise InstallerError(
                ErrorCode.USAGE,
                "A passphrase, --hidden or --exact was given without a network.",
                "Add --ssid NAME or --network NAME.",
            )
        data["network"] = network
    if flags.account is not None:
        data["link"] = {**data.get("link", {}), "account": flags.account}
    notify_url = answers.link.notify_url if answers is not None and answers.link is not None else None
    link_origin = answers.link.origin if answers is not None and answers.link is not None else COMMAND_LINE
    if flags.notify is not None or flags.no_notify:
        link_origin = COMMAND_LINE
        data["link"] = {**data.get("link", {}), "notify": _notify(flags)}
        notify_url = None
    if flags.no_wait:
        data["verify"] = {**data.get("verify", {}), "skip": True}
    merged = validate(data, "command line" if answers is None else "answers and command line", link_origin)
    if answers is not None:
        # Who chose the device, and who consents to send, is told to the person.
        if answers.provision is not None and merged.provision is not None:
            merged = merged.with_answer(StepKey.PROVISION, merged.provision.named_by(answers.provision.origin))
        if merged.find is not None:
            by_option = flags.device or flags.model or device is not None
            origin = COMMAND_LINE if by_option or answers.find is None else answers.find.origin
            merged = merged.with_answer(StepKey.FIND, merged.find.named_by(origin))
    if notify_url is not None and merged.link is not None:
        merged = merged.with_answer(StepKey.LINK, merged.link.model_copy(update={"notify_url": notify_url}))
    return _with_secrets(merged, device, wifi)


def _as_data(answers: Answers) -> dict[str, Any]:
    """The answers as plain data, but with the references themselves: they keep their origin."""
    data: dict[str, Any] = answers.model_dump(mode="json", exclude_none=True)
    for step, key in (("find", "proof"), ("network", "passphrase"), ("link", "notify")):
        reference = getattr(getattr(answers, step), key, None)
        if isinstance(reference, SecretRef):
            data[step][key] = reference
    return data


def _notify(flags: Flags) -> bool | str | SecretRef:
    if flags.notify is None:
        return False
    if flags.no_notify:
        raise InstallerError(
            ErrorCode.USAGE, "--notify and --no-notify were given together.", "Leave one of the two out."
        )
    return parse_address("--notify", flags.notify)


def steps(text: str) -> frozenset[StepKey]:
    """The steps of `--ask`, separated by commas. Raises USAGE, which lists the known names."""
    names = _ask_names(text)
    known = [*(k.value for k in StepKey), PAIRING]
    wrong = [n for n in names if n not in known]
    if wrong:
        raise InstallerError(ErrorCode.USAGE, f"--ask has no step “{wrong[0]}”.", f"The steps: {', '.join(known)}.")
    return frozenset(StepKey(n) for n in names if n != PAIRING)


def asks_pairing(text: str) -> bool:
    """Whether `--ask` names the pairing of a device, which belongs to no step."""
    return PAIRING in _ask_names(text)


def _ask_names(text: str) -> list[str]:
    return [n.strip().lower() for n in text.split(",") if n.strip()]


def _qr_codes(flags: Flags) -> tuple[DevicePayload | None, CardReadings | None]:
    if not any((flags.qr, flags.qr_image, flags.wifi_qr, flags.wifi_qr_image)):
        return None, None
    # Imported late: most runs have no QR code.
    from installer.cli.qr_code_arguments import device_code, wifi_code

    return device_code(flags.qr, flags.qr_image), wifi_code(flags.wifi_qr, flags.wifi_qr_image, flags.ssid)


def _is_stdin(argument: str | None) -> bool:
    return argument in ("-", "@-")


def check_terminal(flags: Flags) -> None:
    """Raise USAGE if a QR code's text would come from standard input, which the wizard needs itself."""
    if _is_stdin(flags.wifi_qr) or _is_stdin(flags.qr):
        raise InstallerError(
            ErrorCode.USAGE,
            "The wizard itself needs standard input.",
            "Give the code as @FILE or env:VARIABLE, or give its picture (--wifi-qr-image, --qr-image).",
        )


def _with_secrets(answers: Answers, device: DevicePayload | None, wifi: CardReadings | None) -> Answers:
    if device is not None and device.proof is not None and answers.find is not None:
        answers = answers.with_answer(StepKey.FIND, answers.find.model_copy(update={"secret": device.proof}))
    if wifi is not None and answers.network is not None:
        # An open network has a secret too, an empty one: then nothing is asked.
        card = NetworkAnswer.from_card(wifi)
        kept = answers.network.model_copy(update={"secret": card.secret, "readings": card.readings})
        answers = answers.with_answer(StepKey.NETWORK, kept)
    return answers


def _check_sources(flags: Flags) -> None:
    """Raise USAGE if a choice is made twice, or standard input is needed twice."""
    wifi_code = flags.wifi_qr is not None or flags.wifi_qr_image is not None
    if flags.network is not None and (flags.ssid is not None or wifi_code):
        raise InstallerError(
            ErrorCode.USAGE,
            "The network is named in several places.",
            "Give only one of --ssid, --network, --wifi-qr, --wifi-qr-image. Only a code and --ssid go together: the "
            "name then says which reading of the code is meant.",
        )
    if wifi_code and _passphrase_reference(flags):
        raise InstallerError(
            ErrorCode.USAGE,
            "The passphrase is named in two places: the code of the network carries it.",
            "Leave out --passphrase-file, --passphrase-env, --passphrase-keyring and --passphrase-host.",
        )
    codes = [_is_stdin(flags.wifi_qr), _is_stdin(flags.qr), flags.notify == "-"]
    if any(codes) and sum((*codes, flags.passphrase_file == "-", flags.proof_file == "-")) > 1:
        raise InstallerError(
            ErrorCode.USAGE,
            "Standard input can be read for one option only.",
            "Use a file or a variable for the others.",
        )


def _passphrase_reference(flags: Flags) -> SecretRef | None:
    given = _given(
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
    return on_command_line(**given) if given else None


def _given(**values: Any) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is not None}
