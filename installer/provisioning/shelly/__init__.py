"""Shelly Gen2+ RPC over Bluetooth Low Energy (`facts/other-ble-provisioning.md` §1)."""
