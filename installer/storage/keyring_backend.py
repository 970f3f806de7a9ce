"""Loads the library `keyring` and its back end, without a program that this would start.

The library imports all its back ends, on every system. That of macOS asks ctypes for macOS's frameworks, and on Linux
ctypes asks a C compiler and a linker for them (`findings/keyring-starts-a-compiler.sh`). These would inherit the
environment, with every passphrase in a variable, and take their time.
"""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType

# The only module that asks for the frameworks. Its back end does without it and says that it needs macOS.
_ASKS_FOR_FRAMEWORKS = "keyring.backends.macOS.api"


@cache
def keyring_library() -> ModuleType:
    """The module `keyring`, its back end chosen. Loading it can take a while: call it in a thread with a deadline."""
    if sys.platform != "darwin":
        # None: an import of this module fails at once.
        sys.modules.setdefault(_ASKS_FOR_FRAMEWORKS, None)  # type: ignore[arg-type]
    import keyring

    keyring.get_keyring()
    return keyring
