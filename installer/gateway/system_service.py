"""The gateway as a service that starts by itself: systemd on Linux, launchd on macOS, a scheduled task on Windows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from installer.errors import ErrorCode, InstallerError
from installer.settings import ENV

NAME = "device-installer-gateway"
LABEL = "device-installer.gateway"
SECONDS = 30.0
# Restarted after a crash, but not again and again within seconds.
AGAIN_SECONDS = 10


@dataclass(frozen=True)
class Service:
    """A service's file. `commands`: what switches it on, one after the other; `note`: what the person should know."""

    path: Path
    text: str
    commands: tuple[tuple[str, ...], ...]
    note: str
    encoding: str = "utf-8"


def make(arguments: Sequence[str], platform: str = sys.platform, home: Path | None = None) -> Service:
    """The service for this user; `arguments` of `gateway run`. Raises USAGE for a system without any of the three."""
    home = home or Path.home()
    command = [*_program(), "gateway", "run", *arguments]
    environment = {name: value for name, value in sorted(os.environ.items()) if name in _KEPT}
    if platform == "darwin":
        return _launchd(command, environment, home)
    if platform == "win32":
        return _task(command, home)
    if platform.startswith("linux"):
        return _systemd(command, environment, home)
    raise InstallerError(
        ErrorCode.USAGE,
        f"This program knows no services of {platform}.",
        "Let the system start `device-installer gateway run` by itself in its own way.",
    )


def install(service: Service) -> None:
    """Write the file and switch the service on. Raises FILE_UNWRITABLE, USAGE (the system's command failed)."""
    try:
        service.path.parent.mkdir(parents=True, exist_ok=True)
        service.path.write_text(service.text, service.encoding)
    except OSError as error:
        raise InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"{service.path} cannot be written: {error.strerror}.",
            "Check the permissions, or put what `--print` shows there yourself.",
        ) from None
    for command in service.commands:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _failed(command, type(error).__name__) from None
        if done.returncode:
            raise _failed(command, (done.stderr or done.stdout).strip().splitlines()[-1:])


def _program() -> list[str]:
    # By its full path: a service has another PATH than a terminal.
    script = Path(sys.executable).with_name("device-installer" + (".exe" if sys.platform == "win32" else ""))
    return [str(script)] if script.exists() else [sys.executable, "-c", "from installer.cli.main import main; main()"]


# Where things are kept; never a secret.
_KEPT = {f"{ENV}{name}" for name in ("HOME", "CONFIG_DIR", "DATA_DIR", "STATE_DIR", "RUNTIME_DIR", "KEYRING")}


def _systemd(command: Sequence[str], environment: Mapping[str, str], home: Path) -> Service:
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "systemd" / "user"
    settings = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in environment.items())
    text = f"""\
# Written by `device-installer gateway install-service`.
[Unit]
Description=Collects the measurements of Bluetooth-only health devices
After=bluetooth.target

[Service]
ExecStart={" ".join(_quoted(part) for part in command)}
{settings}Restart=on-failure
RestartSec={AGAIN_SECONDS}
TimeoutStopSec=30
UMask=0077
NoNewPrivileges=true

[Install]
WantedBy=default.target
"""
    return Service(
        folder / f"{NAME}.service",
        text,
        (
            ("systemctl", "--user", "daemon-reload"),
            ("systemctl", "--user", "enable", f"{NAME}.service"),
            ("systemctl", "--user", "restart", f"{NAME}.service"),
        ),
        "It runs while you are signed in. To let it run from the start of the computer: loginctl enable-linger. "
        f"Its words: journalctl --user -u {NAME}.",
    )


def _quoted(text: str) -> str:
    # systemd.service(5): C-style escapes within quotes; % begins a specifier, $ a variable.
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != text or any(c.isspace() for c in text) else text


def _launchd(command: Sequence[str], environment: Mapping[str, str], home: Path) -> Service:
    arguments = "".join(f"        <string>{escape(part)}</string>\n" for part in command)
    variables = "".join(
        f"        <key>{escape(name)}</key>\n        <string>{escape(value)}</string>\n"
        for name, value in environment.items()
    )
    log = home / "Library" / "Logs" / f"{NAME}.log"
    text = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- Written by `device-installer gateway install-service`. -->
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>{LABEL}</string>
    <key>ProgramArguments</key>
    <array>
{arguments}    </array>
    <key>EnvironmentVariables</key>
    <dict>
{variables}    </dict>
    <key>RunAtLoad</key>
    <true/>
    <key>KeepAlive</key>
    <dict>
        <key>SuccessfulExit</key>
        <false/>
    </dict>
    <key>ThrottleInterval</key>
    <integer>{AGAIN_SECONDS}</integer>
    <key>StandardErrorPath</key>
    <string>{escape(str(log))}</string>
</dict>
</plist>
"""
    path = home / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    domain = f"gui/{os.getuid() if hasattr(os, 'getuid') else 501}"
    return Service(
        path,
        text,
        (("launchctl", "bootstrap", domain, str(path)), ("launchctl", "kickstart", "-k", f"{domain}/{LABEL}")),
        f"It runs while you are signed in. macOS asks once whether it may use Bluetooth. Its words: {log}.",
    )


def _task(command: Sequence[str], home: Path) -> Service:
    text = f"""\
<?xml version="1.0" encoding="UTF-16"?>
<!-- Written by `device-installer gateway install-service`. -->
<Task version="1.3" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Collects the measurements of Bluetooth-only health devices</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
    </LogonTrigger>
  </Triggers>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>999</Count>
    </RestartOnFailure>
  </Settings>
  <Actions>
    <Exec>
      <Command>{escape(command[0])}</Command>
      <Arguments>{escape(subprocess.list2cmdline(command[1:]))}</Arguments>
    </Exec>
  </Actions>
</Task>
"""
    local = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    path = local / "device-installer" / f"{NAME}.xml"
    return Service(
        path,
        text,
        (
            ("schtasks", "/Create", "/F", "/TN", NAME, "/XML", str(path)),
            ("schtasks", "/Run", "/TN", NAME),
        ),
        "It runs while you are signed in. The Task Scheduler shows it under this name.",
        "utf-16",
    )


def _failed(command: Sequence[str], why: object) -> InstallerError:
    reason = why[0] if isinstance(why, list) and why else why or "no reason given"
    return InstallerError(
        ErrorCode.USAGE,
        f"The service is written, but `{' '.join(command)}` failed: {reason}.",
        "Run that command by hand, or start `device-installer gateway run` in the system's own way.",
    )
