"""The environment of the programs that this one starts: without its secrets.

Every process of this user, and the system's crash reports, can read a process's environment as long as it runs. So a
browser, a command of the system and the lab get no variable that holds a secret of this program.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from installer import ENVIRONMENT_PREFIX
from installer.storage.named_in_files import variables_named_in_files
from installer.storage.secret_references import named_variables

# Of the libraries that this program uses.
_LIBRARY_SECRETS = frozenset({"PGPASSWORD"})

# What a child that runs long, and needs only Python and this program's folders, may keep.
_ALLOWED = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|PYTHONTZPATH|TMPDIR|TEMP|TMP|XDG_\w+_(HOME|DIR|DIRS)"
    r"|PYTHON(PATH|HOME|UTF8|HASHSEED|IOENCODING|NOUSERSITE|DONTWRITEBYTECODE|WARNINGS|MALLOC|FAULTHANDLER)"
    r"|VIRTUAL_ENV|COVERAGE_\w+|COV_CORE_\w+|LD_LIBRARY_PATH|DYLD_\w+|SSL_CERT_(FILE|DIR)"
    r"|SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|PATHEXT|USERPROFILE|APPDATA|LOCALAPPDATA|PROGRAMDATA"
    r"|WIN_PD_OVERRIDE_\w+"
    rf"|{ENVIRONMENT_PREFIX}(HOME|(CONFIG|DATA|STATE|RUNTIME)_DIR)",
    re.IGNORECASE,
)

# What a browser, a keyring or a command of the system needs besides, if it is not known which variables are secret.
_DESKTOP = re.compile(
    r"DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|BROWSER|DBUS_SESSION_BUS_ADDRESS|XDG_\w+|DESKTOP_SESSION|SHELL|TERM"
    r"|(GNOME|KDE|WSL|SNAP|GTK|QT)_\w+|PYTHON_KEYRING_BACKEND|(HTTPS?|ALL|NO)_PROXY|PROGRAMFILES.*|COMMONPROGRAMFILES.*",
    re.IGNORECASE,
)


def secret_variables(names: Iterable[str]) -> set[str]:
    """Those of these variables that may hold a secret of this program: by the name, or because a reference names it.

    The references are those of this run, and those in the settings and the saved networks. If such a file cannot be
    read, every variable may be named, but those that a desktop needs. A variable that every program needs, such as
    PATH, never holds one, whatever a file says. Of this program's own variables only the folders are no secret here,
    so that one that is added later is kept back too.
    """
    in_files = variables_named_in_files()
    named = named_variables() | (in_files or frozenset())

    def is_secret(name: str) -> bool:
        if _ALLOWED.fullmatch(name):
            return False
        if name.upper().startswith(ENVIRONMENT_PREFIX) or name in _LIBRARY_SECRETS or name in named:
            return True
        return in_files is None and not _DESKTOP.fullmatch(name)

    return {name for name in names if is_secret(name)}


def environment_without_secrets() -> dict[str, str]:
    """For a command of the system or a browser: everything but this program's secrets."""
    secret = secret_variables(os.environ)
    return {name: value for name, value in os.environ.items() if name not in secret}


def smallest_environment() -> dict[str, str]:
    """For a child of our own that runs on by itself: only what is known to be needed."""
    return {name: value for name, value in os.environ.items() if _ALLOWED.fullmatch(name)}
