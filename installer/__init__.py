"""The engine of device-installer: everything but the screens. Imports no Textual."""

# Every environment variable of this program begins so.
ENVIRONMENT_PREFIX = "DEVICE_INSTALLER_"
__version__ = "0.1.0"
