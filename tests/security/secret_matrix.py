"""Every secret of the program, every way out of it, and where in the code each of them is.

`test_secret_matrix.py` compares this table with the code. A new field that holds a secret, or a new module that writes,
starts a process or prints, has no place here yet: say which secret or which way out it is, and let a run use it.
"""

from __future__ import annotations

import ast
import enum
import functools
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("installer", "screens")


class Secret(enum.StrEnum):
    """What only the device, the cloud or its owner may see. The value is the text that stands for it in the runs."""

    PASSPHRASE = "passphrase-of-the-matrix"  # of the network
    PROOF = "proof-of-the-matrix"  # of possession
    PASSKEY = "063140"  # the digits of a pairing
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
    CONSENT_CODE = "consent-code"  # of a device's user
    BOND_KEYS = "bond-keys"  # of devices paired over a raw adapter; each run takes them from their file


# How the table of `docs/threat-model.md` calls them.
IN_WORDS = {
    Secret.PASSPHRASE: "passphrase of a Wi-Fi network",
    Secret.PROOF: "proof of possession, password of a device",
    Secret.PASSKEY: "digits of a pairing (passkey)",
    Secret.CLIENT_SECRET: "client id and secret of the application",
    Secret.TOKENS: "tokens of an account",
    Secret.SIGN_IN_CODE: "code and link of a sign-in",
    Secret.SIGN_IN_STATE: "code and link of a sign-in",
    Secret.LEDGER_PASSWORD: "password of a shared ledger or store",
    Secret.STORE_PASSWORD: "password of a shared ledger or store",
    Secret.PROXY_PASSWORD: "password of a proxy",
    Secret.RECEIVER_PATH: "secret path of the receiver",
    Secret.WEBHOOK_ADDRESS: "address and key of the webhook",
    Secret.WEBHOOK_KEY: "address and key of the webhook",
    Secret.LAB_USER: "password and token of the lab",
    Secret.CONSENT_CODE: "consent code of a device's user",
    Secret.BOND_KEYS: "keys of a bond",
}
# Secrets that each run is given.
GIVEN = {secret for secret in Secret if "matrix" in secret.value}
# What the run of the wizard has in its reach.
SEEN_BY_WIZARD = set(Secret) - {Secret.BOND_KEYS, Secret.CONSENT_CODE, Secret.PASSKEY}
# What it works with. The browser gets the password of the lab's user, and the wizard needs no webhook and no server.
USED_BY_WIZARD = SEEN_BY_WIZARD - GIVEN - {Secret.LAB_USER} | {Secret.PASSPHRASE, Secret.PROOF}


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


# On these ways goes what is in a process's environment, whether or not the program reads it.
CARRY_THE_ENVIRONMENT = {WayOut.CHILD, WayOut.SERVICE, WayOut.CORE}

