"""The control API: press a button, end a link, take a network away; JSON over HTTP under `/lab/`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from installer.lab.cloud.control_api import cloud_routes
from installer.lab.device import LabDevice
from installer.lab.scenario import parse_faults
from installer.lab.world import World


def routes(world: World, stop: Callable[[], None]) -> list[BaseRoute]:
    """All routes under `/lab/`. A mistake in a request is HTTP 400 or 404 with `{"error": …}`."""

    async def state(_request: Request) -> Response:
        return JSONResponse(world.describe())

    async def act(request: Request) -> Response:
        device = world.devices.get(request.path_params["address"].upper())
        if device is None:
            return _mistake(404, "there is no such device in the lab")
        action = request.path_params["action"]
        actions: dict[str, Callable[[LabDevice], Any]] = {
            "press": LabDevice.press,
            "drop": LabDevice.drop,
            "reset": LabDevice.factory_reset,
        }
        if action == "faults":
            try:
                device.set_faults(parse_faults((await _body(request)).get("faults")))
            except ValueError as error:
                return _mistake(400, str(error))
        elif action == "vendor_app":
            try:
                device.vendor_app((await _body(request)).get("network"))
            except ValueError as error:
                return _mistake(400, str(error))
        elif action == "measure":
            try:
                user = (await _body(request)).get("user")
                if not (user is None or (isinstance(user, int) and not isinstance(user, bool))):
                    raise ValueError("user is a number")
                device.measure(user)
            except ValueError as error:
                return _mistake(400, str(error))
        elif action in actions:
            actions[action](device)
        else:
            return _mistake(404, f"no such action; there are {', '.join(actions)}, measure, faults, vendor_app")
        return JSONResponse(device.describe())

    async def measurements(request: Request) -> Response:
        device = world.devices.get(request.path_params["address"].upper())
        if device is None:
            return _mistake(404, "there is no such device in the lab")
        return JSONResponse([one.describe() for one in device.measuring.history])

    async def network(request: Request) -> Response:
        ssid = request.path_params["ssid"]
        try:
            up = (await _body(request)).get("up")
        except ValueError as error:
            return _mistake(400, str(error))
        if not isinstance(up, bool):
            return _mistake(400, 'the body is {"up": true} or {"up": false}')
        if ssid not in world.airspace.networks:
            return _mistake(404, "there is no such network in the lab")
        world.set_network(ssid, up)
        return JSONResponse(world.airspace.networks[ssid].describe())

    async def unplug(_request: Request) -> Response:
        world.doorway.unplug()
        return JSONResponse({})

    async def reset(_request: Request) -> Response:
        world.reset()
        return JSONResponse({})

    async def end(_request: Request) -> Response:
        stop()
        return JSONResponse({})

    return [
        Route("/lab/state", state, methods=["GET"]),
        Route("/lab/devices/{address}/measurements", measurements, methods=["GET"]),
        Route("/lab/devices/{address}/{action}", act, methods=["POST"]),
        Route("/lab/networks/{ssid:path}", network, methods=["POST"]),
        Route("/lab/hosts/unplug", unplug, methods=["POST"]),
        Route("/lab/reset", reset, methods=["POST"]),
        Route("/lab/stop", end, methods=["POST"]),
        *cloud_routes(world.store),
    ]


async def _body(request: Request) -> dict[str, Any]:
    try:
        data = json.loads(await request.body() or b"{}")
    except ValueError:
        raise ValueError("the body is not JSON") from None
    if not isinstance(data, dict):
        raise ValueError("the body is not a JSON object")
    return data


def _mistake(status: int, words: str) -> JSONResponse:
    return JSONResponse({"error": words}, status)
