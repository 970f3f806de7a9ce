"""The gateway's task for the Windows Task Scheduler.

The trigger names the user: one that starts at everybody's sign-in may be registered by administrators only.

A task has no environment of its own, and the Task Scheduler replaces `%NAME%` in a command and its arguments. So, where
there is something to set or a `%` to keep, Python itself sets the variables and starts the program: its code stands in
the arguments, and every character that Windows could understand in another way is escaped there.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from installer.errors import ErrorCode, InstallerError
from installer.gateway.service_text import check_command, check_text, check_variables

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.,:/=@+ ")


def task_text(
    program: Sequence[str], arguments: Sequence[str], python: str, environment: Mapping[str, str], user: str
) -> str:
    """The task's XML. `program`: how it is started; `python`: its interpreter; `user`: `DOMAIN\\NAME`.

    Raises USAGE for a path with a %, and as `check_text`.
    """
    check_command([*program, *arguments])
    check_variables(environment)
    check_text(python, "The path of Python")
    check_text(user, "Your user name")
    command = [*program, *arguments]
    if environment or any("%" in part for part in command[1:]):
        command = [python, "-P", "-c", _python_code(arguments, environment)]
    if "%" in command[0]:
        raise InstallerError(
            ErrorCode.USAGE,
            f"The path of this program, {command[0]}, contains a %. The Task Scheduler would replace parts of it.",
            "Install the program in a folder without % in its name.",
        )
    return f"""\
<?xml version="1.0" encoding="UTF-16"?>
<!-- Written by `device-installer gateway install-service`. -->
<Task version="1.3" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Collects the measurements of Bluetooth-only health devices</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>{escape(user)}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{escape(user)}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
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
  <Actions Context="Author">
    <Exec>
      <Command>{escape(command[0])}</Command>
      <Arguments>{escape(subprocess.list2cmdline(command[1:]))}</Arguments>
    </Exec>
  </Actions>
</Task>
"""


def _python_code(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    variables = ",".join(f"{_literal(name)}:{_literal(value)}" for name, value in environment.items())
    words = ",".join(_literal(word) for word in ("device-installer", *arguments))
    return (
        f"import os,sys; os.environ.update({{{variables}}}); sys.argv=[{words}]; "
        "from installer.cli.main import main; main()"
    )


def _literal(text: str) -> str:
    """A Python literal of the text, in plain ASCII, without quotes, backslashes before a quote, or %."""
    return "'" + "".join(c if c in _SAFE else f"\\U{ord(c):08x}" for c in text) + "'"