# Fields that hold a secret or name its place: `module:Class.field`.
FIELDS: dict[Secret, set[str]] = {
    Secret.PASSPHRASE: {
        "installer.flow.situation:Situation.credentials",
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
        "installer.provisioning.espressif.driver:EspressifProvisioner._ask_proof",
        "installer.provisioning.espressif.driver:EspressifProvisioner._proof",
        "installer.provisioning.espressif.security:Security1._private",  # the keys of a session are made from these
        "installer.provisioning.espressif.security:Security1._proof",
        "installer.provisioning.espressif.security:Security2._cipher",
        "installer.provisioning.espressif.security:Security2._password",
        "installer.provisioning.espressif.security:Security2._private",
        "installer.provisioning.espressif.session:Session._ask_proof",
        "installer.provisioning.espressif.session:Session._proof",
        "installer.provisioning.espressif.srp:SrpClient._password",
        "installer.provisioning.espressif.srp:SrpClient._private",
        "installer.provisioning.espressif.srp:SrpClient.key",
        "screens.qr_text_dialogs:QrTextDialog._initial_text",  # what a code says: a proof or a passphrase
        "installer.answers:FindAnswer.proof",
        "installer.answers:FindAnswer.secret",
        "installer.batch.plan:Unit.proof",
        "installer.batch.plan_format:Row.proof",
        "installer.flow.situation:Situation.proof",
        "installer.provisioning.provisioner:DriverOptions.ask_proof",
        "installer.provisioning.provisioner:DriverOptions.proof",
        "installer.qr.device_setup_code:DevicePayload.proof",
    },
    Secret.PASSKEY: {
        "installer.flow.pairing_questions:ShowPasskey.passkey",
        "installer.flow.run_options:Options.passkey",
    },
    Secret.CLIENT_SECRET: {
        "installer.cloud.client:CloudClient._secret",
        "installer.flow.lab_process:LabState.client_secret",
        "installer.settings:CloudSettings._secret",
        "installer.settings:CloudSettings.client_secret",
    },
    Secret.TOKENS: {
        "installer.cloud.token_refresh:AccountSession._tokens",
        "installer.cloud.account_file:Tokens.access_token",
        "installer.cloud.account_file:Tokens.refresh_token",
        "installer.cloud.api_models:Granted.access_token",
        "installer.cloud.api_models:Granted.refresh_token",
    },
    Secret.SIGN_IN_STATE: {
        "installer.cloud.oauth_sign_in:SignInSession._link",
        "installer.cloud.sign_in_link:SignInLink._cookie",
        "installer.cloud.sign_in_link:SignInLink.path",
        "installer.cloud.sign_in_link:SignInLink.state",
        "screens.qr_code:QrScreen._url",  # the link as a code for a phone
        "installer.events.installation:SignInNeeded.short_url",  # the link, which works once
        "installer.events.installation:SignInNeeded.url",
        "installer.flow.questions:SignIn.short_url",
        "installer.flow.questions:SignIn.url",
    },
    Secret.LEDGER_PASSWORD: {"installer.ledger.database:Target.password", "installer.settings:LedgerSettings.password"},
    Secret.STORE_PASSWORD: {"installer.settings:DataSettings.password"},
    Secret.PROXY_PASSWORD: {"installer.cloud.proxies:Proxy.url"},
    Secret.RECEIVER_PATH: {
        "installer.notifications.receiver:Receiver._path",
        "installer.answers:LinkAnswer.notify",
        "installer.answers:LinkAnswer.notify_url",
        "installer.cloud.api_models:Subscription.url",
        "installer.notifications.saved_subscriptions:SavedSubscription.url",
        "installer.settings:NotificationsSettings.url",
    },
    Secret.WEBHOOK_ADDRESS: {
        "installer.cloud.http_client:HttpClient._url",
        "installer.gateway.webhook_sink:WebhookSink._url",
        "installer.cli.gateway_options:GatewayOptions.webhook",
        "installer.settings:GatewaySettings.webhook",
    },
    Secret.WEBHOOK_KEY: {
        "installer.gateway.webhook_sink:WebhookSink._fetch_key",
        "installer.gateway.webhook_sink:WebhookSink._key",
        "installer.gateway.service_environment:ServiceEnvironment.secret",  # and the webhook's address
        "installer.settings:GatewaySettings.webhook_key",
    },
    Secret.BOND_KEYS: {
        "installer.bluetooth.hci.kept_keys:Identity.irk",
        "installer.bluetooth.hci.kept_keys:RawBond.irk",
        "installer.bluetooth.hci.kept_keys:RawBond.ltk",
    },
    Secret.LAB_USER: {"installer.flow.lab_process:LabState.token", "installer.flow.lab_process:LabUser.password"},
    Secret.CONSENT_CODE: {
        "installer.health_profiles.user_consent:Consent.code",
        "installer.settings:ConsentSettings.code",
    },
}

