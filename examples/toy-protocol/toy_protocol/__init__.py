"""A toy provisioning protocol for device-installer: an example of a package that brings a protocol."""
