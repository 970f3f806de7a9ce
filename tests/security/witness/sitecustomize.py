"""Python loads this module at the start of each process of a test run: it writes down what leaves the process.

One folder for each process below `WITNESS_FOLDER`:

- `children`: the arguments and the environment of every process that is started, and the addresses that a browser gets;
- `hosts`: what a socket connects to;
- `files`: the path of every file that is opened for writing or renamed;
- `removed/N PATH`: the content of every file before it is removed or replaced, and so of every temporary file;
- `log`: what any library writes to a log, from the level INFO on;
- `core`: at the end, the largest core file that the system would write, in bytes, and on Linux whether other programs
  of this user may read the memory of the process (0: no); then the words of the command.
"""

# Not pathlib: it would cause events of its own, and it loads slowly.
# ruff: noqa: PTH103, PTH118

from __future__ import annotations

import atexit
import itertools
import json
import logging
import os
import resource
import sys
from typing import Any

MAX_BYTES = 8_000_000
LONGEST_NAME = 150
PR_GET_DUMPABLE = 3  # linux/prctl.h


class Witness:
    """Writes with the system's own calls, which cause no further events."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.join(folder, str(os.getpid()))
        os.makedirs(os.path.join(self.folder, "removed"), exist_ok=True)
        self.busy = False
        self.numbers = itertools.count(1)

    def write(self, name: str, value: Any) -> None:
        line = json.dumps(value, default=repr, ensure_ascii=False).encode("utf-8", "surrogateescape")
        descriptor = os.open(os.path.join(self.folder, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(descriptor, line + b"\n")
        os.close(descriptor)

    def keep(self, path: Any) -> None:
        """Copy a file that is about to disappear."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except (OSError, TypeError, ValueError):
            return
        try:
            content = os.read(descriptor, MAX_BYTES)
        except OSError:
            return
        finally:
            os.close(descriptor)
        place = os.fsdecode(path).replace("/", "%")[-LONGEST_NAME:]
        target = os.path.join(self.folder, "removed", f"{next(self.numbers)} {place}")
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(descriptor, content)
        os.close(descriptor)

    def event(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name in ("subprocess.Popen", "os.posix_spawn", "os.exec"):
            executable, words, environment = arguments[0], arguments[1], arguments[-1]
            self.write(
                "children", [name, executable, list(words), dict(os.environ if environment is None else environment)]
            )
        elif name in ("os.system", "webbrowser.open"):
            self.write("children", [name, *arguments])
        elif name == "socket.connect":
            self.write("hosts", arguments[1])
        elif name == "open":
            path, mode, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) if isinstance(flags, int) else 0
            if writes or (isinstance(mode, str) and set(mode) & set("wax+")):
                self.write("files", path)
        elif name == "os.rename":
            self.write("files", arguments[1])
            self.keep(arguments[1])
        elif name == "os.remove":
            self.keep(arguments[0])

    def __call__(self, name: str, arguments: tuple[Any, ...]) -> None:
        if self.busy:
            return
        self.busy = True
        try:
            self.event(name, arguments)
        finally:
            self.busy = False


def core() -> tuple[int, int, list[str]]:
    """What the system would let out of the memory of this process; and what process it is."""
    readable = 0
    if sys.platform.startswith("linux"):
        import ctypes

        readable = ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)
    return resource.getrlimit(resource.RLIMIT_CORE)[0], readable, sys.argv[1:]


if os.environ.get("WITNESS_FOLDER"):
    witness = Witness(os.environ["WITNESS_FOLDER"])
    sys.addaudithook(witness)
    handler = logging.FileHandler(os.path.join(witness.folder, "log"), delay=True)
    handler.setLevel(logging.INFO)
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger("witness").info("The witness reads every log.")
    atexit.register(lambda: witness.write("core", core()))
