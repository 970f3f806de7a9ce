"""The virtual machines under QEMU, by number. Each is booted, or one that was kept is used again."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.guest.checkout import packed_checkout
from tests.guest.disk_image import DISK, INITIAL, KERNEL
from tests.guest.ingredients import Guest, cache_folder

MEMORY_MB = 1536
# Software emulation: it works everywhere, also inside other virtual machines, where KVM may hang.
QEMU = ("qemu-system-x86_64", "-M", "q35,accel=tcg", "-cpu", "max", "-smp", "2", "-nodefaults", "-no-reboot")
KERNEL_LINE = "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off no5lvl"
END_SECONDS = 60


class Machine:
    """A machine of this kind. `exchange` is the folder that the guest has as /exchange (see init.sh).

    `number`: of those that run side by side on this computer. All of them have `shared_folder()` as /shared.
    """

    def __init__(self, guest: Guest, number: int = 1) -> None:
        self.guest = guest
        self.number = number
        self.exchange = cache_folder() / f"machine-{number}"
        self._lock = functools.partial(_lock, f"machine-{number}")
        self._image = guest.image

    def ensure(self) -> None:
        """Boot it, unless one of this image was kept and still runs."""
        with self._lock() as free:
            if not free and self._is_of_image() and not self._is_busy():
                return
        self.stop()
        self._prepare()
        with self._lock() as free:
            assert free, "another program has just started a guest"
            log = (self.exchange / "console.log").open("wb")
            # QEMU inherits the lock, and so holds it for as long as it lives.
            machine = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(free,),
                start_new_session=True,
            )
            (self.exchange / "pid").write_text(str(machine.pid), "utf-8")

    def shell(self) -> int:
        """Boot it with a shell on this terminal; it powers off when the shell ends."""
        self.stop()
        self._prepare()
        (self.exchange / "shell").touch()
        packed_checkout(self.exchange / "checkout.tar", self.guest)
        with self._lock() as free:
            assert free, "another program has just started a guest"
            return subprocess.run(self._command(), pass_fds=(free,)).returncode

    @property
    def running(self) -> bool:
        with self._lock() as free:
            return not free

    def stop(self) -> None:
        """Tell the one that runs, if any, to power off, and wait for that."""
        if not self.running:
            return
        (self.exchange / "stop").touch()
        deadline = time.monotonic() + END_SECONDS
        while self.running and not self._is_busy() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.kill()

    def kill(self) -> None:
        """End it without asking it; nothing on its disk is worth anything."""
        with contextlib.suppress(OSError, ValueError):
            if self.running:
                os.kill(int((self.exchange / "pid").read_text("utf-8")), signal.SIGKILL)
        deadline = time.monotonic() + END_SECONDS
        while self.running:
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"A guest still runs, and cannot be ended. What it printed: {self.exchange}/console.log"
                )
            time.sleep(0.1)

    def _is_busy(self) -> bool:
        """Whether it still has a job. Whoever asks has the lock for jobs, so it is one that was broken off."""
        return any((self.exchange / "jobs").glob("*"))

    def _is_of_image(self) -> bool:
        with contextlib.suppress(OSError):
            return (self.exchange / "image").read_text("utf-8") == self._image.name
        return False

    def _prepare(self) -> None:
        shutil.rmtree(self.exchange, ignore_errors=True)
        (self.exchange / "jobs").mkdir(parents=True)
        shared_folder().mkdir(exist_ok=True)
        (self.exchange / "image").write_text(self._image.name, "utf-8")

    def _command(self) -> list[str]:
        return [
            *QEMU,
            *("-m", str(MEMORY_MB), "-display", "none", "-serial", "stdio"),
            *("-kernel", str(self._image / KERNEL), "-initrd", str(self._image / INITIAL), "-append", KERNEL_LINE),
            *("-drive", f"file={self._image / DISK},if=virtio,format=raw,snapshot=on"),
            *("-virtfs", f"local,path={self.exchange},mount_tag=exchange,security_model=none"),
            *("-virtfs", f"local,path={shared_folder()},mount_tag=shared,security_model=none"),
            *("-device", "virtio-rng-pci"),
        ]


def shared_folder() -> Path:
    """The folder that all guests of this computer have in common."""
    return cache_folder() / "machines-shared"


@contextlib.contextmanager
def one_job_at_a_time() -> Iterator[None]:
    """Wait until no other program on this computer builds a guest or runs tests in it."""
    with _lock("job") as free:
        if free:
            yield
            return
    print("Another program uses the guest on this computer. This one waits for it.", flush=True)
    with _lock("job", wait=True):
        yield


@contextlib.contextmanager
def _lock(name: str, *, wait: bool = False) -> Iterator[int | None]:
    """The descriptor of a lock of this user on this computer; None if somebody else has it."""
    path = Path(tempfile.gettempdir()) / f"device-installer-guest-{os.getuid()}-{name}.lock"
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield None
        else:
            yield lock.fileno()
