"""Templates of a plan, for a spreadsheet and for an editor; both can be read back as they are."""

from __future__ import annotations

from typing import Literal

CSV = """\
device,model,count,sync,network,account,site,label,proof,notes
00:24:E4:12:34:56,Body+,,wifi,clinic,ward-3,Berlin,Room 301,,one device by its address
,BPM Connect,,wifi,clinic,later,Berlin,Room 302,env:PROOF_302,linked later by the end user
,Pulse HR,4,bluetooth,,ward-3,Berlin,Ward 3,,four watches that are not set up yet: the nearest first
"""

TOML = """\
# A plan for `device-installer batch PLAN`. `device-installer schema plan` prints the format.
version = 1
name = "berlin-2026"            # what its runs are kept under; without it, the name of this file

[defaults]                      # what holds for every row that does not say otherwise
sync = "wifi"                   # for the models that can
network = "clinic"              # saved on this computer: device-installer networks add clinic
account = "ward-3"              # signed in on this computer: device-installer account login ward-3
site = "Berlin"

[[row]]                         # one device by its address
device = "00:24:E4:12:34:56"
label = "Room 301"

[[row]]                         # its proof of possession is named, never written here: env, file or keyring
model = "bpm-connect"
proof = { env = "PROOF_302" }
account = "later"               # linked by the end user, with the code on the label
label = "Room 302"

[[row]]                         # several of a model that are not set up yet, the nearest first
model = "pulse-hr"
count = 4
sync = "bluetooth"
label = "Ward 3"
"""


def template(kind: Literal["csv", "toml"]) -> str:
    """The template, without a line break at its end."""
    return (CSV if kind == "csv" else TOML).rstrip("\n")
