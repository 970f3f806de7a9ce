"""The command line, one module for each command. `COMMAND_GROUPS`: the commands with subcommands, and their help."""

import gc

# Almost all that is made at the start stays until the end: looking through it for garbage again and again takes a
# seventh of the start. What a long run makes is still collected, in larger portions.
gc.set_threshold(100_000, 20, 50)

COMMAND_GROUPS = {
    "account": "Accounts of the vendor's cloud: sign in, list, remove.",
    "bonds": "Keys of paired devices on this computer: list, forget.",
    "gateway": "Collect from Bluetooth-only devices in the background.",
    "data": "Measurements: fetch, watch, show, export, forget.",
    "lab": "Emulated devices and cloud, to practise without hardware.",
    "ledger": "The database of the records: status and migration.",
    "networks": "Saved Wi-Fi networks, for `install --network NAME`.",
    "notifications": "Notifications: subscribe, list, renew, revoke, serve.",
    "records": "What was installed: list, show, export, prune, forget.",
}
