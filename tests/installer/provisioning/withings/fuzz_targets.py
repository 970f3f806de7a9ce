"""Fuzz targets of the Withings protocol."""

from __future__ import annotations

import contextlib

from installer.provisioning.driver_errors import Malformed
from installer.provisioning.withings import codec as withings
from tests.fuzz.targets import Target, inputs

_FINAL = (
    "01010100680123001514c471073f3d8c79df68d53fed8ab7c006bc6cf0b7010100460000000005426f64792b"
    "1130303a32343a65343a30303a30303a3031103031323334353637383961626364656600ffffff083030303030303031"
    "00000005000004d200ffffff012c000100"
)
_CHALLENGE = "0101280027012200231130303a32343a65343a30303a30303a303110000102030405060708090a0b0c0d0e0f"
_BATTERY = "010504000e0504000a470200000f0100000000"
_NOT_AUTHENTICATED = "010100000a011000060102fffffffb"
_WITHINGS = (_FINAL, _CHALLENGE, _BATTERY, _NOT_AUTHENTICATED, "0101010000", "014101000401000000")


def _withings(data: bytes) -> None:
    reader = withings.decode(data)
    withings.refusal(reader)
    for item in reader.items:
        for read in (withings.reply, withings.challenge_mac, withings.battery):
            with contextlib.suppress(Malformed):
                read(item.data)


def _assembler(data: bytes) -> None:
    """Notifications of a device, cut where the first byte says; what is complete is read."""
    if not data:
        return
    size, rest = data[0] % 40 + 1, data[1:]
    assembler = withings.Assembler()
    for at in range(0, len(rest), size):
        with contextlib.suppress(Malformed):
            for found in assembler.feed(rest[at : at + size]):
                withings.refusal(found)
    assert assembler.waiting <= withings.MAX_OBJECTS + 5


TARGETS = {
    "withings": Target([_withings], Malformed, seeds=inputs(0, *_WITHINGS)),
    # Whole messages in one piece, in pieces of 20 bytes, and several of them at once.
    "withings-assembler": Target(
        [_assembler],
        seeds=[
            *(
                inputs(size, *_WITHINGS, _BATTERY + _CHALLENGE + _NOT_AUTHENTICATED)[i]
                for size in (39, 19, 0)
                for i in range(7)
            )
        ],
    ),
}
