"""The standard GATT health profiles: what a device measures, read over its connection."""
