"""Tests of device-installer; the folders mirror the packages."""
