"""What is kept on this computer: databases, private files, locks, the keyring, named secrets."""
