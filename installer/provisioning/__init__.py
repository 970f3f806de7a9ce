"""Drivers that speak a provisioning protocol to a device over an open BLE connection."""
