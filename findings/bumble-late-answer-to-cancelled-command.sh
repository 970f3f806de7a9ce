#!/usr/bin/env bash
# Bumble 0.0.236: the answer to a cancelled HCI command raises InvalidStateError in the event loop.
#
# Expected: a coroutine that waits for an HCI command can be cancelled like any other; the controller's answer, which
#   comes a moment later, is dropped.
# Seen: if the task is cancelled while the answer is already on its way, Host.on_command_processed sets the result of
#   the future that the cancellation has ended. asyncio.InvalidStateError goes to the loop's exception handler: a
#   traceback on standard error, from a callback that no caller can catch. Cancelled one turn of the loop earlier or
#   later, nothing is raised.
# What it means: a program that ends its event loop (asyncio.run cancels what is left) while a Bumble host sends
#   commands prints tracebacks, now and then. Let the running command end first: Device.power_off(), then stop the loop.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -qq --disable-pip-version-check bumble==0.0.236
cat > "$folder/finding.py" <<'PY'
import asyncio
import logging

from bumble.controller import Controller
from bumble.hci import HCI_Read_BD_ADDR_Command
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink

logging.disable(logging.CRITICAL)


async def cancelled_after(turns):
    """The exceptions that the loop is told of when a command is cancelled after so many turns of the loop."""
    raised = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context.get("exception")))
    controller = Controller("controller")
    host = Host(controller, AsyncPipeSink(controller))
    await host.reset()
    command = asyncio.create_task(host.send_command(HCI_Read_BD_ADDR_Command()))
    for _ in range(turns):
        await asyncio.sleep(0)
    command.cancel()
    await asyncio.gather(command, return_exceptions=True)
    await asyncio.sleep(0.05)
    return [type(error).__name__ for error in raised]


seen = {turns: asyncio.run(cancelled_after(turns)) for turns in range(6)}
for turns, raised in seen.items():
    print(f"cancelled after {turns} turns of the loop: {', '.join(raised) or 'nothing raised'}")
raise SystemExit(0 if ["InvalidStateError"] in seen.values() and [] in seen.values() else 1)
PY
"$folder/venv/bin/python" "$folder/finding.py"
