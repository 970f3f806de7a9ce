"""The sync rule: which sync methods a model has, and why it lacks one. Nothing else decides this."""

from __future__ import annotations

from installer.catalogue.model import Model, SyncMethod
from installer.errors import ErrorCode, InstallerError


def check_sync(model: Model, method: SyncMethod) -> None:
    """The sync rule: raise SYNC_WIFI_ONLY or SYNC_BLUETOOTH_ONLY if `model` lacks `method`."""
    if model.allows(method):
        return
    other = next(m for m in SyncMethod if m is not method)
    code = ErrorCode.SYNC_WIFI_ONLY if method is SyncMethod.BLUETOOTH else ErrorCode.SYNC_BLUETOOTH_ONLY
    raise InstallerError(
        code,
        f"{model.name} cannot be set up with sync method “{method}”: {model.missing[method]}",
        f"Choose sync method “{other}”.",
        model=model.id,
        sync=method.value,
    )
