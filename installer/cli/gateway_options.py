"""Puts a gateway together from the command line and the settings of this computer."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.bluetooth.adapter import Adapter
    from installer.cloud.account import Account
    from installer.flow.assembly import Assembly
    from installer.gateway.devices import GatewayDevice
    from installer.gateway.files_and_lock import GatewayFiles
    from installer.gateway.gateway import Gateway, Parts, Told
    from installer.gateway.sinks import Sink
    from installer.settings import GatewaySettings


@dataclass(frozen=True)
class WebhookOptions:
    """What the command line says of a webhook; the settings have the rest."""

    url: str | None
    key_file: str | None
    key_env: str | None


@dataclass(frozen=True)
class GatewayOptions:
    """What the command line says; what it leaves open comes from the settings."""

    devices: tuple[str, ...]
    profiles: tuple[str, ...]
    every: float | None
    quiet: float
    webhook: WebhookOptions
    adapter: str | None
    lab: bool
    catalogues: tuple[Path, ...]


@contextlib.asynccontextmanager
async def opened(
    options: GatewayOptions, told: Callable[[Told], None], *, must_have_devices: bool = False
) -> AsyncIterator[Gateway]:
    """The gateway of this computer, alone."""
    from installer.flow.assembly import Assembly, Place
    from installer.gateway.files_and_lock import GatewayFiles, alone
    from installer.gateway.gateway import Gateway
    from installer.gateway.outbox import Outbox

    place = GatewayFiles.here(lab=options.lab)
    assembly = Assembly(Place(adapter=options.adapter, lab=options.lab, catalogues=options.catalogues))
    try:
        async with alone(place):
            if options.lab:
                await assembly.lab()
            parts = _parts(assembly, place, options, told)
            if not await parts.targets() and must_have_devices:
                raise _nothing_to_do()
            with Outbox.open(place.outbox) as outbox:
                yield Gateway(parts, outbox)
    finally:
        await assembly.close()


def _parts(assembly: Assembly, place: GatewayFiles, options: GatewayOptions, told: Callable[[Told], None]) -> Parts:
    import asyncio

    from installer.gateway import devices
    from installer.gateway.gateway import Parts
    from installer.gateway.sinks import LocalStore
    from installer.gateway.visit import Waits
    from installer.gateway.visit_scheduler import Pace
    from installer.measurements.open_store import open_store

    own = assembly.settings
    webhook = _webhook(options.webhook, own.gateway)
    sinks: list[Sink] = [LocalStore(lambda: open_store(own, lab=options.lab))]
    if options.lab:
        from installer.gateway.lab_cloud_sink import LabCloud

        async def account(name: str) -> Account:
            return await (await assembly.accounts()).open(name)

        sinks.append(LabCloud(account))
    sinks += [webhook] if webhook is not None else []

    async def wanted() -> Sequence[GatewayDevice]:
        installed = await asyncio.to_thread(assembly.records().installed, "bluetooth")
        known = devices.of_ledger(installed, assembly.catalogue)
        return devices.named(options.devices, options.profiles, known) if options.devices else known

    return Parts(
        place=place,
        catalogue=assembly.catalogue,
        open_adapter=functools.partial(_adapter, assembly),
        targets=wanted,
        sinks=sinks,
        told=told,
        pace=Pace(every=options.every or own.gateway.every, waits=Waits(quiet=options.quiet)),
    )


async def _adapter(assembly: Assembly) -> Adapter:
    """The adapter; again and again, until it is there. Raises LAB_UNAVAILABLE for a lab that is gone for good."""
    if assembly.place.lab and assembly.place.adapter is None:
        import asyncio

        from installer.flow import lab_process
        from installer.flow.assembly import lab_state_file

        mine, now = await assembly.lab(), await asyncio.to_thread(lab_process.read_state, lab_state_file())
        if now is None or now.pid != mine.pid:
            raise InstallerError(
                ErrorCode.LAB_UNAVAILABLE,
                "The lab that this gateway works in has stopped.",
                "Start the gateway anew; it takes the lab that runs then.",
            )
    return await assembly.adapter()


def _webhook(given: WebhookOptions, own: GatewaySettings) -> Sink | None:
    """The webhook of the command line, else of the settings. Raises USAGE, SETTINGS_INVALID, SECRET_UNAVAILABLE."""
    from installer.storage.secret_references import SecretRef

    configured = own.webhook
    url = given.url or (configured if isinstance(configured, str) else None)
    if url is None and isinstance(configured, SecretRef):
        url = configured.fetch("address of the webhook").get_secret_value()
    if not url:
        return None
    key = own.webhook_key
    if given.key_file is not None:
        key = SecretRef(file=given.key_file)
    elif given.key_env is not None:
        key = SecretRef(env=given.key_env)
    if key is None:
        raise InstallerError(
            ErrorCode.USAGE,
            "The webhook has no key, and its receiver could not tell who sends.",
            "Name its place: --webhook-key-file F, --webhook-key-env VAR, or [gateway] webhook_key in config.toml.",
        )
    from installer.gateway.webhook_sink import Webhook, key_bytes

    # Read now, so that a mistake is told at the start.
    secret = key.fetch("key of the webhook")
    key_bytes(secret)
    return Webhook(url, lambda: secret if key.file == "-" else key.fetch("key of the webhook"))


def _nothing_to_do() -> InstallerError:
    return InstallerError(
        ErrorCode.GATEWAY_EMPTY,
        "No device was installed here for Bluetooth-only sync.",
        "Install one, or name one of another maker with --device ADDRESS --profile PROFILE.",
    )
