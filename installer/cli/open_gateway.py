"""Opens the gateway of this computer, from the command-line options and the settings."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.bluetooth.adapter import Adapter
    from installer.cli.gateway_options import GatewayOptions
    from installer.cloud.account import Account
    from installer.flow.run_resources import RunResources
    from installer.gateway.devices import GatewayDevice
    from installer.gateway.files_and_lock import GatewayFiles
    from installer.gateway.gateway import Gateway, GatewayEvent, GatewayParts
    from installer.gateway.sinks import Sink
    from installer.settings import GatewaySettings


@contextlib.asynccontextmanager
async def open_gateway(
    options: GatewayOptions, report: Callable[[GatewayEvent], None], *, must_have_devices: bool = False
) -> AsyncIterator[Gateway]:
    """The gateway of this computer. Raises GATEWAY_RUNNING, and GATEWAY_EMPTY if `must_have_devices`.

    `report` gets what the gateway does.
    """
    from installer.flow.run_options import RunConfig
    from installer.flow.run_resources import RunResources
    from installer.gateway.files_and_lock import GatewayFiles, hold_gateway_lock
    from installer.gateway.gateway import Gateway
    from installer.gateway.outbox import Outbox

    files = GatewayFiles.in_data_dir(lab=options.use_lab)
    config = RunConfig(adapter=options.adapter, lab=options.use_lab, catalogues=tuple(options.catalogue or ()))
    resources = RunResources(config)
    try:
        async with hold_gateway_lock(files) as check_lock:
            if options.use_lab:
                await resources.lab()
            parts = _parts(resources, files, options, report)
            if not await parts.load_devices() and must_have_devices:
                raise _no_device()
            with Outbox.open(files.outbox) as outbox:
                yield Gateway(parts, outbox, check_lock)
    finally:
        await resources.close()


def _parts(
    resources: RunResources, files: GatewayFiles, options: GatewayOptions, report: Callable[[GatewayEvent], None]
) -> GatewayParts:
    import asyncio

    from installer.gateway import devices
    from installer.gateway.gateway import DEVICES_RELOAD_SECONDS, GatewayFailure, GatewayParts
    from installer.gateway.sinks import StoreSink
    from installer.gateway.visit import VisitTimeouts
    from installer.gateway.visit_scheduler import VisitSettings
    from installer.measurements.open_store import open_store

    settings = resources.settings
    webhook = _webhook(options, settings.gateway)
    sinks: list[Sink] = [StoreSink(lambda: open_store(settings, lab=options.use_lab))]
    if options.use_lab:
        from installer.gateway.lab_cloud_sink import LabCloudSink

        async def account(name: str) -> Account:
            return await (await resources.accounts()).open(name)

        sinks.append(LabCloudSink(account))
    sinks += [webhook] if webhook is not None else []

    told: set[str] = set()

    async def find_devices() -> Sequence[GatewayDevice]:
        installed = await asyncio.to_thread(resources.records().installed, "bluetooth")
        known = devices.installed_devices(installed, resources.catalogue)
        for error in () if options.device else devices.left_out(installed, resources.catalogue):
            if error.what not in told:
                told.add(error.what)
                report(GatewayFailure(error, DEVICES_RELOAD_SECONDS))
        if options.device:
            known = devices.selected_devices(options.device, options.profile or (), known)
        return devices.with_consents(known, settings.gateway.consent)

    return GatewayParts(
        files=files,
        catalogue=resources.catalogue,
        open_adapter=functools.partial(_adapter, resources),
        load_devices=find_devices,
        sinks=sinks,
        on_event=report,
        visit_settings=VisitSettings(
            interval=options.every or settings.gateway.every, timeouts=VisitTimeouts(quiet=options.quiet)
        ),
        room=resources.radio_room(),
    )


async def _adapter(resources: RunResources) -> Adapter:
    """The adapter. Raises LAB_UNAVAILABLE if the lab that the gateway started with has stopped."""
    if resources.config.lab and resources.config.adapter is None:
        import asyncio

        from installer.flow import lab_process
        from installer.flow.run_resources import lab_state_file

        lab, running = await resources.lab(), await asyncio.to_thread(lab_process.read_state, lab_state_file())
        if running is None or running.pid != lab.pid:
            raise InstallerError(
                ErrorCode.LAB_UNAVAILABLE,
                "The lab that this gateway uses has stopped.",
                "Start the gateway again. It uses the lab that runs then.",
            )
    return await resources.gateway_adapter()


def _webhook(options: GatewayOptions, settings: GatewaySettings) -> Sink | None:
    """The webhook of the command line, or else of the settings. Raises USAGE, SETTINGS_INVALID, SECRET_UNAVAILABLE."""
    from installer.storage.secret_references import SecretRef, on_command_line

    configured = settings.webhook
    url = options.webhook or (configured if isinstance(configured, str) else None)
    if url is None and isinstance(configured, SecretRef):
        url = configured.fetch("address of the webhook").get_secret_value()
    if not url:
        return None
    key = settings.webhook_key
    if options.webhook_key_file is not None:
        key = on_command_line(file=options.webhook_key_file)
    elif options.webhook_key_env is not None:
        key = on_command_line(env=options.webhook_key_env)
    if key is None:
        raise InstallerError(
            ErrorCode.USAGE,
            "The webhook has no key, so its receiver cannot check who sends.",
            "Give the key: --webhook-key-file F, --webhook-key-env VAR, or [gateway] webhook_key in config.toml.",
        )
    from installer.gateway.webhook_sink import WebhookSink, signing_key

    # The key is read now, so that a mistake is an error at the start.
    secret = key.fetch("key of the webhook")
    signing_key(secret)
    return WebhookSink(url, lambda: secret if key.file == "-" else key.fetch("key of the webhook"))


def _no_device() -> InstallerError:
    return InstallerError(
        ErrorCode.GATEWAY_EMPTY,
        "No device was installed here for Bluetooth-only sync.",
        "Install one, or name one of another manufacturer with --device ADDRESS --profile PROFILE.",
    )
