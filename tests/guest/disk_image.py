"""Builds what QEMU boots: a kernel, a small initial file system, and a disk with Debian and the pinned packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.guest import root_file_system, site_packages
from tests.guest.ingredients import HERE, Guest

KERNEL = "vmlinuz"
INITIAL = "initrd.gz"
DISK = "disk.img"
# What the initial file system loads to reach the disk, and the host's folder.
MODULES = ("virtio_pci", "virtio_blk", "ext4", "9pnet_virtio", "9p", "virtio_rng")
UNUSED_DAYS = 14

# The command as an installation has it, and the checkout as if it were installed.
COMMAND = """#!/usr/bin/python3
import sys

from installer.cli.main import main

sys.exit(main())
"""
# `person` is a user of the computer without any rights of its own.
USERS = "useradd --create-home --shell /bin/bash person"
# What some packages warn of is not ours to mend.
COMPILE = "PYTHONWARNINGS=ignore python3 -m compileall -q -j 0 /usr/lib/python3 /usr/local/lib || true"


def ensure(guest: Guest) -> Path:
    """The folder with what QEMU boots; each part is built if it is not in the cache."""
    if not guest.image.exists():
        print(f"Building the guest {guest.name} in {guest.image.parent}; this takes some minutes, once.", flush=True)
        began = time.monotonic()
        for part, build in (
            (guest.root, lambda target: root_file_system.build(guest.suite, target)),
            (guest.packages, lambda target: site_packages.install(guest.python, target)),
            (guest.image, lambda target: _build(guest, target)),
        ):
            if not part.exists():
                _make(part, build)
                print(f"{part.name}: ready after {time.monotonic() - began:.0f} s.", flush=True)
        _remove_unused(guest.image.parent)
    for part in (guest.root, guest.packages, guest.image):
        os.utime(part)
    return guest.image


def _make(part: Path, build: Callable[[Path], None]) -> None:
    """Build one part beside its place, so that a build which was broken off is never used."""
    unfinished = part.with_name(part.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    build(unfinished)
    unfinished.rename(part)


def _build(guest: Guest, made: Path) -> None:
    root = made / "root"
    packages = root / f"usr/local/lib/python{guest.python}/dist-packages"
    made.mkdir()
    subprocess.run(["cp", "-a", "--reflink=auto", guest.root, root], check=True)
    subprocess.run(["cp", "-a", "--reflink=auto", f"{guest.packages}/.", packages], check=True)
    (packages / "checkout.pth").write_text("/checkout\n", "utf-8")
    _prepare(root)
    shutil.copy(next(root.glob("boot/vmlinuz-*")), made / KERNEL)
    _write_initial(root, made)
    _write_disk(root, made / DISK)
    shutil.rmtree(root)


def _prepare(root: Path) -> None:
    shutil.copy(HERE / "init.sh", root / "init")
    command = root / "usr/bin/device-installer"
    command.write_text(COMMAND, "utf-8")
    for program in (root / "init", command):
        program.chmod(0o755)
    for folder in ("checkout", "exchange", "shared"):
        (root / folder).mkdir()
    (root / "etc/hosts").write_text("127.0.0.1 localhost guest\n::1 localhost\n", "utf-8")
    (root / "etc/hostname").write_text("guest\n", "utf-8")
    (root / "etc/machine-id").write_text("6775657374" * 3 + "67\n", "utf-8")
    for command_line in (USERS, COMPILE):
        subprocess.run(["chroot", root, "sh", "-c", command_line], check=True, stdout=subprocess.DEVNULL)


def _write_initial(root: Path, made: Path) -> None:
    """A busybox, and the modules in the order in which they are loaded."""
    initial = made / "initial"
    for folder in ("bin", "modules", "proc", "sys", "dev", "root"):
        (initial / folder).mkdir(parents=True)
    shutil.copy(root / "bin/busybox", initial / "bin/busybox")
    shutil.copy(HERE / "initrd_init.sh", initial / "init")
    (initial / "init").chmod(0o755)
    version = next(root.glob("lib/modules/*")).name
    needed: dict[str, None] = {}
    for module in MODULES:
        listed = subprocess.run(
            ["modprobe", "-d", root, "-S", version, "--show-depends", module],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        needed.update(dict.fromkeys(line.split()[1] for line in listed.splitlines() if line.startswith("insmod")))
    for file in needed:
        shutil.copy(file, initial / "modules")
    (initial / "modules/order").write_text("".join(f"{Path(file).name}\n" for file in needed), "utf-8")
    packed = f"cd {initial} && find . | cpio --quiet -o -H newc | gzip -1 > {made / INITIAL}"
    subprocess.run(["sh", "-c", packed], check=True)
    shutil.rmtree(initial)


def _write_disk(root: Path, disk: Path) -> None:
    used = int(subprocess.run(["du", "-sm", root], check=True, capture_output=True, text=True).stdout.split()[0])
    options = ["-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", str(root)]
    subprocess.run(["mke2fs", *options, str(disk), f"{used * 5 // 4 + 500}M"], check=True)


def _remove_unused(cache: Path) -> None:
    """Remove the parts that nobody has used for a while."""
    for part in cache.iterdir():
        if part.stat().st_mtime < time.time() - UNUSED_DAYS * 86400:
            shutil.rmtree(part, ignore_errors=True)
