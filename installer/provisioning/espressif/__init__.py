"""Espressif Unified Provisioning over BLE (protocomm), security schemes 0, 1 and 2 (`facts/esp-provisioning.md`)."""