# Fields of plain text that are called like a secret or an address, and are none.
NO_SECRETS = {
    "installer.batch.plan:Plan.secrets": "sentences that say which passphrase goes where",
    "installer.batch.plan_check:_Checker._passphrase_errors": "sentences",
    "installer.ledger.records:Records._private": "whether it is, as it was looked at last",
    "installer.bluetooth.adapter:Adapter.on_left_link": "who is told of a link",
    "installer.bluetooth.hci.client:HciClient._link": "a connection",
    "installer.flow.bluetooth_keys:BluetoothKeysFile._path": "a file",
    "installer.cli.gateway_options:GatewayOptions.webhook_key_env": "the name of a variable",
    "installer.cli.gateway_options:GatewayOptions.webhook_key_file": "the name of a file",
    "installer.cli.options:BehaviourOptions.passkey_env": "the name of a variable",
    "installer.cli.options:BehaviourOptions.passkey_file": "the name of a file",
    "installer.cli.options:Flags.passphrase_env": "the name of a variable",
    "installer.cli.options:Flags.passphrase_keyring": "the name of an entry",
    "installer.cli.options:Flags.proof_env": "the name of a variable",
    "installer.cli.options:Flags.proof_file": "the name of a file",
    "installer.cloud.guarded_web_server:GuardedProtocol.app_state": "says whether a stranger connected",
    "installer.cloud.oauth_redirect_listener:RedirectListener._path": "of the address that the cloud knows",
    "installer.cloud.oauth_redirect_listener:RedirectListener.base_url": "of the address that the cloud knows",
    "installer.errors:InstallerError.code": "which error it is",
    "installer.events.installation:GuideShown.url": "a page of the vendor",
    "installer.events.notifications:NotificationsSubscribed.url": "without its secret",
    "installer.events.notifications:ReceiverReady.url": "without its secret",
    "installer.flow.questions:FollowGuide.url": "a page of the vendor",
    "installer.flow.situation:Situation.device_url": "the device's own page",
    "installer.flow.situation:Situation.notification_url": "without its secret",
    "installer.flow.situation:Situation.proof_problem": "what is wrong with it, in words",
    "installer.gateway.outbox:Outbox.path": "a file",
    "installer.gateway.outbox_file:OutboxFile.path": "a file",
    "installer.ledger.database:Target.url": "a URL with a password is refused",
    "installer.ledger.process_alive:ProcessAlive.token": "the name of a lock file",
    "installer.notifications.inbox:Inbox._path": "a file",
    "installer.provisioning.guided.checklist:Checklist.url": "a page of the vendor",
    "installer.provisioning.guided.checklist:Guide.url": "a page of the vendor",
    "installer.provisioning.improv.driver:ImprovProvisioner._nobody_sent_credentials": "whether it is so",
    "installer.provisioning.improv.session:Session.state": "how far the device is",
    "installer.provisioning.provisioner:Progress.url": "the device's own page",
    "installer.provisioning.shelly.rpc_client:RpcClient._has_secret": "whether one was sent",
    "installer.qr.classify:VendorLink.url": "a page of the vendor",
    "installer.settings:DataSettings.url": "a URL with a password is refused",
    "installer.settings:LedgerSettings.url": "a URL with a password is refused",
    "installer.storage.file_lock:HeldLock.path": "a file",
    "installer.storage.process_marks:Mark._path": "a file",
    "installer.storage.followed_database:_OpenOne.path": "a file",
    "installer.storage.open_file_identity:FileReplaced.path": "a file",
    "screens.app:WizardApp.state": "how far the installation is",
    "screens.finish:FinishScreen.state": "how far the installation is",
    "screens.front_end:FrontEndApp.state": "how far the installation is",
    "screens.installation_state:InstallationState.notification_url": "without its secret",
    "screens.widgets:SecretInput.password": "whether it is hidden",
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
        "installer.batch.progress_table", "installer.cli.debugging_variables",
        "installer.cli.erasing_options", "installer.cli.failures", "installer.cli.link", "installer.cli.main",
        "installer.cli.prompts", "installer.cli.qr_code_arguments", "installer.cli.run_command",
        "installer.cli.terminal_lines", "installer.flow.run_resources", "installer.gateway.status",
        "installer.storage.hidden_prompt",
    },
    WayOut.WIZARD: {"installer.cli.wizard"},
    WayOut.LEDGER: {
        "installer.ledger.schema_migration", "installer.storage.database", "installer.storage.followed_database",
    },
    WayOut.EXPORTS: {"installer.answers", "installer.batch.labels", "installer.measurements.export"},
    WayOut.FILES: {
        "installer.cli.doctor_place", "installer.cloud.rate_limit", "installer.cloud.token_store",
        "installer.flow.bluetooth_keys",
        "installer.flow.station_choices",
        "installer.gateway.files_and_lock", "installer.gateway.outbox_database", "installer.gateway.outbox_file",
        "installer.gateway.wake", "installer.ledger.import_old_files", "installer.notifications.callback_url",
        "installer.notifications.inbox", "installer.notifications.saved_subscriptions", "installer.storage.file_lock",
        "installer.storage.private_files", "installer.storage.process_marks", "installer.storage.sqlite_files",
        "installer.wifi.saved_networks",
    },
    WayOut.TEMPORARY: {"installer.storage.atomic_write"},
    WayOut.LOGS: {"installer.bluetooth.adapter", "installer.notifications.receiver_service"},
    WayOut.CRASH_REPORT: {"installer.cli.crash_report"},
    WayOut.ADDRESSES: {
        "installer.cloud.client", "installer.cloud.embedded_web_server", "installer.cloud.guarded_web_server",
        "installer.cloud.http_client", "installer.cloud.lab_sign_in", "installer.cloud.oauth_redirect_listener",
        "installer.cloud.shown_certificate", "installer.notifications.receiver",
    },
}  # fmt: skip

