"""Variables that make a library write down what it sees: they are ignored, because this program handles secrets.

Textual would write each key of a typed passphrase to a file, Bumble and bleak the bytes that go to a device, Python the
keys of every TLS connection. So these variables are taken out of the environment before a library reads them, and out
of that of every process that this one starts. A test looks for more of them in the libraries.

A developer who wants them sets DEVICE_INSTALLER_SECRETS_MAY_BE_WRITTEN=1, and uses no real secret then.
"""

from __future__ import annotations

import os
import sys

from installer import ENVIRONMENT_PREFIX, output

ALLOW = f"{ENVIRONMENT_PREFIX}SECRETS_MAY_BE_WRITTEN"
# The variable, the library that reads it, and what it would write.
DEBUGGING_VARIABLES = (
    ("TEXTUAL", "Textual", "its events, with each key, to whoever listens on the port of its console"),
    ("TEXTUAL_LOG", "Textual", "its events, with each key, to a file"),
    ("TEXTUAL_DEBUG", "Textual", "each key to the file keys.log"),
    ("TEXTUAL_DEVTOOLS_HOST", "Textual", "its events to another computer"),
    ("TEXTUAL_DEVTOOLS_PORT", "Textual", "its events to another program"),
    ("TEXTUAL_SCREENSHOT", "Textual", "a picture of the screen, also while a secret is shown"),
    ("TEXTUAL_SCREENSHOT_LOCATION", "Textual", "the picture of the screen to this folder"),
    ("TEXTUAL_SCREENSHOT_FILENAME", "Textual", "the picture of the screen to this file"),
    ("TEXTUAL_SHOW_RETURN", "Textual", "the answers of the wizard to the terminal"),
    ("TEXTUAL_DRIVER", "Textual", "what a class of any other package makes of each key"),
    ("BLEAK_LOGGING", "bleak", "all bytes to and from a device to standard error"),
    ("BUMBLE_LOGLEVEL", "Bumble", "all bytes to and from a device to standard error"),
    ("BUMBLE_SNOOPER", "Bumble", "all bytes to and from a device to a file"),
    ("PYUSB_DEBUG", "PyUSB", "what goes through a USB adapter to standard error"),
    ("PYUSB_LOG_FILENAME", "PyUSB", "what goes through a USB adapter to a file"),
    ("LIBUSB_DEBUG", "libusb", "what it does with a USB adapter to standard error"),
    ("BLUETOOTH_SIG_ENABLE_PARSE_TRACE", "bluetooth-sig", "measurements"),
    ("SSLKEYLOGFILE", "Python and OpenSSL", "the keys of TLS connections to a file"),
    ("PYTHONASYNCIODEBUG", "Python", "the arguments of functions that are called late to standard error"),
    ("KRB5_TRACE", "the PostgreSQL library's Kerberos", "how it signs in to a file"),
    ("COMERR_DEBUG", "the PostgreSQL library's Kerberos", "its errors"),
    ("COMERR_DEBUG_FILE", "the PostgreSQL library's Kerberos", "its errors to a file"),
)

# Those that were set when the program started, for the wizard's notice.
ignored: list[str] = []


def secrets_may_be_written() -> bool:
    """Whether a developer has allowed it."""
    return os.environ.get(ALLOW) == "1"


def ignore_debugging_variables() -> None:
    """Take them out of the environment, and say so in one line."""
    if secrets_may_be_written():
        output.print_message(f"{ALLOW} is set: libraries may write secrets down. Use no real ones.")
        return
    ignored[:] = [name for name, _, _ in DEBUGGING_VARIABLES if os.environ.pop(name, "")]
    if ignored:
        output.print_message(notice())


def notice() -> str:
    """What is ignored, and why, in one line; empty if there is nothing."""
    if not ignored:
        return ""
    verb, pronoun = ("is", "It") if len(ignored) == 1 else ("are", "They")
    return f"{' and '.join(ignored)} {verb} ignored. {pronoun} would write secrets down."


def silence_libraries() -> None:
    """No library prints its log, whoever set its level: httpx's lines hold addresses with secrets, asyncio's any value.

    Where nobody sets a log up, Python prints its warnings and errors to standard error; this is switched off.
    """
    import logging

    if secrets_may_be_written():
        return
    logging.lastResort = logging.NullHandler(logging.CRITICAL)
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).disabled = True


def silence_warnings() -> None:
    """No warning of a library to its developers reaches a person, nor an exception that nobody can catch.

    For the whole process. Who starts Python with `-W` or PYTHONWARNINGS wants to see them.
    """
    import warnings

    if sys.warnoptions or secrets_may_be_written():
        return
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _: None
