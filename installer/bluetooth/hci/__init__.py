"""A bleak backend for a raw HCI controller (USB, serial, or the lab), built on Bumble.

All imports of Bumble are lazy: it takes a third of a second, and only an `hci:` adapter needs it.
"""
