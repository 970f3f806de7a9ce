"""Secret references: where a passphrase or client secret is stored, and how to read it.

A file of answers or settings names a secret and never holds one:
`{ keyring = "clinic" }`, `{ env = "WIFI_PASSPHRASE" }`, `{ file = "secret.txt" }`; `file = "-"`
is standard input; `{ host = true }` is the passphrase that this computer uses for that network.

Only a reference whose origin is trusted is read (`installer/storage/reference_origin.py`). A file that somebody else
named, or that an earlier run recorded, is read when it is judged, and never again: the reference holds what was in it.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, PrivateAttr, SecretStr, model_validator

from installer.errors import ErrorCode, InstallerError
from installer.storage.reference_origin import COMMAND_LINE, Named
from installer.text import capitalized, looks_like_code, printable, printable_name
from installer.text.written_by_people import STDIN, UnreadableText, read_secret, without_mark_and_line_break

KEYRING_SERVICE = "device-installer"
MAX_SECRET_BYTES = 4096
NOT_REPEATED = "(its name is not repeated: it may be the secret itself)"

# Behind the host is a path or a query.
_ADDRESS_WITH_MORE = re.compile(r"https?://[^/?#]*[/?#]+[^/?#\s]", re.IGNORECASE)

_named_variables: set[str] = set()


def named_variables() -> frozenset[str]:
    """The environment variables that a reference of this run has named. No child of this process gets them."""
    return frozenset(_named_variables)


class SecretRef(Named):
    """Where a secret is. Exactly one of the four is given.

    `host`: the passphrase of the network that this computer is on, from the system itself; only the network step asks
    for it (`installer/wifi/network_manager.py`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    keyring: str | None = None
    env: str | None = None
    file: str | None = None
    host: Literal[True] | None = None
    _held: SecretStr | InstallerError | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _exactly_one(self) -> SecretRef:
        if sum(v is not None for v in (self.keyring, self.env, self.file, self.host)) != 1:
            raise ValueError("name exactly one of keyring, env, file, host")
        if self.env is not None:
            _named_variables.add(self.env)
        return self

    @property
    def names_a_place(self) -> bool:
        """Whether a record may keep it. Not so if the name of the variable or file may be the secret itself."""
        if self.env is not None:
            return self.env in os.environ or _name_of_variable(self.env) == self.env
        return self.file in (None, "-") or _exists(self.file or "") or _name_of_file(self.file or "") == self.file

    @property
    def place(self) -> str:
        """The place in words. A name that may be the secret itself is not in it."""
        if self.host:
            return "the passphrase that this computer uses for the network"
        if self.env is not None:
            return f"the variable {_name_of_variable(self.env)}"
        if self.keyring is not None:
            return f"the keyring's entry “{printable_name(self.keyring)}”"
        return "standard input" if self.file == STDIN else f"the file {printable(_name_of_file(self.file or ''), 200)}"

    @property
    def is_shown(self) -> bool:
        """Whether its name is repeated in messages: it looks like the name of a variable or file."""
        return NOT_REPEATED not in self.place

    def holding(self, held: SecretStr | InstallerError) -> SecretRef:
        """A copy that holds what was at its place when it was judged: the secret, or why it could not be read."""
        copy = self.model_copy()
        copy._held = held
        return copy

    def check_leave(self, what: str = "passphrase") -> None:
        """Raise REFERENCE_REFUSED unless somebody named it who may name secrets of this computer."""
        origin = self.origin
        own_and_new = origin is not None and origin.trusted and not origin.recorded
        from_file = self.file not in (None, STDIN)
        # A file may have been replaced since it was judged, so only what was read then counts.
        if self.may_be_used and (own_and_new or not from_file or self._held is not None):
            return
        source = self.origin.source if self.origin is not None else "A source that is not known"
        raise InstallerError(
            ErrorCode.REFERENCE_REFUSED,
            f"{capitalized(source)} names {self.place} as the {what}, and nobody gave leave to read it.",
            "Give the secret on the command line, or allow what the file names with --allow-references.",
        )

    def fetch(self, what: str = "passphrase") -> SecretStr:
        """Read the secret. Raises SECRET_UNAVAILABLE, without the secret, and REFERENCE_REFUSED.

        A byte order mark at its start and one line break at its end are taken off; blanks stay.
        """
        self.check_leave(what)
        if isinstance(self._held, InstallerError):
            raise self._held
        if self._held is not None:
            return self._held
        if self.host:
            raise _unavailable(what, "host = true gives the passphrase of a Wi-Fi network only")
        if self.env is not None:
            variable = os.environ.get(self.env)
            if variable is None:
                raise _unavailable(what, f"the environment variable {_name_of_variable(self.env)} is not set")
            value = without_mark_and_line_break(variable)
        elif self.file is not None:
            value = _from_file(self.file, what)
        else:
            value = without_mark_and_line_break(_from_keyring(self.keyring or "", what))
        if len(value.encode("utf-8", "surrogatepass")) > MAX_SECRET_BYTES:
            raise _unavailable(what, f"it is longer than {MAX_SECRET_BYTES} bytes")
        return SecretStr(value)

    async def fetch_within(self, seconds: float, what: str = "passphrase") -> SecretStr:
        """As `fetch`, in a thread; SECRET_UNAVAILABLE too if it takes longer. A person who types has all the time."""
        from installer.timing.deadlines import call_with_deadline

        deadline = None if self.file == STDIN and _stdin_is_terminal() else seconds
        try:
            return await call_with_deadline(lambda: self.fetch(what), deadline)
        except TimeoutError:
            todo = "Check the program that writes it." if self.file is not None else "Unlock the keyring."
            raise _unavailable(what, f"{self.place} did not give it within {seconds:g} s", todo) from None


def network_entry(name: str) -> str:
    """The entry of the keyring with the passphrase of the network saved under this name."""
    return f"network:{name}"


def unreadable_file(what: str, place: str, why: str, todo: str = "") -> InstallerError:
    """SECRET_UNAVAILABLE for a file. `place`: in words; `why` completes them."""
    return _unavailable(what, f"{place} {why}", todo)


def parse_reference(text: str) -> SecretRef | str:
    """The reference of an option: `@FILE`, `env:VARIABLE`, or `-` (standard input). Any other text is the value."""
    if text == "-":
        return on_command_line(file="-")
    if text.startswith("@"):
        return on_command_line(file=text.removeprefix("@"))
    if text.startswith("env:"):
        return on_command_line(env=text.removeprefix("env:"))
    return text


def parse_address(option: str, text: str) -> SecretRef | str:
    """As `parse_reference`, for a receiver's address. Raises USAGE for one whose secret is plain in the arguments."""
    given = parse_reference(text)
    if isinstance(given, str) and "{path}" not in given and _ADDRESS_WITH_MORE.match(given.strip()):
        raise InstallerError(
            ErrorCode.USAGE,
            f"{option} was given a whole address. Every user of this computer can read the arguments of a command, and "
            "its path is the secret by which the receiver knows the cloud.",
            "Write {path} for the secret path, as https://HOST/{path}; or give the address as @FILE, env:VARIABLE "
            "or - (standard input).",
        )
    return given


def on_command_line(
    *, keyring: str | None = None, env: str | None = None, file: str | None = None, host: Literal[True] | None = None
) -> SecretRef:
    """The reference that an option of the command line names."""
    return SecretRef(keyring=keyring, env=env, file=file, host=host).named_by(COMMAND_LINE)


def _from_file(name: str, what: str) -> str:
    if name == STDIN and _stdin_is_terminal():
        return _typed(what)
    try:
        return read_secret(name, MAX_SECRET_BYTES)
    except UnreadableText as error:
        place = "standard input" if name == STDIN else f"the file {_name_of_file(name)}"
        raise _unavailable(what, f"{place} {error.why}", error.todo) from None


def _stdin_is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _typed(what: str) -> str:
    """Ask for it: on a terminal, a plain read would show what is typed, and not say what to type."""
    from installer.storage.hidden_prompt import ask_hidden

    with suppress(EOFError):
        if typed := ask_hidden(f"{capitalized(what)} (hidden): "):
            return without_mark_and_line_break(typed)
    raise _unavailable(what, "nothing was typed", "Type it, or name a file or a variable.")


def _exists(name: str) -> bool:
    try:
        return Path(name).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return False


def _name_of_variable(name: str) -> str:
    """The name for an error; hidden if it does not look like one, because it may be the secret itself."""
    return name if re.fullmatch(r"[A-Z_][A-Z0-9_]*", name) else NOT_REPEATED


def _name_of_file(name: str) -> str:
    """The name for an error; hidden if nothing in it shows a path, because it may be the secret itself."""
    is_path = re.search(r"[/\\]|\.\w{1,5}$", name) is not None
    return name if is_path and not looks_like_code(name) else NOT_REPEATED


def _from_keyring(name: str, what: str) -> str:
    from keyring.errors import KeyringError

    from installer.storage.keyring_backend import keyring_library

    try:
        value: str | None = keyring_library().get_password(KEYRING_SERVICE, network_entry(name))
    except KeyringError as error:
        raise _unavailable(what, f"the keyring of this system does not answer ({type(error).__name__})") from None
    if value is None:
        raise _unavailable(what, f"the keyring has no entry “{printable_name(name)}”")
    return value


def _unavailable(what: str, why: str, todo: str = "") -> InstallerError:
    other = "name another source: a file (- is standard input), an environment variable, or the keyring."
    return InstallerError(
        ErrorCode.SECRET_UNAVAILABLE,
        f"The {what} cannot be read: {why}.",
        f"{todo} Or {other}" if todo else capitalized(other),
    )
