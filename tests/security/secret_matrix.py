"""Every secret of the program, every way out of it, and where in the code each of them is.

`test_secret_matrix.py` compares this table with the code. A new field that holds a secret, or a new module that writes,
starts a process or prints, has no place here yet: say which secret or which way out it is, and let a run use it.
"""

from __future__ import annotations

import ast
import enum
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("installer", "screens")


class Secret(enum.StrEnum):
    """What only the device, the cloud or its owner may see. The value is the text that stands for it in the runs."""

    PASSPHRASE = "passphrase-of-the-matrix"  # of the network
    PROOF = "proof-of-the-matrix"  # of possession
    CLIENT_SECRET = "client-secret"  # of the application at the lab's cloud; each run takes it from there
    TOKENS = "tokens"  # each run takes them from the account's file
    SIGN_IN_CODE = "sign-in-code"  # each run takes it from the addresses that its browser visited
    SIGN_IN_STATE = "sign-in-state"  # likewise
    LEDGER_PASSWORD = "ledger-password-of-the-matrix"
    STORE_PASSWORD = "store-password-of-the-matrix"
    PROXY_PASSWORD = "proxy-password-of-the-matrix"
    RECEIVER_PATH = "receiver-path"  # each run takes it from the receiver's file
    WEBHOOK_ADDRESS = "webhook-path-of-the-matrix"
    WEBHOOK_KEY = "webhook-key-of-the-matrix"
    LAB_USER = "lab-user"  # password and control token of the lab; each run takes them from its state file
    BOND_KEYS = "bond-keys"


# Secrets that each run is given.
GIVEN = {secret for secret in Secret if "matrix" in secret.value}
# What the run of the wizard has in its reach.
SEEN_BY_WIZARD = set(Secret) - {Secret.BOND_KEYS, Secret.RECEIVER_PATH}


class WayOut(enum.StrEnum):
    """Where the program writes to, or what others can read of it."""

    CHILD = "arguments and environment of processes that it starts"
    RESULTS = "standard output: results, events"
    MESSAGES = "standard error: messages, prompts"
    WIZARD = "the terminal of the wizard: screens, scrollback, clipboard"
    LEDGER = "the rows of the ledger"
    EXPORTS = "exports, reports, labels, saved answers"
    FILES = "all other files below its folders"
    TEMPORARY = "files that it removes or replaces"
    LOGS = "what libraries write to a log"
    CRASH_REPORT = "crash reports"
    CORE = "core files"
    ADDRESSES = "addresses that a proxy or a server on the way sees"
    SERVICE = "the files of a system service"


# Fields that hold a secret or name its place: `module:Class.field`.
FIELDS: dict[Secret, set[str]] = {
    Secret.PASSPHRASE: {
        "installer.answers:NetworkAnswer.passphrase",
        "installer.answers:NetworkAnswer.secret",
        "installer.storage.secret_references:SecretRef._held",  # what a file held when it was judged, of every kind
        "installer.batch.plan_check:PlanResources.passphrase",
        "installer.flow.foreign_references:Use.reference",  # of every kind that answers can name
        "installer.flow.questions:AskPassphrase.host_passphrase",
        "installer.wifi.card_readings:CardReading.passphrase",
        "installer.wifi.credentials:Credentials.passphrase",
        "installer.wifi.saved_networks:SavedNetwork.passphrase",
    },
    Secret.PROOF: {
        "installer.answers:FindAnswer.proof",
        "installer.answers:FindAnswer.secret",
        "installer.batch.plan:Unit.proof",
        "installer.batch.plan_format:Row.proof",
        "installer.flow.situation:Situation.proof",
        "installer.provisioning.provisioner:DriverOptions.ask_proof",
        "installer.provisioning.provisioner:DriverOptions.proof",
        "installer.qr.device_setup_code:DevicePayload.proof",
    },
    Secret.CLIENT_SECRET: {
        "installer.flow.lab_process:LabState.client_secret",
        "installer.settings:CloudSettings._secret",
        "installer.settings:CloudSettings.client_secret",
    },
    Secret.TOKENS: {
        "installer.cloud.account_file:Tokens.access_token",
        "installer.cloud.account_file:Tokens.refresh_token",
        "installer.cloud.api_models:Granted.access_token",
        "installer.cloud.api_models:Granted.refresh_token",
    },
    Secret.SIGN_IN_STATE: {
        "installer.events.installation:SignInNeeded.short_url",  # the link, which works once
        "installer.events.installation:SignInNeeded.url",
        "installer.flow.questions:SignIn.short_url",
        "installer.flow.questions:SignIn.url",
    },
    Secret.LEDGER_PASSWORD: {"installer.ledger.database:Target.password", "installer.settings:LedgerSettings.password"},
    Secret.STORE_PASSWORD: {"installer.settings:DataSettings.password"},
    Secret.PROXY_PASSWORD: {"installer.cloud.proxies:Proxy.url"},
    Secret.RECEIVER_PATH: {
        "installer.answers:LinkAnswer.notify",
        "installer.answers:LinkAnswer.notify_url",
        "installer.cloud.api_models:Subscription.url",
        "installer.notifications.saved_subscriptions:SavedSubscription.url",
        "installer.settings:NotificationsSettings.url",
    },
    Secret.WEBHOOK_ADDRESS: {
        "installer.cli.gateway_options:GatewayOptions.webhook",
        "installer.settings:GatewaySettings.webhook",
    },
    Secret.WEBHOOK_KEY: {
        "installer.gateway.service_environment:ServiceEnvironment.secret",  # and the webhook's address
        "installer.settings:GatewaySettings.webhook_key",
    },
    Secret.LAB_USER: {"installer.flow.lab_process:LabState.token", "installer.flow.lab_process:LabUser.password"},
}

