"""Choices from flags laid over choices from an answers file: a flag wins over the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from installer.answers import Answers, StepKey, validate
from installer.errors import ErrorCode, InstallerError


@dataclass(frozen=True)
class Flags:
    """The choices of `install`'s command line; None and False mean: not said."""

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
    account: str | None = None
    no_wait: bool = False


def merge(answers: Answers | None, flags: Flags) -> Answers:
    """The answers of file and flags together. Raises ANSWERS_INVALID, USAGE."""
    data: dict[str, Any] = (answers or Answers()).model_dump(mode="json", exclude_none=True)
    if flags.device or flags.model:
        # A device named by a flag replaces the file's whole choice: the file's address would contradict it.
        data["find"] = _said(device=flags.device, model=flags.model)
    proof = _said(file=flags.proof_file, env=flags.proof_env)
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
    if flags.hidden:
        network["hidden"] = True
    secret = _secret(flags)
    if secret:
        network["passphrase"] = secret
    if network:
        if "ssid" not in network:
            raise InstallerError(
                ErrorCode.USAGE, "A passphrase or --hidden was given without a network.", "Add --ssid NAME."
            )
        data["network"] = network
    if flags.account is not None:
        data["link"] = {**data.get("link", {}), "account": flags.account}
    if flags.no_wait:
        data["verify"] = {**data.get("verify", {}), "skip": True}
    return validate(data, "command line" if answers is None else "answers and command line")


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


def _secret(flags: Flags) -> dict[str, str] | None:
    given = _said(file=flags.passphrase_file, env=flags.passphrase_env, keyring=flags.passphrase_keyring)
    if len(given) > 1:
        raise InstallerError(
            ErrorCode.USAGE,
            "The passphrase is named in several places.",
            "Give only one of --passphrase-file, --passphrase-env, --passphrase-keyring.",
        )
    return given or None


def _said(**values: Any) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is not None}
