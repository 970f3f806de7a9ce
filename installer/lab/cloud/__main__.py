"""`python -m installer.lab.cloud --port 0` runs the lab's cloud alone, without radio and devices."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import sys

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from installer.cloud.guarded_web_server import GuardedProtocol
from installer.lab.cloud.app import build_app, cloud_routes
from installer.lab.cloud.scenario import CloudScenario
from installer.lab.cloud.store import CloudStore
from installer.lab.guard import LabGuard
from installer.storage import PRIVATE_UMASK

# A few devices to link, so that the cloud can be used without the radio.
DEVICES = (
    ("00:24:E4:00:00:01", 5, "Body+", "Scale"),
    ("00:24:E4:00:00:02", 63, "Aura Sensor V2", "Sleep Monitor"),
    ("00:24:E4:00:00:03", 90, "Move", "Activity Tracker"),
)


async def serve(port: int, mode: str) -> None:
    """Run until a signal. The first line of standard output is the base URL."""
    store = CloudStore(CloudScenario.model_validate({"mode": mode}))
    for mac, model_id, model, kind in DEVICES:
        store.add_device(mac, model_id=model_id, model=model, type=kind)
        store.record_contact(mac)

    async def state(_request: Request) -> Response:
        return JSONResponse({"devices": [], "networks": [], "hosts": 0, "cloud": store.describe()})

    app = build_app(store, [Route("/lab/state", state), *cloud_routes(store)])
    # It has no state file, and so no token; other users and web pages are refused all the same.
    guarded = LabGuard(app, "", lambda words: print(words, file=sys.stderr))  # noqa: T201
    server = uvicorn.Server(
        uvicorn.Config(
            guarded, http=GuardedProtocol, log_level="warning", access_log=False, timeout_graceful_shutdown=1
        )
    )
    # asyncio switches Nagle's delay (40 ms an answer) off only where the socket names its protocol.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve(sockets=[listener])


def main() -> None:
    """Parse the command line and serve."""
    os.umask(PRIVATE_UMASK)
    parser = argparse.ArgumentParser(prog="python -m installer.lab.cloud", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--mode", choices=("contract", "public"), default="contract")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port, options.mode))


if __name__ == "__main__":
    main()
