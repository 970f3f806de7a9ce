"""Every secret of the program, every way out of it, and where in the code each of them is.

`test_secret_matrix.py` compares this table with the code. A new field that holds a secret, or a new module that writes,
starts a process or prints, has no place here yet: say which secret or which way out it is, and let a run use it.
"""

from __future__ import annotations

import ast
import enum
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
    RECEIVER_PATH = "receiver-path"  # each run takes it from the receiver's file
    WEBHOOK_ADDRESS = "webhook-path-of-the-matrix"
    WEBHOOK_KEY = "webhook-key-of-the-matrix"
    LAB_USER = "lab-user"  # password and control token of the lab; each run takes them from its state file
    BOND_KEYS = "bond-keys"


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


# Field or class attribute that holds a secret or names its place: `module:Class.field`.
FIELDS: dict[Secret, set[str]] = {}

# Modules that write, print, start a process or talk to another computer, by the way out.
MODULES: dict[WayOut, set[str]] = {}

# A secret may be here on purpose.
ON_PURPOSE: dict[tuple[Secret, WayOut], str] = {}

# What no run can show, and why it is not so.
NOT_POSSIBLE: dict[tuple[Secret, WayOut], str] = {}

_SECRET_TYPES = {"SecretStr", "SecretRef", "Secret"}
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


def fields_with_secrets() -> set[str]:
    """Each annotated field of a class whose type holds a secret or names the place of one."""
    found = set()
    for name, tree in modules():
        for part in ast.walk(tree):
            if not isinstance(part, ast.ClassDef):
                continue
            for field in part.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    types = {n.id for n in ast.walk(field.annotation) if isinstance(n, ast.Name)}
                    if types & _SECRET_TYPES:
                        found.add(f"{name}:{part.name}.{field.target.id}")
    return found


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
