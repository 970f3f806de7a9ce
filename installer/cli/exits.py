"""The command `exits`: prints the table of exit statuses."""

from __future__ import annotations

import json as jsonlib

from installer import output
from installer.cli.options import Json
from installer.errors import ErrorCode


def exits(json: Json = False) -> None:
    """List the exit statuses: number, code, meaning, what to do."""
    if json:
        for code in ErrorCode:
            row = {"exit_status": code.exit_status, "code": code.value, "meaning": code.meaning, "todo": code.todo}
            output.print_result(jsonlib.dumps(row))
        return
    rows = [output.Row(("0", "ok", "done"))]
    rows += [output.Row((str(code.exit_status), code.value, code.meaning), (code.todo,)) for code in ErrorCode]
    for line in output.table_lines(("STATUS", "CODE", "MEANING"), rows):
        output.print_result(line)
