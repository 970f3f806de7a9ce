"""The guided hand-off: a person sets the device up with the vendor's own app."""
