"""The standard GATT health profiles: what a Bluetooth-only device measures, read over its connection."""
