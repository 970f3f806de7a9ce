"""The gateway's systemd unit, quoted by systemd's rules (systemd.syntax(7), systemd.service(5), systemd.exec(5)).

Each kind of line has rules of its own:

- `ExecStart=`: quotes with C escapes; `%` starts a specifier; `$` starts a variable, but not in the program's path.
  That path must not contain a quote or a backslash, however it is written.
- `Environment=`: quotes with C escapes and specifiers, too; `$` means nothing.
- `EnvironmentFile=`: the path is a pattern (glob) with specifiers, and without quotes. In the file itself, `"`, `\\`,
  `$` and a backquote are escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from installer.gateway.service_text import check_command, check_text, check_variables

# systemd refuses a program whose path has a quote or a backslash. So the shell starts it.
_BY_SHELL = ("/bin/sh", "-c", 'exec "$0" "$@"')
_NOT_IN_A_PROGRAM_PATH = frozenset("\"'\\$")


def unit_text(
    command: Sequence[str], environment: Mapping[str, str], environment_file: Path | None, restart_seconds: int
) -> str:
    """The unit. `command`: the full path of the program, and its arguments.

    It has all limits that the manager of a user can set, and that leave Bluetooth (BlueZ, a USB adapter), the keyring
    and the network alone. Not `ProtectSystem=` and its like: they need user namespaces, which some systems refuse to
    users, and then nothing would start. Not `MemoryDenyWriteExecute=`: the library for USB adapters needs it.

    Raises USAGE, as `check_text`.
    """
    check_command(command)
    check_variables(environment)
    check_text(str(environment_file or ""), "The path of the settings")
    lines = [f"Environment={_quoted(f'{name}={value}')}\n" for name, value in environment.items()]
    if environment_file is not None:
        lines.append(f"EnvironmentFile={_pattern_of(environment_file)}\n")
    return f"""\
# Written by `device-installer gateway install-service`.
[Unit]
Description=Collects the measurements of Bluetooth-only health devices
After=bluetooth.target

[Service]
ExecStart={_command_line(command)}
{"".join(lines)}Restart=on-failure
RestartSec={restart_seconds}
TimeoutStopSec=30
UMask=0077
LimitCORE=0
NoNewPrivileges=true
LockPersonality=true
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_BLUETOOTH
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=default.target
"""


def environment_file_text(environment: Mapping[str, str]) -> str:
    """The content of an `EnvironmentFile=`. Raises USAGE, as `check_text`."""
    check_variables(environment)
    lines = []
    for name, value in environment.items():
        escaped = "".join(f"\\{character}" if character in '"\\$`' else character for character in value)
        lines.append(f'{name}="{escaped}"\n')
    return "# Written by `device-installer gateway install-service`.\n" + "".join(lines)


def _pattern_of(path: Path) -> str:
    escaped = "".join(f"\\{character}" if character in "\\*?[" else character for character in str(path))
    return escaped.replace("%", "%%")


def _command_line(command: Sequence[str]) -> str:
    if _NOT_IN_A_PROGRAM_PATH & set(command[0]):
        command = [*_BY_SHELL, *command]
    program, *arguments = command
    return " ".join([_quoted(program), *(_quoted(argument.replace("$", "$$")) for argument in arguments)])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if not escaped or set(escaped) & _QUOTE_FOR else escaped


# Blanks, quotes, and what starts a comment or another command.
_QUOTE_FOR = frozenset(" \t\"'\\;#")
