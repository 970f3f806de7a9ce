"""The engine of device-installer: everything but the screens. Imports no Textual."""

__version__ = "0.1.0"
