"""A lab device with Nordic's Wi-Fi provisioning."""