# Modules that use what could lead out, and lead nothing out.
NO_WAY_OUT = {
    "installer.flow.beside_answers": "asks where the folder for temporary files is",
    "installer.gateway.scheduled_task": "quotes the words of a command",
    "installer.measurements.charts": "draws into a text",
    "installer.storage.peer_user": "asks whose program is behind a connection",
    "installer.storage.socket_owner": "asks the kernel whose a socket is",
    "installer.storage.pinned_file": "opens files for reading only",
    "installer.text.bounded_read": "asks whether a file is the terminal",
}

_SHOWN = "a person may need to open the address in a browser on another computer; it works once, for this sign-in only"
# A secret may be here on purpose.
ON_PURPOSE: dict[tuple[Secret, WayOut], str] = {
    (Secret.SIGN_IN_STATE, WayOut.MESSAGES): _SHOWN,
    (Secret.PROXY_PASSWORD, WayOut.CHILD): "a browser needs the same proxy; the variable is the system's, not ours",
}

# What no run can show, and why it is not so. Keys that the system keeps: see `test_nothing_reads_the_keys_of_a_bond`.
NOT_POSSIBLE: dict[tuple[Secret, WayOut], str] = {}
_ONLY_THE_ADAPTER = "only the driver of a raw adapter reads their file, and it hands out none"

_OF_DATABASES = (Secret.LEDGER_PASSWORD, Secret.STORE_PASSWORD)
_OF_GATEWAY = (Secret.WEBHOOK_ADDRESS, Secret.WEBHOOK_KEY)
_NO_SERVER = "needs a server that takes the password; that of the run ends the connection when it has asked for it"
_NO_PAIRING = "no step of the run pairs; `tests/flow/test_pairing.py` looks for it in events, errors and files"
# What a run could show and none does, with the reason.
NOT_TRIED: dict[tuple[Secret, WayOut], str] = {
    **{(s, way): _NO_SERVER for s in _OF_DATABASES for way in (WayOut.LEDGER, WayOut.EXPORTS, WayOut.TEMPORARY)},
    **{(s, WayOut.WIZARD): "the wizard of the run keeps its ledger in a file" for s in _OF_DATABASES},
    **{(s, WayOut.LEDGER): "only the gateway reads it, and it writes no record" for s in _OF_GATEWAY},
    **{(s, WayOut.WIZARD): "only the gateway reads it" for s in _OF_GATEWAY},
    **{
        (Secret.BOND_KEYS, way): _ONLY_THE_ADAPTER
        for way in (WayOut.CHILD, WayOut.WIZARD, WayOut.LEDGER, WayOut.EXPORTS, WayOut.SERVICE)
    },
    **{(Secret.PASSKEY, way): _NO_PAIRING for way in WayOut},
    (Secret.PROXY_PASSWORD, WayOut.LEDGER): "no run installs through a proxy",
    (Secret.PROXY_PASSWORD, WayOut.WIZARD): "the wizard of the run reaches its cloud without a proxy",
    (
        Secret.LAB_USER,
        WayOut.WIZARD,
    ): "the wizard of the run is given the lab by its addresses, and reads no file of it",
    **{
        (Secret.CONSENT_CODE, way): "four digits are in any output by chance; `test_collecting_from_lab` looks for it"
        for way in WayOut
    },
}

