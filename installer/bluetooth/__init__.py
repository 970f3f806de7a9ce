"""Bluetooth Low Energy: adapters, scanning, detection, connections."""
