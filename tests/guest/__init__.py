"""The guest: a virtual machine with a real kernel, BlueZ, hostapd and NetworkManager, in which tests run.

`inside/` holds the tests and what they use there; the modules beside it build the machine and boot it.
"""
