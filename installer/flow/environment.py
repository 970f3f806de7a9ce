"""What one installation uses: catalogue, adapter, accounts, ledger, gateway, options.

`installer.flow.run_resources` creates it; tests create it from their own parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from installer.catalogue.catalogue_file import Catalogue
from installer.flow.run_options import Options
from installer.ledger.records import Context
from installer.provisioning.required_security import SeenDevice

if TYPE_CHECKING:
    from installer.bluetooth.adapter import Adapter
    from installer.bluetooth.shared_radio import SharedRadio
    from installer.cloud.accounts import Accounts
    from installer.gateway.files_and_lock import GatewayFiles
    from installer.ledger.records import Records
    from installer.notifications.callback_setup import NotificationSetup
    from installer.settings import ConsentSettings


class DeviceClaims:
    """Which device of an account belongs to which installation of a run.

    Without claims, two installations of the same model that watch one account could take the same new device.
    """

    def __init__(self, *, shared: bool = False) -> None:
        """`shared`: several installations use these claims.

        `known_devices`: by account, what was in it when the first installation looked.
        """
        self.shared = shared
        self.known_devices: dict[str, frozenset[str]] = {}
        self._owners: dict[str, str] = {}

    def of_others(self, installation: str) -> frozenset[str]:
        """The cloud's ids of the devices that other installations have claimed."""
        return frozenset(device for device, owner in self._owners.items() if owner != installation)

    def claim(self, device_id: str, installation: str) -> None:
        """Claim this device for `installation`. An earlier claim stays."""
        self._owners.setdefault(device_id, installation)


@dataclass
class Environment:
    """What one installation uses. The `open_` functions create expensive parts when they are first needed."""

    catalogue: Catalogue
    open_adapter: Callable[[], Awaitable[Adapter]]
    open_accounts: Callable[[], Awaitable[Accounts]]
    records: Records
    context: Context = field(default_factory=Context)
    cloud_name: str = "the cloud"
    # Signs in the lab's user at the authorize URL without a person.
    sign_in_lab_user: Callable[[str], Awaitable[None]] | None = None
    # The notification settings of this computer; None: notifications are not offered.
    open_notifications: Callable[[], NotificationSetup] | None = None
    # Several installations on one adapter share its scan; without it, each installation opens its own adapter.
    radio: SharedRadio | None = None
    claims: DeviceClaims = field(default_factory=lambda: DeviceClaims())
    # What each address showed when it was connected; a batch shares it, so that a second try of a row knows the first.
    seen_devices: dict[str, SeenDevice] = field(default_factory=dict)
    # Held during a sign-in, so that one sign-in serves all installations that run at the same time.
    sign_in: asyncio.Lock | None = None
    # The paths of this computer's gateway; they are set even if no gateway exists.
    gateway: GatewayFiles | None = None
    # By a device's address: the consent of its user, from the settings of this computer.
    consents: Mapping[str, ConsentSettings] = field(default_factory=dict)
    options: Options = field(default_factory=Options)
