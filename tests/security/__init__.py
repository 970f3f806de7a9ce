"""The program as hostile devices, files, ledgers, users and listeners would use it (`docs/threat-model.md`)."""
