"""Improv Wi-Fi over Bluetooth Low Energy: the open protocol of improv-wifi.com."""