_SECRET_TYPES = {"SecretStr", "SecretRef", "Secret"}
_CALLED_LIKE_SECRETS = re.compile(r"pass(phrase|word|key)|secret|token|proof|webhook|url$|^(ltk|irk)$")
_KEPT_LIKE_SECRETS = re.compile(
    rf"{_CALLED_LIKE_SECRETS.pattern}|^_*(\w+_)?(key|state|cookie|code|verifier|path|credentials|private|cipher|link)$"
)
# Importing one of these is enough: little else can be done with them than to write, send, print or start something.
_OUTWARD_MODULES = {
    "aiohttp", "bz2", "curses", "ftplib", "gzip", "http.client", "http.server", "httpx", "logging", "lzma",
    "multiprocessing", "pty", "requests", "rich.console", "rich.live", "rich.logging", "smtplib", "socket",
    "socketserver", "subprocess", "syslog", "tarfile", "tempfile", "urllib3", "uvicorn", "webbrowser", "websockets",
    "zipfile",
}  # fmt: skip
# Of these modules some parts lead out.
_OUTWARD_PARTS = re.compile(
    r"""
    os\.(open|fdopen|write|writev|pwrite|pwritev|sendfile|truncate|rename|renames|replace|link|symlink|mkfifo|mknod
        |system|popen|putenv|startfile|setxattr|spawn\w+|posix_spawnp?|exec\w+)
    | sys\.(__)?std(out|err)(__)?
    | sys\.(displayhook|excepthook|unraisablehook)
    | warnings\.(warn|warn_explicit|showwarning)
    | traceback\.print_\w+ | faulthandler\.\w+
    | asyncio\.(open_\w*connection|start_\w*server|create_subprocess_\w+|subprocess)
    | urllib\.request\.(?!getproxies|proxy_bypass)\w+
    | shutil\.(?!get_terminal_size|which|disk_usage)\w+
    | (typer|click)\.(echo|secho|confirm|prompt|launch|edit|echo_via_pager|progressbar)
    | rich\.(print|print_json|inspect|get_console) | textual\.log
    | sqlalchemy(\.\w+)*\.create_(async_)?engine | (aio)?sqlite3?\.connect | psycopg\w*(\.\w+)*\.connect
    """,
    re.VERBOSE,
)
# Functions and methods that lead out, whatever they belong to.
_OUTWARD_CALLS = {
    "print", "write_text", "write_bytes", "rename", "symlink_to", "hardlink_to", "touch", "replace_file",
    "write_private", "write_text_atomically", "print_result", "print_message", "print_drawing", "ask_line",
    "copy_to_clipboard", "open_url", "export_screenshot", "save_screenshot", "deliver_text", "deliver_binary",
    "deliver_screenshot", "create_connection", "create_unix_connection", "create_datagram_endpoint", "create_server",
    "create_unix_server", "subprocess_exec", "subprocess_shell", "sock_connect", "sock_sendall", "sock_sendto",
}  # fmt: skip


