"""A bleak backend over a raw HCI controller (a USB dongle, a serial one, or the lab's), by way of Bumble.

Nothing here imports Bumble at import time: it costs a third of a second, and only an `hci:` adapter needs it.
"""
