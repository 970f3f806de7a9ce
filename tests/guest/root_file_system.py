"""Builds the guest's Debian with mmdebstrap, from the mirrors that this computer itself uses."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.guest.ingredients import PACKAGES

# What no test needs: documents, and drivers of hardware that the guest does not have.
LEFT_OUT = (
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    *(
        f"{root}/modules/*/kernel/{part}/*"
        for root in ("/lib", "/usr/lib")
        for part in (
            "drivers/gpu",
            "drivers/hid",
            "drivers/iio",
            "drivers/infiniband",
            "drivers/media",
            "drivers/net/ethernet",
            "drivers/scsi",
            "drivers/staging",
            "drivers/usb",
            "sound",
        )
    ),
)


def build(suite: str, target: Path) -> None:
    """Make the root file system of this Debian release in the folder `target`."""
    # In a mount namespace of its own: nothing that it mounts is left behind if it is ended.
    command = [
        "unshare",
        "--mount",
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
    ]
    command += ['--aptopt=Acquire::Languages "none"']
    command += [f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT]
    command += [suite, str(target), *mirror_lines(suite)]
    # The guest has an initial file system of its own; making Debian's takes a minute.
    subprocess.run(command, check=True, env={**os.environ, "INITRD": "No"}, stdin=subprocess.DEVNULL)


def mirror_lines(suite: str) -> list[str]:
    """This computer's own lines for Debian, with the release exchanged; none (mmdebstrap's own default) elsewhere."""
    own = _own_release()
    if own is None:
        return []
    lines = []
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for line in dict.fromkeys(listed.splitlines()):
        address, release, component = line.split()
        if release.partition("-")[0] == own and component == "main" and "backports" not in release:
            lines.append(f"deb {address} {release.replace(own, suite, 1)} main")
    return lines


def _own_release() -> str | None:
    """The code name of the Debian that runs here; None if it is another system."""
    try:
        text = Path("/etc/os-release").read_text("utf-8")
    except OSError:
        return None
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if values.get("ID", "").strip('"') != "debian":
        return None
    return values.get("VERSION_CODENAME", "").strip('"') or None
