"""The command-line options that several commands share. Each is declared once, and groups of them are dataclasses.

`installer.cli.option_groups` turns a group into the options of a command.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from installer.cli.option_groups import only
from installer.errors import ErrorCode, InstallerError

if TYPE_CHECKING:
    from installer.answers import StepKey
    from installer.flow.run_options import Options, RunConfig
    from installer.ledger.records import Context
    from installer.storage.secret_references import SecretRef

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
AnswersFile = Annotated[Path | None, typer.Option("--answers", metavar="FILE", help="Choices from a TOML file.")]
AskSteps = Annotated[str, typer.Option("--ask", metavar="STEPS", help="Ask the user for these, e.g. network,pairing.")]
UseLab = Annotated[bool, typer.Option("--lab", help="Use the lab: emulated devices and cloud, with data of its own.")]
AdapterName = Annotated[
    str | None,
    typer.Option(
        "--adapter", metavar="A", help="Bluetooth adapter: hci0, its address, or hci:TRANSPORT for a raw one."
    ),
]
CatalogueFiles = Annotated[
    list[Path] | None, typer.Option("--catalogue", metavar="FILE", help="Add models from FILE (repeatable).")
]
LedgerUrl = Annotated[
    str | None,
    typer.Option("--ledger", metavar="URL", help="The ledger: a file, or postgresql://USER@HOST/NAME to share it."),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="The store of measurements: sqlite:///PATH, or postgresql://USER@HOST/NAME without a password.",
    ),
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="From this time on: 2026-11-24, 2026-11-24T08:30, 12h, 7d."),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Until this time. A date includes the whole day.")
]
PassphraseFile = Annotated[
    str | None, typer.Option("--passphrase-file", metavar="F", help="Read the passphrase from file F; - is stdin.")
]
WifiQr = Annotated[
    str | None,
    typer.Option("--wifi-qr", metavar="TEXT", help="The text of the network's QR code: -, @FILE or env:VAR if secret."),
]
WifiQrImage = Annotated[
    Path | None, typer.Option("--wifi-qr-image", metavar="FILE", help="A picture of the network's QR code.")
]
Hidden = Annotated[bool, typer.Option("--hidden", help="The network does not show its name.")]

Exact = Annotated[
    bool,
    typer.Option("--exact", help="Send the network's name as it is, also if the device hears nearly the same one."),
]


@dataclass(frozen=True, eq=False, repr=False)
class Flags:
    """The choices of an installation. None and False mean that the option was not given."""

    device: Annotated[str | None, typer.Option("--device", metavar="ADDRESS", help="The device with this address.")] = (
        None
    )
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="A device of this model (see: models).")
    ] = None
    sync: Annotated[str | None, typer.Option("--sync", metavar="METHOD", help="wifi or bluetooth.")] = None
    ssid: Annotated[
        str | None, typer.Option("--ssid", metavar="NAME", help="The Wi-Fi network. With a code: the one it means.")
    ] = None
    hidden: Hidden = False
    exact: Exact = False
    passphrase_file: PassphraseFile = None
    passphrase_env: Annotated[
        str | None, typer.Option("--passphrase-env", metavar="VAR", help="Take the passphrase from variable VAR.")
    ] = None
    passphrase_keyring: Annotated[
        str | None,
        typer.Option("--passphrase-keyring", metavar="NAME", help="Take the passphrase from the keyring's entry NAME."),
    ] = None
    passphrase_host: Annotated[
        bool, typer.Option("--passphrase-host", help="Take the passphrase that this computer uses for the network.")
    ] = False
    network: Annotated[
        str | None,
        typer.Option("--network", metavar="NAME", help="The saved network of this name (see: networks list)."),
    ] = None
    wifi_qr: WifiQr = None
    wifi_qr_image: WifiQrImage = None
    qr: Annotated[
        str | None,
        typer.Option("--qr", metavar="TEXT", help="The text of the device's QR code: -, @FILE or env:VAR if secret."),
    ] = None
    qr_image: Annotated[
        Path | None, typer.Option("--qr-image", metavar="FILE", help="A picture of the device's QR code.")
    ] = None
    proof_file: Annotated[
        str | None, typer.Option("--proof-file", metavar="F", help="Read the device's proof of possession from file F.")
    ] = None
    proof_env: Annotated[
        str | None, typer.Option("--proof-env", metavar="VAR", help="Take the proof of possession from variable VAR.")
    ] = None
    username: Annotated[
        str | None, typer.Option("--username", metavar="U", help="The user name that belongs to the proof.")
    ] = None
    account: Annotated[
        str | None, typer.Option("--account", metavar="NAME", help="The stored account to link the device to.")
    ] = None
    notify: Annotated[
        str | None,
        typer.Option(
            "--notify",
            metavar="URL",
            help="Where the cloud sends notifications of new data; {path} is the secret part. Or @FILE, env:VAR, -.",
        ),
    ] = None
    no_notify: Annotated[
        bool, typer.Option("--no-notify", help="Do not subscribe to notifications, even if the settings name a URL.")
    ] = False
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the first measurement.")] = False


NetworkAndQrFlags = Annotated[Flags, only("network", "wifi_qr", "wifi_qr_image", "qr", "qr_image")]


@dataclass(frozen=True, eq=False, repr=False)
class BehaviourOptions:
    """How an installation runs: whether it may ask, how long it waits, what it refuses."""

    non_interactive: Annotated[bool, typer.Option("--non-interactive", help="Ask nothing.")] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, but change nothing.")] = False
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="S", min=0.001, help="Give up after S seconds.")
    ] = None
    require_encryption: Annotated[
        bool,
        typer.Option(
            "--require-encryption",
            help="Refuse to send a passphrase unencrypted, or to a device that could prove itself and does not.",
        ),
    ] = False
    allow_unproved: Annotated[
        bool,
        typer.Option(
            "--allow-unproved",
            help="Send the passphrase even if the device does not prove itself as its proof or label asks.",
        ),
    ] = False
    keep_wifi: Annotated[
        bool, typer.Option("--keep-wifi", help="If the device is on Wi-Fi already, keep that and only link it.")
    ] = False
    guided: Annotated[
        bool, typer.Option("--guided", help="Wait until somebody has set the device up with the vendor's app.")
    ] = False
    guide_timeout: Annotated[
        float | None,
        typer.Option("--guide-timeout", metavar="S", min=1, help="Wait S seconds for the vendor's app (900)."),
    ] = None

    passkey_file: Annotated[
        str | None,
        typer.Option("--passkey-file", metavar="F", help="Read the digits of a pairing from F when they are shown."),
    ] = None
    passkey_env: Annotated[
        str | None, typer.Option("--passkey-env", metavar="VAR", help="Take the digits of a pairing from variable VAR.")
    ] = None
    renew_bond: Annotated[
        bool, typer.Option("--renew-bond", help="Pair a device anew that no longer has its keys, for example reset.")
    ] = False
    allow_references: Annotated[
        bool,
        typer.Option("--allow-references", help="Let the answers file or plan name secrets of this computer."),
    ] = False

    def run_options(self, ask: frozenset[StepKey] = frozenset(), *, ask_pairing: bool = False) -> Options:
        """The same for the flow. `ask`: only these steps are asked for. Without a terminal, nothing is asked.

        `ask_pairing`: what a device wants to know when it is paired is asked for, too.
        """
        from installer.flow.run_options import Deadlines, Options

        return Options(
            passkey=self._passkey(),
            renew_bond=self.renew_bond,
            non_interactive=self.non_interactive or bool(ask) or ask_pairing or not sys.stdin.isatty(),
            ask_pairing=ask_pairing,
            dry_run=self.dry_run,
            require_encryption=self.require_encryption,
            allow_unproved=self.allow_unproved,
            keep_wifi=self.keep_wifi,
            guided=self.guided,
            allow_references=self.allow_references,
            deadlines=Deadlines().with_guide(self.guide_timeout),
            ask=ask,
            timeout=self.timeout,
        )

    def _passkey(self) -> SecretRef | None:
        from installer.storage.secret_references import on_command_line

        if self.passkey_file is not None and self.passkey_env is not None:
            raise InstallerError(
                ErrorCode.USAGE, "The passkey is named in two places.", "Give --passkey-file or --passkey-env."
            )
        if self.passkey_file is None and self.passkey_env is None:
            return None
        return on_command_line(**{"file": self.passkey_file} if self.passkey_file else {"env": self.passkey_env})


@dataclass(frozen=True, eq=False, repr=False)
class PlaceOptions:
    """Which adapter, cloud, catalogue files and ledger a command uses."""

    adapter: AdapterName = None
    cloud: Annotated[str | None, typer.Option("--cloud", metavar="URL", help="Base URL of the cloud.")] = None
    use_lab: UseLab = False
    catalogue: CatalogueFiles = None
    ledger: LedgerUrl = None

    def run_config(self, options: Options | None = None, context: Context | None = None) -> RunConfig:
        """The same for the flow. `context`: the site and the operator, if the command has these options."""
        from installer.flow.run_options import Options, RunConfig
        from installer.ledger.records import Context

        return RunConfig(
            adapter=self.adapter,
            cloud=self.cloud,
            lab=self.use_lab,
            catalogues=tuple(self.catalogue or ()),
            options=options or Options(),
            ledger=self.ledger,
            context=context or Context(),
        )


CloudOptions = Annotated[PlaceOptions, only("cloud", "use_lab")]


@dataclass(frozen=True, eq=False, repr=False)
class RecordOptions:
    """What the record of an installation says about who installs where."""

    site: Annotated[str | None, typer.Option("--site", metavar="S", help="The site, for the record.")] = None
    operator: Annotated[str | None, typer.Option("--operator", metavar="O", help="Who installs, for the record.")] = (
        None
    )
    label: Annotated[
        str | None, typer.Option("--label", metavar="L", help="Your name or number for the device, for the record.")
    ] = None

    def context(self) -> Context:
        """The same for the ledger."""
        from installer.ledger.records import Context

        return Context(site=self.site, operator=self.operator, label=self.label)


SiteAndOperator = Annotated[RecordOptions, only("site", "operator")]
