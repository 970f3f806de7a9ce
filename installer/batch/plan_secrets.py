"""What a plan takes of this computer's secrets, and to which devices: said before anything is sent, asked, or refused.

Somebody else may have written the plan. It names networks that are saved here, and devices that get their passphrases;
and it names places of proofs. A network that the command line names, and a passphrase that it gives, are the person's
own word. All else needs leave: a person's yes, or the option --allow-references. What may never be named is decided as
for answers (`installer/flow/foreign_references.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from installer import settings
from installer.answers import StepKey
from installer.batch.plan import Plan, Unit
from installer.errors import ErrorCode, InstallerError
from installer.flow import foreign_references as foreign
from installer.flow.own_secrets import OwnSecrets
from installer.flow.questions import ConfirmForeign
from installer.storage.reference_origin import COMMAND_LINE, SAVED_NETWORKS, Origin
from installer.text import in_quotes, printable

MAX_NAMED = 12  # devices that a sentence names
MAX_SOURCE = 300  # signs of the path of a plan
Ask = Callable[[ConfirmForeign], Awaitable[bool]]


async def settle(plan: Plan, *, allowed: bool, ask: Ask | None = None, remarks: Sequence[str] = ()) -> Plan:
    """The plan with leave for what it names, and with the sentences about its secrets.

    `allowed`: the option was given. `ask`: asks a person once about all that needs leave; None: nobody can be asked.
    `remarks`: what else they must know then, such as who passes for a model. Raises REFERENCE_REFUSED with
    everything that is refused, INTERRUPTED after a no.
    """
    units, refused, proofs = [], [], []
    own = OwnSecrets.of(settings.load())
    for unit in plan.units:
        use = _use(unit)
        if use is None:
            units.append(unit)
            continue
        why = foreign.judge(use, own, allowed=allowed)
        if why is not None:
            refused.append(why)
        units.append(replace(unit, proof=use.allowed))
        proofs.append(use.sentence)
    named = [] if allowed else [u for u in plan.units if _needs_leave(u)]
    if any(one.never for one in refused) or ((refused or named) and ask is None):
        errors = [foreign.refusal(refused)] if refused else []
        raise foreign.combined([*errors, *([_refusal(plan, named)] if named and ask is None else [])])
    if (refused or named) and ask is not None:
        await _ask(plan, [*_networks(named), *(one.use.sentence for one in refused), *remarks], ask)
    return replace(plan, units=tuple(units), secrets=(*_networks(plan.units), *proofs))


def _use(unit: Unit) -> foreign.Use | None:
    if unit.proof is None or unit.proof.may_be_used:
        return None
    reference, origin = unit.proof, unit.proof.origin
    if origin is not None:
        reference = reference.named_by(replace(origin, source=f"{origin.source}, {unit.position}"))
    return foreign.Use(StepKey.FIND, "proof", "proof of possession", reference, f"the device {_device(unit)}")


def _origin(unit: Unit) -> Origin | None:
    """Whose passphrase the unit's device gets; None: it gets none."""
    if unit.network is None or unit.network.passphrase is None:
        return None
    return unit.network.passphrase.origin or foreign.UNKNOWN_ORIGIN


def _needs_leave(unit: Unit) -> bool:
    """Whether the plan sends a passphrase of this computer to its device, and no person has named the network."""
    return not unit.own_network and _origin(unit) not in (None, COMMAND_LINE)


async def _ask(plan: Plan, lines: Iterable[str], ask: Ask) -> None:
    question = ConfirmForeign(
        step=StepKey.NETWORK,
        title=f"Send this to these devices, as {_words(plan)} says?",
        lines=tuple(lines),
        yes="Send it: I trust who wrote the plan",
        no="Send nothing",
    )
    if not await ask(question):
        raise InstallerError(
            ErrorCode.INTERRUPTED,
            "The batch was not started, and nothing was sent.",
            "Check which devices and networks the plan names. To name the network yourself: leave it out of the plan, "
            "and give --network NAME.",
        )


def _refusal(plan: Plan, units: Iterable[Unit]) -> InstallerError:
    """REFERENCE_REFUSED for the networks that the plan names, with the devices that would get their passphrases."""
    found = _by_network(units)
    listed = "; ".join(f"{_passphrase(ssid, kept)}, for {_named(devices)}" for (ssid, kept), devices in found.items())
    return InstallerError(
        ErrorCode.REFERENCE_REFUSED,
        f"{_words(plan, 'The')} sends secrets of this computer: {listed}.",
        "If you trust who wrote it, allow it with --allow-references. Or leave the network out of the plan, and give "
        "it on the command line (--network NAME).",
        references=[
            {
                "source": _words(plan),
                "key": "network",
                "reference": _passphrase(ssid, kept),
                "target": _named(devices),
                "why": foreign.NEEDS_LEAVE,
                "never": False,
            }
            for (ssid, kept), devices in found.items()
        ],
    )


def _networks(units: Iterable[Unit]) -> list[str]:
    """Which passphrases, saved here or given on the command line, go to which devices."""
    return [
        f"{_passphrase(ssid, kept, 'The')}, goes to {_named(devices)}."
        for (ssid, kept), devices in _by_network(units).items()
    ]


def _by_network(units: Iterable[Unit]) -> dict[tuple[str, str], list[str]]:
    """The devices of each network, by its SSID and in words whose passphrase it is."""
    found: dict[tuple[str, str], list[str]] = {}
    for unit in units:
        origin = _origin(unit)
        if unit.network is not None and origin is not None:
            kept = "which is saved on this computer" if origin == SAVED_NETWORKS else f"given by {origin.source}"
            found.setdefault((unit.network.ssid, kept), []).append(_device(unit))
    return found


def _passphrase(ssid: str, kept: str, the: str = "the") -> str:
    return f"{the} passphrase of {in_quotes(ssid)}, {kept}"


def _named(devices: list[str]) -> str:
    """All devices in a few words. How many they are comes first: nobody counts a long list."""
    counted = {device: devices.count(device) for device in devices}
    named = [f"{count} × {device}" if count > 1 else device for device, count in counted.items()]
    more = f" and {len(named) - MAX_NAMED} more" if len(named) > MAX_NAMED else ""
    many = f"{len(devices)} devices: " if len(named) > 1 else ""
    return f"{many}{', '.join(named[:MAX_NAMED])}{more}"


def _words(plan: Plan, the: str = "the") -> str:
    return f"{the} plan {printable(plan.source, MAX_SOURCE)}"


def _device(unit: Unit) -> str:
    return unit.device or f"any {unit.model}"
