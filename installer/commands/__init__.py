"""The commands beside install and wizard; the groups of commands by name, with their help."""

GROUPS = {
    "account": "Sign in to the vendor's cloud beforehand; list and remove accounts.",
    "lab": "The lab: emulated devices, access points and cloud, to practise without hardware.",
    "notifications": "Be told of new data: subscribe, list, renew, revoke.",
    "networks": "Networks saved on this computer, for `install --network NAME`.",
}
