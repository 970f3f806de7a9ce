"""`POST /lab/cloud`: change how the lab's cloud behaves while it runs."""

from __future__ import annotations

import json

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from installer.lab.cloud.scenario import CloudControl
from installer.lab.cloud.store import CloudStore


def cloud_routes(store: CloudStore) -> list[Route]:
    """The route of the control API that belongs to the cloud."""

    async def cloud(request: Request) -> Response:
        """Answer with the new state, or HTTP 400 and what is wrong with the body."""
        try:
            change = CloudControl.model_validate(json.loads(await request.body() or b"{}"))
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False, include_context=False)
            wrong = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in found)
            return JSONResponse({"error": wrong}, 400)
        except ValueError:
            return JSONResponse({"error": "the body is not JSON"}, 400)
        store.control(change)
        return JSONResponse(store.describe())

    return [Route("/lab/cloud", cloud, methods=["POST"])]
