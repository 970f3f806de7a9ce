"""Nordic's Wi-Fi provisioning over Bluetooth Low Energy (`facts/other-ble-provisioning.md` §2)."""
