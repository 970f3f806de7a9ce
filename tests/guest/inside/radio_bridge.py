"""Joins a controller of the lab's radio to the kernel: `python -m tests.guest.inside.radio_bridge TRANSPORT`.

The kernel makes the next free adapter of it (hci0, hci1, …). When this process ends, that adapter is pulled. Both sides
speak HCI with a byte of the packet's kind in front (H4): /dev/vhci a packet at a time, the lab as a stream.
Only the standard library: loading Bumble takes seconds in the guest.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import sys

READY = "bridged"
VENDOR, PRIMARY = 0xFF, 0x00
# Kind of packet → the length of its header, where its length stands there, and in how many bytes.
HEADERS = {0x01: (3, 2, 1), 0x02: (4, 2, 2), 0x03: (3, 2, 1), 0x04: (2, 1, 1), 0x05: (4, 2, 2)}
MOST = 65536


def packets(stream: bytearray) -> list[bytes]:
    """Take the whole packets off the front of the stream."""
    whole = []
    while stream:
        header, at, width = HEADERS[stream[0]]
        if len(stream) < 1 + header:
            break
        size = 1 + header + int.from_bytes(stream[1 + at : 1 + at + width], "little")
        if len(stream) < size:
            break
        whole.append(bytes(stream[:size]))
        del stream[:size]
    return whole


def main(transport: str) -> None:
    host, _, port = transport.removeprefix("tcp-client:").rpartition(":")
    lab = socket.create_connection((host, int(port)), 10)
    lab.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    lab.settimeout(None)
    kernel = os.open("/dev/vhci", os.O_RDWR)
    os.write(kernel, bytes([VENDOR, PRIMARY]))
    stream = bytearray()
    print(READY, flush=True)
    while True:
        readable, _, _ = select.select([lab, kernel], [], [])
        if kernel in readable:
            packet = os.read(kernel, MOST)
            if packet and packet[0] != VENDOR:
                lab.sendall(packet)
        if lab in readable:
            got = lab.recv(MOST)
            if not got:
                return
            stream += got
            for packet in packets(stream):
                try:
                    os.write(kernel, packet)
                except OSError as error:
                    # What a controller still says when its adapter is switched off, the kernel refuses.
                    if error.errno != errno.ENXIO:
                        raise


if __name__ == "__main__":
    main(sys.argv[1])
