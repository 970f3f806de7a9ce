"""What is kept on this computer: databases, private files, locks, the keyring, named secrets."""

# Each program that is started by itself sets it first, so that no file and no folder is made for others by mistake.
PRIVATE_UMASK = 0o077
