"""The lab's control API, JSON over HTTP under `/lab/`: press a button, drop a link, switch a network off, and more."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from installer.lab.cloud.app import cloud_routes
from installer.lab.device import LabDevice
from installer.lab.scenario import parse_faults
from installer.lab.world import World


def routes(world: World, stop: Callable[[], None]) -> list[BaseRoute]:
    """All routes under `/lab/`. An invalid request gets HTTP 400 or 404 with `{"error": …}`."""

    async def get_state(_request: Request) -> Response:
        return JSONResponse(world.describe())

    async def device_action(request: Request) -> Response:
        device = world.devices.get(request.path_params["address"].upper())
        if device is None:
            return _error(404, "there is no such device in the lab")
        action = request.path_params["action"]
        actions: dict[str, Callable[[LabDevice], Any]] = {
            "press": lambda device: device.press(),
            "drop": lambda device: device.drop(),
            "reset": lambda device: device.factory_reset(),
            "forget_bonds": lambda device: device.forget_bonds(),
        }
        if action == "faults":
            try:
                device.set_faults(parse_faults((await _body(request)).get("faults")))
            except ValueError as error:
                return _error(400, str(error))
        elif action == "vendor_app":
            try:
                device.vendor_app((await _body(request)).get("network"))
            except ValueError as error:
                return _error(400, str(error))
        elif action == "enter":
            try:
                digits = (await _body(request)).get("digits")
                if not isinstance(digits, str):
                    raise ValueError("digits is a text of six digits")
                device.bonding.enter(digits)
            except ValueError as error:
                return _error(400, str(error))
        elif action == "measure":
            try:
                user = (await _body(request)).get("user")
                if not (user is None or (isinstance(user, int) and not isinstance(user, bool))):
                    raise ValueError("user is a number")
                device.measure(user)
            except ValueError as error:
                return _error(400, str(error))
        elif action in actions:
            actions[action](device)
        else:
            return _error(404, f"no such action; there are {', '.join(actions)}, measure, enter, faults, vendor_app")
        return JSONResponse(device.describe())

    async def get_measurements(request: Request) -> Response:
        device = world.devices.get(request.path_params["address"].upper())
        if device is None:
            return _error(404, "there is no such device in the lab")
        return JSONResponse([one.describe() for one in device.measurements.history])

    async def set_network(request: Request) -> Response:
        ssid = request.path_params["ssid"]
        try:
            up = (await _body(request)).get("up")
        except ValueError as error:
            return _error(400, str(error))
        if not isinstance(up, bool):
            return _error(400, 'the body is {"up": true} or {"up": false}')
        if ssid not in world.wifi.networks:
            return _error(404, "there is no such network in the lab")
        world.set_network(ssid, up)
        return JSONResponse(world.wifi.networks[ssid].describe())

    async def unplug(_request: Request) -> Response:
        world.hci_server.unplug()
        return JSONResponse({})

    async def reset_lab(_request: Request) -> Response:
        world.reset()
        return JSONResponse({})

    async def stop_lab(_request: Request) -> Response:
        stop()
        return JSONResponse({})

    return [
        Route("/lab/state", get_state, methods=["GET"]),
        Route("/lab/devices/{address}/measurements", get_measurements, methods=["GET"]),
        Route("/lab/devices/{address}/{action}", device_action, methods=["POST"]),
        Route("/lab/networks/{ssid:path}", set_network, methods=["POST"]),
        Route("/lab/hosts/unplug", unplug, methods=["POST"]),
        Route("/lab/reset", reset_lab, methods=["POST"]),
        Route("/lab/stop", stop_lab, methods=["POST"]),
        *cloud_routes(world.store),
    ]


async def _body(request: Request) -> dict[str, Any]:
    try:
        data = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON") from None
    if not isinstance(data, dict):
        raise ValueError("the body is not a JSON object")
    return data


def _error(status: int, words: str) -> JSONResponse:
    return JSONResponse({"error": words}, status)
