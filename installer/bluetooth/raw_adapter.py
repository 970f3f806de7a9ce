"""A raw HCI controller as an adapter: this process drives it with Bumble's host stack."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from installer.bluetooth import system_errors
from installer.bluetooth.adapter import RAW_HCI_PREFIX, Adapter, AdvertCallback, DisconnectedCallback
from installer.bluetooth.pairing import PairingEnd, pairing_failed
from installer.errors import InstallerError
from installer.text import printable

if TYPE_CHECKING:
    from installer.bluetooth.hci.host import HciHost
    from installer.bluetooth.hci.kept_keys import KeyFile

IN_USE = "another program uses it (a gateway, perhaps), and a raw controller serves one program at a time"


class RawAdapter(Adapter):
    """A controller that this process drives over HCI."""

    def __init__(self, name: str, host: HciHost) -> None:
        super().__init__(name)
        self._host = host

    @property
    def failure(self) -> InstallerError | None:
        """Set when the transport has ended: the dongle was unplugged, or the lab stopped."""
        return system_errors.adapter_failed(self.name, "it was disconnected") if self._host.lost.is_set() else None

    def add_failure_listener(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when the transport ends."""
        self._host.add_lost_listener(callback)
        return functools.partial(self._host.remove_lost_listener, callback)

    def scanner(self, callback: AdvertCallback) -> BleakScanner:
        """A scanner over HCI."""
        from installer.bluetooth.hci.scanner import HciScanner

        return BleakScanner(callback, backend=HciScanner, host=self._host)

    def client(
        self, ble_device: BLEDevice, disconnected_callback: DisconnectedCallback | None, timeout: float, **kwargs: Any
    ) -> BleakClient:
        """A client over HCI."""
        from installer.bluetooth.hci.client import HciClient

        return BleakClient(
            ble_device, disconnected_callback, timeout=timeout, backend=HciClient, host=self._host, **kwargs
        )

    async def pair(self, client: BleakClient, device: BLEDevice) -> None:
        """Pair as Bumble does, and keep the keys."""
        try:
            await client.pair(dialog=self.pairing_dialog)
        except (BleakError, InstallerError) as error:
            if self.failure is not None:
                raise self.failure from None
            if isinstance(error, InstallerError):
                raise
            raise pairing_failed(device.address.upper(), device.name or "", PairingEnd.DEVICE_HUNG_UP) from None

    async def forget_bond(self, address: str) -> None:
        """Erase the keys from the file."""
        await self._host.keys.forget({address.upper()})

    async def is_bonded(self, device: BLEDevice) -> bool:
        """Whether the keys of the device are kept."""
        from installer.bluetooth.hci.scanner import peer_address

        return self._host.keys.bond_of(peer_address(device)) is not None

    async def close(self) -> None:
        """End all links and release the controller."""
        await super().close()
        await self._host.close()


async def open_raw(spec: str, key_file: KeyFile | None) -> Adapter:
    """Open the controller `spec`, such as `hci:usb:0`. Raises BLUETOOTH_DENIED, ADAPTER_FAILED, SECRET_UNAVAILABLE."""
    transport = spec.removeprefix(RAW_HCI_PREFIX)
    kind, _, target = transport.partition(":")
    if not kind or (not target and kind not in ("pty", "vhci", "hci-socket", "android-emulator", "android-netsim")):
        raise system_errors.adapter_failed(spec, "it must look like hci:usb:0 or hci:tcp-client:HOST:PORT")
    from installer.bluetooth.hci.host import HciHost

    try:
        host = await HciHost.open(transport, key_file=key_file)
    except InstallerError:
        raise
    except PermissionError:
        raise system_errors.bluetooth_denied() from None
    except TimeoutError:
        raise system_errors.adapter_failed(spec, "nothing there answers as a Bluetooth controller") from None
    except ImportError as error:
        raise system_errors.adapter_failed(
            spec, f"this needs {error.name or 'a library'}, which is not installed"
        ) from None
    except OSError as error:
        why = f"it cannot be reached ({error.strerror or type(error).__name__})"
        raise system_errors.adapter_failed(spec, IN_USE if error.errno == errno.EBUSY else why) from None
    except (ValueError, AssertionError) as error:
        raise system_errors.adapter_failed(
            spec, f"it must look like hci:usb:0 or hci:tcp-client:HOST:PORT ({error})"
        ) from None
    except Exception as error:  # noqa: BLE001 - each transport's own reader of its address raises what it likes
        why = printable(str(error), 160) or type(error).__name__
        raise system_errors.adapter_failed(spec, IN_USE if "BUSY" in why else why) from None
    return RawAdapter(spec, host)