# Fields of plain text that are called like a secret or an address, and are none.
NO_SECRETS = {
    "installer.batch.plan:Plan.secrets": "sentences that say which passphrase goes where",
    "installer.cli.gateway_options:GatewayOptions.webhook_key_env": "the name of a variable",
    "installer.cli.gateway_options:GatewayOptions.webhook_key_file": "the name of a file",
    "installer.cli.options:Flags.passphrase_env": "the name of a variable",
    "installer.cli.options:Flags.passphrase_keyring": "the name of an entry",
    "installer.cli.options:Flags.proof_env": "the name of a variable",
    "installer.cli.options:Flags.proof_file": "the name of a file",
    "installer.events.installation:GuideShown.url": "a page of the vendor",
    "installer.events.notifications:NotificationsSubscribed.url": "without its secret",
    "installer.events.notifications:ReceiverReady.url": "without its secret",
    "installer.flow.questions:FollowGuide.url": "a page of the vendor",
    "installer.flow.situation:Situation.device_url": "the device's own page",
    "installer.flow.situation:Situation.notification_url": "without its secret",
    "installer.ledger.database:Target.url": "a URL with a password is refused",
    "installer.provisioning.guided.checklist:Checklist.url": "a page of the vendor",
    "installer.provisioning.guided.checklist:Guide.url": "a page of the vendor",
    "installer.provisioning.provisioner:Progress.url": "the device's own page",
    "installer.qr.classify:VendorLink.url": "a page of the vendor",
    "installer.settings:DataSettings.url": "a URL with a password is refused",
    "installer.settings:LedgerSettings.url": "a URL with a password is refused",
    "screens.installation_state:InstallationState.notification_url": "without its secret",
}

# Modules that write, print, start a process or talk to another computer, by what they mostly do. The runs see what they
# write: every file, every byte of output, every child and every address.
MODULES: dict[WayOut, set[str]] = {
    WayOut.CHILD: {
        "installer.cloud.browser_start",
        "installer.flow.lab_process",
        "installer.gateway.system_service",
    },
    WayOut.RESULTS: {
        "installer.cli.account", "installer.cli.batch", "installer.cli.bonds", "installer.cli.data",
        "installer.cli.data_forget", "installer.cli.doctor", "installer.cli.exits", "installer.cli.gateway",
        "installer.cli.lab", "installer.cli.ledger", "installer.cli.measurement_printer", "installer.cli.models",
        "installer.cli.networks", "installer.cli.notifications", "installer.cli.notifications_serve",
        "installer.cli.records", "installer.cli.records_forget", "installer.cli.resume", "installer.cli.scan",
        "installer.cli.schema", "installer.cli.scripted_front_end", "installer.output",
    },
    WayOut.MESSAGES: {
        "installer.batch.progress_table", "installer.cli.debugging_variables", "installer.cli.doctor_checks",
        "installer.cli.erasing_options", "installer.cli.failures", "installer.cli.link", "installer.cli.main",
        "installer.cli.prompts", "installer.cli.qr_code_arguments", "installer.cli.run_command",
        "installer.cli.terminal_lines", "installer.flow.run_resources", "installer.gateway.status",
        "installer.storage.hidden_prompt",
    },
    WayOut.WIZARD: {"installer.cli.wizard"},
    WayOut.LEDGER: {"installer.ledger.schema_migration", "installer.storage.followed_database"},
    WayOut.EXPORTS: {"installer.answers", "installer.batch.labels", "installer.measurements.export"},
    WayOut.FILES: {
        "installer.cloud.rate_limit", "installer.cloud.token_store", "installer.flow.station_choices",
        "installer.gateway.files_and_lock", "installer.gateway.outbox_database", "installer.gateway.outbox_file",
        "installer.notifications.callback_url", "installer.notifications.inbox",
        "installer.notifications.saved_subscriptions", "installer.storage.private_files",
        "installer.wifi.saved_networks",
    },
    WayOut.TEMPORARY: {"installer.storage.atomic_write"},
    WayOut.LOGS: {"installer.bluetooth.adapter", "installer.notifications.receiver_service"},
    WayOut.CRASH_REPORT: {"installer.cli.crash_report"},
    WayOut.ADDRESSES: {
        "installer.cloud.client", "installer.cloud.embedded_web_server", "installer.cloud.http_client",
        "installer.cloud.lab_sign_in", "installer.cloud.shown_certificate",
    },
}  # fmt: skip

