"""BlueZ, the Bluetooth of Linux, over D-Bus: what bleak does not do."""
