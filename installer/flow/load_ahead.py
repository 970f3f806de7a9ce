"""Loads libraries while something else is waited for: the radio, a device that joins its network.

Only libraries that import nothing of this program: two threads that import the same modules in another order could each
see the other's half done.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from importlib import import_module


def load_ahead(*libraries: str) -> None:
    """Begin to import these in a thread, unless they are there. Never raises: who needs one imports it anyway."""
    missing = [name for name in libraries if name not in sys.modules]

    def load() -> None:
        for name in missing:
            with suppress(ImportError):
                import_module(name)

    if missing:
        threading.Thread(target=load, name="imports", daemon=True).start()