_SHOWN = "a person may need to open the address in a browser on another computer; it works once, for this sign-in only"
# A secret may be here on purpose.
ON_PURPOSE: dict[tuple[Secret, WayOut], str] = {
    (Secret.SIGN_IN_STATE, WayOut.MESSAGES): _SHOWN,
    (Secret.PROXY_PASSWORD, WayOut.CHILD): "a browser needs the same proxy; the variable is the system's, not ours",
}

# What no run can show, and why it is not so. Bonds: see `test_nothing_reads_the_keys_of_a_bond`.
NOT_POSSIBLE: dict[tuple[Secret, WayOut], str] = {
    (
        Secret.RECEIVER_PATH,
        WayOut.WIZARD,
    ): "addresses are shown without their secret: `tests/screens`, `callback_url.masked`",
    **{(Secret.BOND_KEYS, way): "the system keeps them; this program never reads them" for way in WayOut},
}

_SECRET_TYPES = {"SecretStr", "SecretRef", "Secret"}
_CALLED_LIKE_SECRETS = re.compile(r"pass(phrase|word)|secret|token|proof|webhook|url$")
_WRITERS = {
    "write_text", "write_bytes", "replace_file", "write_private", "write_text_atomically", "mkstemp", "mkdtemp",
    "NamedTemporaryFile", "TemporaryDirectory", "Popen", "create_subprocess_exec", "print_result", "print_message",
    "print_drawing", "ask_line", "copy_to_clipboard", "export_screenshot", "save_screenshot", "putenv", "basicConfig",
}  # fmt: skip
_QUALIFIED = {
    ("subprocess", "run"), ("webbrowser", "open"), ("os", "execv"), ("os", "execve"), ("os", "system"),
    ("sys", "stdout"), ("sys", "stderr"), ("logging", "getLogger"), ("shutil", "copyfile"),
    ("socket", "create_connection"),
    ("httpx", "AsyncClient"), ("httpx", "Client"), ("sqlalchemy", "create_engine"), ("sqlite3", "connect"),
}  # fmt: skip


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Each module of the program, except the lab, with its syntax tree."""
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            if not name.startswith("installer.lab."):
                yield name, ast.parse(file.read_text("utf-8"))


def _fields() -> Iterator[tuple[str, set[str]]]:
    """Each annotated field of each class, as `module:Class.field`, with the names in its type."""
    for name, tree in modules():
        for part in (p for p in ast.walk(tree) if isinstance(p, ast.ClassDef)):
            for field in part.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    types = {n.id for n in ast.walk(field.annotation) if isinstance(n, ast.Name)}
                    yield f"{name}:{part.name}.{field.target.id}", types


def fields_with_secrets() -> set[str]:
    """Each field whose type holds a secret or names the place of one, or that is plain text and called like one."""
    return {
        field
        for field, types in _fields()
        if types & _SECRET_TYPES or (types & {"str", "bytes"} and _CALLED_LIKE_SECRETS.search(field.rpartition(".")[2]))
    }


def modules_with_ways_out() -> set[str]:
    """Each module that writes a file, prints, logs, starts a process or opens a connection by itself."""
    return {name for name, tree in modules() if any(_leads_out(part) for part in ast.walk(tree))}


def _leads_out(part: ast.AST) -> bool:
    if (
        isinstance(part, ast.Attribute)
        and isinstance(part.value, ast.Name)
        and (part.value.id, part.attr) in _QUALIFIED
    ):
        return True
    if not isinstance(part, ast.Call):
        return False
    called = part.func.attr if isinstance(part.func, ast.Attribute) else getattr(part.func, "id", "")
    if called in _WRITERS:
        return True
    modes = [a.value for a in (*part.args, *(k.value for k in part.keywords)) if isinstance(a, ast.Constant)]
    return called in ("open", "fdopen") and any(isinstance(m, str) and m[:1] in ("w", "a", "x") for m in modes)