@functools.cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    """Each module of the program, except the lab, with its syntax tree."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]
    return tuple(
        (name, ast.parse(file.read_text("utf-8")))
        for name, file in zip(names, files, strict=True)
        if not name.startswith("installer.lab.")
    )


def _fields() -> Iterator[tuple[str, set[str] | None]]:
    """Each field of each class, as `module:Class.field`, with the names in its type; None if it states no type."""
    for name, tree in modules():
        for part in (p for p in ast.walk(tree) if isinstance(p, ast.ClassDef)):
            for field in part.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    yield f"{name}:{part.name}.{field.target.id}", _types(field)
            for field in (p for method in part.body if not isinstance(method, ast.ClassDef) for p in ast.walk(method)):
                if isinstance(field, ast.Attribute) and isinstance(field.ctx, ast.Store) and _is_self(field.value):
                    yield f"{name}:{part.name}.{field.attr}", None
                elif isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Attribute):
                    yield f"{name}:{part.name}.{field.target.attr}", _types(field)


def _types(field: ast.AnnAssign) -> set[str]:
    return {n.id for n in ast.walk(field.annotation) if isinstance(n, ast.Name)}


def _is_self(part: ast.expr) -> bool:
    return isinstance(part, ast.Name) and part.id == "self"


def fields_with_secrets() -> set[str]:
    """Each field whose type holds a secret or names the place of one, or that is plain text and called like one.

    A field that a method sets (`self.NAME = …`) states no type there; its name decides.
    """
    return {
        field
        for field, types in _fields()
        if (types is not None and types & _SECRET_TYPES)
        or (types is None and _KEPT_LIKE_SECRETS.search(field.rpartition(".")[2]))
        or (types is not None and types & {"str", "bytes"} and _CALLED_LIKE_SECRETS.search(field.rpartition(".")[2]))
    }


def modules_with_ways_out() -> set[str]:
    """Each module that writes a file, prints, logs, starts a process or opens a connection by itself."""
    return {name for name, tree in modules() if leads_out(tree)}


def leads_out(tree: ast.Module) -> bool:
    """Whether this module does one of these things, by what it imports and what it calls."""
    parts = list(_running_parts(tree))
    imported = [pair for part in parts for pair in _imported(part)]
    origins = dict(imported)
    used = {_origin(part, origins) for part in parts if isinstance(part, ast.Attribute)}
    named = {origin for _, origin in imported} | used
    return (
        any(name == module or name.startswith(f"{module}.") for name in named for module in _OUTWARD_MODULES)
        or any(_OUTWARD_PARTS.match(name) for name in named)
        or any(isinstance(part, ast.Call) and _calls_out(part, origins) for part in parts)
    )


def _running_parts(part: ast.AST) -> Iterator[ast.AST]:
    """The parts of a syntax tree, without imports that only type checkers see."""
    yield part
    for child in ast.iter_child_nodes(part):
        if not (isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"):
            yield from _running_parts(child)


def _imported(part: ast.AST) -> Iterator[tuple[str, str]]:
    """The names that an import gives to the module, with what they stand for."""
    if isinstance(part, ast.Import):
        for one in part.names:
            # `import a.b` names `a`; that `a.b` is imported counts, too.
            yield one.asname or one.name, one.name
            if one.asname is None:
                yield one.name.partition(".")[0], one.name.partition(".")[0]
    elif isinstance(part, ast.ImportFrom) and part.module and not part.level:
        yield from ((one.asname or one.name, f"{part.module}.{one.name}") for one in part.names)


def _origin(part: ast.AST, origins: dict[str, str]) -> str:
    """The full name of what an expression such as `os.path.join` stands for; empty if it is nothing imported."""
    if isinstance(part, ast.Name):
        return origins.get(part.id, "")
    if isinstance(part, ast.Attribute):
        owner = _origin(part.value, origins)
        return f"{owner}.{part.attr}" if owner else ""
    return ""


def _calls_out(call: ast.Call, origins: dict[str, str]) -> bool:
    origin = _origin(call.func, origins)
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if called in _OUTWARD_CALLS:
        return True
    if called == "replace" and isinstance(call.func, ast.Attribute) and not origin:
        # Of a path. That of a text has two arguments, that of a moment has names for them.
        return len(call.args) == 1 and not call.keywords
    if called != "open":
        return False
    # The mode is the second argument of the function, and the first of a path's method; `open` of others may take any.
    function = isinstance(call.func, ast.Name) or origin in ("io.open", "codecs.open")
    modes = [k.value for k in call.keywords if k.arg == "mode"] + (call.args[1:2] if function else call.args[:1])
    texts = [m.value for m in modes if isinstance(m, ast.Constant) and isinstance(m.value, str)]
    return any(re.fullmatch("[rbt]*[wax+][rbt+]*", text) for text in texts) or (function and len(texts) < len(modes))
