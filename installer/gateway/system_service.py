"""The gateway as a system service: a systemd unit on Linux, a launchd agent on macOS, a scheduled task on Windows."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from installer import settings
from installer.errors import ErrorCode, InstallerError
from installer.gateway import launchd_agent, scheduled_task, systemd_unit
from installer.gateway.service_environment import ServiceEnvironment, service_environment
from installer.gateway.service_text import check_command, check_text
from installer.storage.atomic_write import replace_file
from installer.storage.child_environment import environment_without_secrets
from installer.storage.private_files import write_private
from installer.storage.unusable_paths import advice, unwritable

SERVICE_NAME = "device-installer-gateway"
LAUNCHD_LABEL = "device-installer.gateway"
ENVIRONMENT_FILE = "gateway-service.env"
COMMAND_SECONDS = 30.0
# The wait before a restart after a crash.
RESTART_SECONDS = 10


@dataclass(frozen=True)
class SystemService:
    """The service's file. `commands`: run in this order to start it; `note`: a hint for the user.

    `stop_commands`: run before them, to end an older service; they fail if there is none. `environment_file`: variables
    that may contain a password, if this system can keep them apart; else `text` contains them. `shown`: `text` without
    them, if that is another one.
    """

    path: Path
    text: str = field(repr=False)
    commands: tuple[tuple[str, ...], ...]
    note: str
    encoding: str = "utf-8"
    stop_commands: tuple[tuple[str, ...], ...] = ()
    environment_file: Path | None = None
    environment_file_text: str = field(default="", repr=False)
    shown: str = ""


def make_service(arguments: Sequence[str], platform: str = sys.platform, home: Path | None = None) -> SystemService:
    """The service for this user; `arguments`: of `gateway run`.

    Raises USAGE for another operating system, and for a text that its file cannot hold.
    """
    home = home or Path.home()
    check_command(arguments)
    check_text(str(home), "The path of your home folder")
    for text in _program_command():
        check_text(text, "The path of this program")
    arguments = ["gateway", "run", *arguments]
    environment = service_environment(platform)
    if platform == "darwin":
        return _launchd(arguments, environment, home)
    if platform == "win32":
        return _scheduled_task(arguments, environment, home)
    if platform.startswith("linux"):
        return _systemd(arguments, environment, home)
    raise InstallerError(
        ErrorCode.USAGE,
        f"This program cannot create a service on {platform}.",
        "Let the system start `device-installer gateway run` in its own way.",
    )


def install_service(service: SystemService) -> None:
    """Write the files and start the service. Raises FILE_UNWRITABLE, USAGE (a command of the system failed)."""
    path = service.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(path, [service.text.encode(service.encoding)])
        if service.environment_file is not None:
            path = service.environment_file
            if service.environment_file_text:
                write_private(path, service.environment_file_text.encode())
            else:
                path.unlink(missing_ok=True)  # an older service may have left its secrets
    except OSError as error:
        todo = advice(error, elsewhere="write what `--print` shows there yourself.")
        raise unwritable(f"{path} cannot be written", path, error, todo) from None
    for command in service.stop_commands:
        _run(command)
    for command in service.commands:
        failure = _run(command)
        if failure:
            raise InstallerError(
                ErrorCode.USAGE,
                f"The service is written, but `{' '.join(command)}` failed: {failure}.",
                _NO_USER_MANAGER if "connect to bus" in failure else _BY_HAND,
            )


_BY_HAND = "Run that command yourself, or let the system start `device-installer gateway run` in its own way."
_NO_USER_MANAGER = (
    "systemd runs nothing for this user here. Sign in as this user itself (su and sudo are not enough), or allow it "
    "without: loginctl enable-linger, and set XDG_RUNTIME_DIR=/run/user/NUMBER. Then try again."
)


def _run(command: Sequence[str]) -> str:
    """Run a command of the system. Returns why it failed; empty if it did not."""
    try:
        done = subprocess.run(
            command,
            env=environment_without_secrets(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    if not done.returncode:
        return ""
    return ((done.stderr or done.stdout).strip().splitlines() or ["no reason given"])[-1].rstrip(".")


def _program_command() -> list[str]:
    # The full path, because a service has another PATH than a terminal.
    script = Path(sys.executable).with_name("device-installer" + (".exe" if sys.platform == "win32" else ""))
    code = "from installer.cli.main import main; main()"
    return [str(script)] if script.exists() else [sys.executable, "-P", "-c", code]


def _systemd(arguments: Sequence[str], environment: ServiceEnvironment, home: Path) -> SystemService:
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config").absolute() / "systemd" / "user"
    path, file = folder / f"{SERVICE_NAME}.service", settings.config_dir().absolute() / ENVIRONMENT_FILE
    secret = environment.secret
    text = systemd_unit.unit_text(
        [*_program_command(), *arguments], environment.plain, file if secret else None, RESTART_SECONDS
    )
    note = (
        "It runs while you are signed in. To start it with the computer: loginctl enable-linger. "
        f"Its log: journalctl --user -u {SERVICE_NAME}."
    )
    return SystemService(
        path,
        text,
        (
            ("systemctl", "--user", "daemon-reload"),
            # By its path: the folder may be one in which systemd itself does not look.
            ("systemctl", "--user", "enable", str(path)),
            ("systemctl", "--user", "restart", path.name),
        ),
        f"{note} {_names(secret)} may contain a password: it goes into {file}, which only you can read."
        if secret
        else note,
        environment_file=file,
        environment_file_text=systemd_unit.environment_file_text(secret) if secret else "",
    )


def _launchd(arguments: Sequence[str], environment: ServiceEnvironment, home: Path) -> SystemService:
    log = home / "Library" / "Logs" / f"{SERVICE_NAME}.log"
    path = home / "Library" / "LaunchAgents" / f"{LAUNCHD_LABEL}.plist"
    domain = f"gui/{os.getuid() if hasattr(os, 'getuid') else 501}"
    command, secret = [*_program_command(), *arguments], environment.secret

    def text(secrets: Mapping[str, str]) -> str:
        variables = {**environment.plain, **secrets}
        return launchd_agent.agent_text(LAUNCHD_LABEL, command, variables, log, RESTART_SECONDS)

    note = f"It runs while you are signed in. macOS asks once whether it may use Bluetooth. Its log: {log}."
    return SystemService(
        path,
        text(secret),
        (("launchctl", "bootstrap", domain, str(path)), ("launchctl", "kickstart", "-k", f"{domain}/{LAUNCHD_LABEL}")),
        f"{note} {_names(secret)} may contain a password: only you can read {path}." if secret else note,
        stop_commands=(("launchctl", "bootout", f"{domain}/{LAUNCHD_LABEL}"),),
        shown=text(dict.fromkeys(secret, "****")),
    )


def _scheduled_task(arguments: Sequence[str], environment: ServiceEnvironment, home: Path) -> SystemService:
    local = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    path = local / "device-installer" / f"{SERVICE_NAME}.xml"
    secret = environment.secret
    domain = os.environ.get("USERDOMAIN", "")
    user = f"{domain}\\{getpass.getuser()}" if domain else getpass.getuser()
    note = f"It runs while you are signed in. The Task Scheduler shows it as {SERVICE_NAME}."
    return SystemService(
        path,
        scheduled_task.task_text(_program_command(), arguments, sys.executable, environment.plain, user),
        (
            ("schtasks", "/Create", "/F", "/TN", SERVICE_NAME, "/XML", str(path)),
            ("schtasks", "/Run", "/TN", SERVICE_NAME),
        ),
        f"{note} {_names(secret)} may contain a password, so the task does not set it. Set it as a variable of your "
        "Windows account: the task gets those by itself."
        if secret
        else note,
        "utf-16",
        stop_commands=(("schtasks", "/End", "/TN", SERVICE_NAME),),
    )


def _names(variables: Iterable[str]) -> str:
    return " and ".join(variables)
