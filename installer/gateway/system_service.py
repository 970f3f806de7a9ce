"""The gateway as a system service: a systemd unit on Linux, a launchd agent on macOS, a scheduled task on Windows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from installer import ENVIRONMENT_PREFIX
from installer.errors import ErrorCode, InstallerError

SERVICE_NAME = "device-installer-gateway"
LAUNCHD_LABEL = "device-installer.gateway"
COMMAND_SECONDS = 30.0
# The wait before a restart after a crash.
RESTART_SECONDS = 10


@dataclass(frozen=True)
class SystemService:
    """The service's file. `commands`: run in this order to start it; `note`: a hint for the user."""

    path: Path
    text: str
    commands: tuple[tuple[str, ...], ...]
    note: str
    encoding: str = "utf-8"


def make_service(arguments: Sequence[str], platform: str = sys.platform, home: Path | None = None) -> SystemService:
    """The service for this user; `arguments`: of `gateway run`. Raises USAGE for another operating system."""
    home = home or Path.home()
    command = [*_program_command(), "gateway", "run", *arguments]
    environment = {name: value for name, value in sorted(os.environ.items()) if name in _SERVICE_ENVIRONMENT}
    if platform == "darwin":
        return _launchd(command, environment, home)
    if platform == "win32":
        return _scheduled_task(command, home)
    if platform.startswith("linux"):
        return _systemd(command, environment, home)
    raise InstallerError(
        ErrorCode.USAGE,
        f"This program cannot create a service on {platform}.",
        "Let the system start `device-installer gateway run` in its own way.",
    )


def install_service(service: SystemService) -> None:
    """Write the file and start the service. Raises FILE_UNWRITABLE, USAGE (a command of the system failed)."""
    try:
        service.path.parent.mkdir(parents=True, exist_ok=True)
        service.path.write_text(service.text, service.encoding)
    except OSError as error:
        raise InstallerError(
            ErrorCode.FILE_UNWRITABLE,
            f"{service.path} cannot be written: {error.strerror}.",
            "Check the permissions, or write what `--print` shows there yourself.",
        ) from None
    for command in service.commands:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=COMMAND_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _command_failed(command, type(error).__name__) from None
        if done.returncode:
            raise _command_failed(command, (done.stderr or done.stdout).strip().splitlines()[-1:])


def _program_command() -> list[str]:
    # The full path, because a service has another PATH than a terminal.
    script = Path(sys.executable).with_name("device-installer" + (".exe" if sys.platform == "win32" else ""))
    return [str(script)] if script.exists() else [sys.executable, "-c", "from installer.cli.main import main; main()"]


# Which folders the program uses; never a secret.
_SERVICE_ENVIRONMENT = {
    f"{ENVIRONMENT_PREFIX}{name}" for name in ("HOME", "CONFIG_DIR", "DATA_DIR", "STATE_DIR", "RUNTIME_DIR", "KEYRING")
}


def _systemd(command: Sequence[str], environment: Mapping[str, str], home: Path) -> SystemService:
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
RestartSec={RESTART_SECONDS}
TimeoutStopSec=30
UMask=0077
NoNewPrivileges=true

[Install]
WantedBy=default.target
"""
    return SystemService(
        folder / f"{SERVICE_NAME}.service",
        text,
        (
            ("systemctl", "--user", "daemon-reload"),
            ("systemctl", "--user", "enable", f"{SERVICE_NAME}.service"),
            ("systemctl", "--user", "restart", f"{SERVICE_NAME}.service"),
        ),
        "It runs while you are signed in. To start it with the computer: loginctl enable-linger. "
        f"Its log: journalctl --user -u {SERVICE_NAME}.",
    )


def _quoted(text: str) -> str:
    # systemd.service(5): C-style escapes in quotes; % starts a specifier, $ a variable.
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != text or any(c.isspace() for c in text) else text


def _launchd(command: Sequence[str], environment: Mapping[str, str], home: Path) -> SystemService:
    arguments = "".join(f"        <string>{escape(part)}</string>\n" for part in command)
    variables = "".join(
        f"        <key>{escape(name)}</key>\n        <string>{escape(value)}</string>\n"
        for name, value in environment.items()
    )
    log = home / "Library" / "Logs" / f"{SERVICE_NAME}.log"
    text = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- Written by `device-installer gateway install-service`. -->
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>{LAUNCHD_LABEL}</string>
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
    <integer>{RESTART_SECONDS}</integer>
    <key>StandardErrorPath</key>
    <string>{escape(str(log))}</string>
</dict>
</plist>
"""
    path = home / "Library" / "LaunchAgents" / f"{LAUNCHD_LABEL}.plist"
    domain = f"gui/{os.getuid() if hasattr(os, 'getuid') else 501}"
    return SystemService(
        path,
        text,
        (("launchctl", "bootstrap", domain, str(path)), ("launchctl", "kickstart", "-k", f"{domain}/{LAUNCHD_LABEL}")),
        f"It runs while you are signed in. macOS asks once whether it may use Bluetooth. Its log: {log}.",
    )


def _scheduled_task(command: Sequence[str], home: Path) -> SystemService:
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
    path = local / "device-installer" / f"{SERVICE_NAME}.xml"
    return SystemService(
        path,
        text,
        (
            ("schtasks", "/Create", "/F", "/TN", SERVICE_NAME, "/XML", str(path)),
            ("schtasks", "/Run", "/TN", SERVICE_NAME),
        ),
        f"It runs while you are signed in. The Task Scheduler shows it as {SERVICE_NAME}.",
        "utf-16",
    )


def _command_failed(command: Sequence[str], reason: object) -> InstallerError:
    shown = reason[0] if isinstance(reason, list) and reason else reason or "no reason given"
    return InstallerError(
        ErrorCode.USAGE,
        f"The service is written, but `{' '.join(command)}` failed: {shown}.",
        "Run that command yourself, or let the system start `device-installer gateway run` in its own way.",
    )
