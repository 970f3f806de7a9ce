"""The background agent that collects from Bluetooth-only devices, and its outbox."""
