"""The lab: emulated radio, devices, access points and cloud."""
