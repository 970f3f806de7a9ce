"""What a guest is made of. A change of anything here, or of what is hashed here, means another guest in the cache."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
HERE = Path(__file__).parent
JUDGES = CHECKOUT / "tests/judges.lock"

PACKAGES = (
    "bluez",
    "busybox-static",
    "dbus",
    "hostapd",
    "iproute2",
    "iw",
    "kmod",
    "linux-image-amd64",
    "network-manager",
    "procps",
    "python3",
    "python3-venv",
    "rfkill",
    "tmux",
    "udev",
    "wpasupplicant",
)


@dataclass(frozen=True)
class Guest:
    """One kind of guest: a Debian release and the Python that it has. It is built in three parts, each kept."""

    name: str
    suite: str
    python: str

    @property
    def root(self) -> Path:
        """The folder with its Debian."""
        made_of = (self.suite, *PACKAGES, _source("root_file_system.py"))
        return cache_folder() / f"{self.name}-root-{_digest(*made_of)}"

    @property
    def packages(self) -> Path:
        """The folder with the pinned Python packages."""
        locks = (file.read_text("utf-8") for file in (CHECKOUT / "requirements.lock", JUDGES))
        made_of = (self.python, _source("site_packages.py"), *locks)
        return cache_folder() / f"python{self.python}-packages-{_digest(*made_of)}"

    @property
    def image(self) -> Path:
        """The folder with what QEMU boots."""
        own = (_source(name) for name in ("disk_image.py", "init.sh", "initrd_init.sh"))
        return cache_folder() / f"{self.name}-image-{_digest(self.root.name, self.packages.name, *own)}"


GUESTS = {
    guest.name: guest
    for guest in (
        Guest("debian13", "trixie", "3.13"),  # BlueZ 5.82
        Guest("debian12", "bookworm", "3.11"),  # BlueZ 5.66, which many desks still have
    )
}


def cache_folder() -> Path:
    """`GUEST_CACHE`, or a folder in the user's cache."""
    chosen = os.environ.get("GUEST_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "device-installer-guest"


def _source(name: str) -> str:
    return (HERE / name).read_text("utf-8")


def _digest(*made_of: str) -> str:
    """Twelve characters that change when anything changes that a part is made of."""
    return hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:12]
