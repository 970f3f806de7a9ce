"""Loads the library `keyring` and its back end, without handing a secret to the programs that this starts.

On Linux the library looks for macOS's frameworks with a C compiler and a linker, if there are any
(`findings/keyring-starts-a-compiler.sh`). They would inherit the environment, and every passphrase in a variable.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType

from installer.storage.child_environment import secret_variables
from installer.storage.secret_references import ENVIRONMENT_LOCK


@cache
def keyring_library() -> ModuleType:
    """The module `keyring`, its back end chosen. Loading it can take a while: call it in a thread with a deadline."""
    with _without_secrets_in_environment():
        import keyring

        keyring.get_keyring()
    return keyring


@contextmanager
def _without_secrets_in_environment() -> Iterator[None]:
    """No variable with a secret in this process's environment; who reads one waits for the end."""
    with ENVIRONMENT_LOCK:
        hidden = {name: os.environ[name] for name in secret_variables(os.environ)}
        for name in hidden:
            del os.environ[name]
        try:
            yield
        finally:
            os.environ.update(hidden)
