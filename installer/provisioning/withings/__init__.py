"""The vendor's own Bluetooth protocol, as far as it is publicly confirmed: what a device says of itself, read only."""
