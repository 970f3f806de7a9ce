"""The commands beside install and wizard; the groups of commands by name, with their help."""

GROUPS = {
    "account": "Sign in to the vendor's cloud beforehand; list and remove accounts.",
    "gateway": "Collect from Bluetooth-only devices in the background, and deliver what they measured.",
    "data": "Measurements from the cloud: fetch, watch, show, export.",
    "lab": "The lab: emulated devices, access points and cloud, to practise without hardware.",
    "ledger": "The database of the records: where it is, and bringing it up to date.",
    "networks": "Networks saved on this computer, for `install --network NAME`.",
    "notifications": "Be told of new data: subscribe, list, renew, revoke.",
    "records": "What was installed: list, show, export as CSV, JSON or a report, remove what is old.",
}
