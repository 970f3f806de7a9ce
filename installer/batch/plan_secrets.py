"""What a plan takes of this computer's secrets, and to which devices: said before anything is sent, and refused.

Somebody else may have written the plan. It names networks that are saved here, and devices that get their passphrases;
and it names places of proofs. What it may name is decided as for answers (`installer/flow/foreign_references.py`).
"""

from __future__ import annotations

from dataclasses import replace

from installer import settings
from installer.answers import StepKey
from installer.batch.plan import Plan, Unit
from installer.flow import foreign_references as foreign
from installer.flow.own_secrets import OwnSecrets
from installer.storage.reference_origin import SAVED_NETWORKS
from installer.text import printable

MAX_NAMED = 12  # devices that a sentence names


def settle(plan: Plan, *, allowed: bool) -> Plan:
    """The plan with leave for what it names, and with the sentences about its secrets.

    `allowed`: the option was given. Raises REFERENCE_REFUSED with everything that is refused.
    """
    units, refused, sentences = [], [], _networks(plan)
    own = OwnSecrets.of(settings.load())
    for unit in plan.units:
        use = _use(unit)
        if use is None:
            units.append(unit)
            continue
        why = foreign.judge(use, own, allowed=allowed)
        if why is not None:
            refused.append(why)
            continue
        units.append(replace(unit, proof=use.allowed))
        sentences.append(use.sentence)
    if refused:
        raise foreign.refusal(refused)
    return replace(plan, units=tuple(units), secrets=tuple(sentences))


def _use(unit: Unit) -> foreign.Use | None:
    if unit.proof is None or unit.proof.may_be_used:
        return None
    reference, origin = unit.proof, unit.proof.origin
    if origin is not None:
        reference = reference.named_by(replace(origin, source=f"{origin.source}, {unit.position}"))
    return foreign.Use(StepKey.FIND, "proof", "proof of possession", reference, f"the device {_device(unit)}")


def _networks(plan: Plan) -> list[str]:
    """Which passphrases, saved here or given on the command line, go to which devices."""
    found: dict[tuple[str, str], list[str]] = {}
    for unit in plan.units:
        network = unit.network
        origin = network.passphrase.origin if network is not None and network.passphrase is not None else None
        if network is not None and origin is not None:
            kept = "which is saved on this computer" if origin == SAVED_NETWORKS else f"given by {origin.source}"
            found.setdefault((network.ssid, kept), []).append(_device(unit))
    sentences = []
    for (ssid, kept), devices in found.items():
        counted = {device: devices.count(device) for device in devices}
        named = [f"{count} × {device}" if count > 1 else device for device, count in counted.items()]
        more = f" and {len(named) - MAX_NAMED} more" if len(named) > MAX_NAMED else ""
        sentences.append(
            f"The passphrase of “{printable(ssid, 32)}”, {kept}, goes to {', '.join(named[:MAX_NAMED])}{more}."
        )
    return sentences


def _device(unit: Unit) -> str:
    return unit.device or f"any {unit.model}"
