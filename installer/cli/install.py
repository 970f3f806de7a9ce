"""The command `install`: one device, from options and answers; a script's way."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from installer import output
from installer.cli.options import (
    AdapterSpec,
    AnswersFile,
    Ask,
    Catalogues,
    CloudUrl,
    DeviceQr,
    DeviceQrImage,
    Encryption,
    Guided,
    GuideTimeout,
    Ledger,
    Operator,
    SavedNetwork,
    Site,
    UseLab,
    WifiQr,
    WifiQrImage,
    answers_of,
    place_of,
)
from installer.cli.run_command import run
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.answers import Answers
    from installer.flow.assembly import Place

Device = Annotated[str | None, typer.Option("--device", metavar="ADDRESS", help="The device with this address.")]
ModelName = Annotated[str | None, typer.Option("--model", metavar="NAME", help="A device of this model (see: models).")]
Sync = Annotated[str | None, typer.Option("--sync", metavar="METHOD", help="wifi or bluetooth.")]
Ssid = Annotated[str | None, typer.Option("--ssid", metavar="NAME", help="The Wi-Fi network.")]
Hidden = Annotated[bool, typer.Option("--hidden", help="The network does not show its name.")]
PassphraseFile = Annotated[
    str | None, typer.Option("--passphrase-file", metavar="F", help="Read the passphrase from file F; - is stdin.")
]
PassphraseEnv = Annotated[
    str | None, typer.Option("--passphrase-env", metavar="VAR", help="Take the passphrase from variable VAR.")
]
PassphraseKeyring = Annotated[
    str | None, typer.Option("--passphrase-keyring", metavar="NAME", help="Take it from the keyring's entry NAME.")
]
PassphraseHost = Annotated[
    bool, typer.Option("--passphrase-host", help="Take the one that this computer uses for that network itself.")
]
ProofFile = Annotated[
    str | None, typer.Option("--proof-file", metavar="F", help="Read the device's proof of possession from file F.")
]
ProofEnv = Annotated[
    str | None, typer.Option("--proof-env", metavar="VAR", help="Take the proof of possession from variable VAR.")
]
Username = Annotated[str | None, typer.Option("--username", metavar="U", help="User name that goes with the proof.")]
AccountName = Annotated[str | None, typer.Option("--account", metavar="NAME", help="The stored account to link to.")]
Timeout = Annotated[float | None, typer.Option("--timeout", metavar="S", min=0.001, help="Give up after S seconds.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Look and check, but change nothing.")]
KeepWifi = Annotated[bool, typer.Option("--keep-wifi", help="Link a device that is on Wi-Fi already as it is.")]
Label = Annotated[str | None, typer.Option("--label", metavar="L", help="Your name or number for the device.")]
Notify = Annotated[
    str | None,
    typer.Option(
        "--notify",
        metavar="URL",
        help="Let the cloud tell of new data there; {path} is its secret part. Or @FILE, env:VAR, -.",
    ),
]
NoNotify = Annotated[bool, typer.Option("--no-notify", help="Subscribe no notifications, whatever the settings say.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for the first measurement.")]


def install(
    device: Device = None,
    model: ModelName = None,
    sync: Sync = None,
    ssid: Ssid = None,
    hidden: Hidden = False,
    passphrase_file: PassphraseFile = None,
    passphrase_env: PassphraseEnv = None,
    passphrase_keyring: PassphraseKeyring = None,
    passphrase_host: PassphraseHost = False,
    network: SavedNetwork = None,
    wifi_qr: WifiQr = None,
    wifi_qr_image: WifiQrImage = None,
    qr: DeviceQr = None,
    qr_image: DeviceQrImage = None,
    proof_file: ProofFile = None,
    proof_env: ProofEnv = None,
    username: Username = None,
    account_name: AccountName = None,
    answers: AnswersFile = None,
    ask: Ask = "",
    non_interactive: Annotated[bool, typer.Option("--non-interactive", help="Ask nobody.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON event a line.")] = False,
    dry_run: DryRun = False,
    timeout: Timeout = None,
    adapter: AdapterSpec = None,
    cloud: CloudUrl = None,
    use_lab: UseLab = False,
    catalogue: Catalogues = None,
    require_encryption: Encryption = False,
    keep_wifi: KeepWifi = False,
    guided: Guided = False,
    guide_timeout: GuideTimeout = None,
    notify: Notify = None,
    no_notify: NoNotify = False,
    no_wait: NoWait = False,
    ledger: Ledger = None,
    site: Site = None,
    operator: Operator = None,
    label: Label = None,
) -> None:
    """Install one device; for scripts with --non-interactive."""
    from installer.cli import merge_options
    from installer.cli.scripted_front_end import fail_early
    from installer.flow.steps.step import Deadlines, Options
    from installer.ledger.site_and_operator import Context

    choices = merge_options.Flags(
        device=device,
        proof_file=proof_file,
        proof_env=proof_env,
        username=username,
        model=model,
        sync=sync,
        ssid=ssid,
        hidden=hidden,
        passphrase_file=passphrase_file,
        passphrase_env=passphrase_env,
        passphrase_keyring=passphrase_keyring,
        passphrase_host=passphrase_host,
        network=network,
        wifi_qr=wifi_qr,
        wifi_qr_image=wifi_qr_image,
        qr=qr,
        qr_image=qr_image,
        account=account_name,
        notify=notify,
        no_notify=no_notify,
        no_wait=no_wait,
    )
    with fail_early(json=json):
        merged = merge_options.merge(answers_of(answers), choices)
        steps = merge_options.steps(ask)
        if steps and not sys.stdin.isatty():
            raise InstallerError(
                ErrorCode.USAGE, "--ask wants to ask a person, and there is no terminal.", "Leave --ask out."
            )
    options = Options(
        # Where nobody can answer, nobody is asked.
        non_interactive=non_interactive or bool(steps) or not sys.stdin.isatty(),
        dry_run=dry_run,
        require_encryption=require_encryption,
        keep_wifi=keep_wifi,
        guided=guided,
        deadlines=Deadlines().with_guide(guide_timeout),
        ask=steps,
        timeout=timeout,
    )
    who = Context(site=site, operator=operator, label=label)
    place = replace(place_of(adapter, cloud, use_lab, catalogue, options), ledger=ledger, context=who)
    run(_install(place, merged, json=json))


async def _install(place: Place, answers: Answers, *, json: bool) -> None:
    from installer.cli.scripted_front_end import Scripted, fail_early, summary_lines
    from installer.flow.assembly import Assembly
    from installer.flow.installation import Installation
    from installer.flow.resumable import with_hint

    with fail_early(json=json):
        assembly = Assembly(place)
        if place.lab:
            await assembly.lab()
    try:
        ended = await Installation(assembly.surroundings(), Scripted(json=json), answers).run()
    finally:
        await assembly.close()
    if ended.error is not None:
        raise with_hint(ended.error, ended.summary, lab=place.lab)
    if not json:
        for line in summary_lines(ended):
            output.result(line)
    if ended.left is not None:
        raise ended.left
