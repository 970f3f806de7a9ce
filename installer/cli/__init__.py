"""The commands beside install and wizard; the groups of commands by name, with their help."""

GROUPS = {
    "account": "Accounts of the vendor's cloud: sign in, list, remove.",
    "gateway": "Collect from Bluetooth-only devices in the background.",
    "data": "Measurements from the cloud: fetch, watch, show, export.",
    "lab": "Emulated devices and cloud, to practise without hardware.",
    "ledger": "The database of the records: where it is, its upkeep.",
    "networks": "Saved Wi-Fi networks, for `install --network NAME`.",
    "notifications": "Be told of new data: subscribe, list, renew, revoke, serve.",
    "records": "What was installed: list, show, export, prune.",
}
