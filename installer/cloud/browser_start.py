"""Starts the browser of this computer, as a child without this program's secrets in its environment."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from installer.storage.child_environment import environment_without_secrets

START_SECONDS = 1.0
# Python's own module knows the browsers of each system; it starts them with the environment of its process.
_OPEN = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"


def open_browser(address: str) -> bool:
    """Open the address. Returns within a second; False if no browser seems to open.

    The address stands in the browser's command line, which every user of this computer can read.
    """
    if not _has_display():
        return False
    failed = threading.Event()
    ended = threading.Event()

    def run() -> None:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", _OPEN, address],
                env=environment_without_secrets(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                check=False,
            )
        except OSError:
            failed.set()
        else:
            if done.returncode:
                failed.set()
        finally:
            ended.set()

    # A browser may run on in this child; nobody waits for its end.
    threading.Thread(target=run, name="device-installer browser", daemon=True).start()
    ended.wait(START_SECONDS)
    return not failed.is_set()


def _has_display() -> bool:
    """Whether a browser can open a window. Without a display, a text browser would take over this terminal."""
    if os.name != "posix" or sys.platform == "darwin":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
