#!/usr/bin/env bash
# ZXing core 3.5.3 (in the Python package zxing 1.0.3): the network's name is searched for the keys of a Wi-Fi code.
#
# Expected: in WIFI:T:WPA;S:GROUP: A;P:topsecret9;; the passphrase is what follows ";P:". A colon needs no mark in a name:
#   makers that mark nothing write it so, and the WPA3 specification (section 7) encodes no colon either.
# Seen: the parser looks for "P:" anywhere in the text, also in the midst of a name or a passphrase, and takes what comes
#   first. "GROUP: A" gives the passphrase " A"; a passphrase "PASS:word9" that comes first gives the name "word9"; a name
#   "FLAT: 3" without a type gives the security " 3".
# What it means: an Android app that uses ZXing's parsed result can join, or offer, a network that is not on the card.
#   Whoever writes such a code should mark colons with a backslash. Whoever reads one should split it at ";" first.
# Needs Java.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -qq --disable-pip-version-check zxing==1.0.3 qrcode==8.2 pillow==12.0.0
cat > "$folder/finding.py" <<'PY'
import sys

import qrcode
import zxing

READER = zxing.BarCodeReader()
# The text, and the lines of ZXing's parsed result: name, security, passphrase (if there is one), whether it is hidden.
CASES = {
    "WIFI:T:WPA;S:Home;P:topsecret9;;": ["Home", "WPA", "topsecret9", "false"],
    r"WIFI:T:WPA;S:GROUP\: A;P:topsecret9;;": ["GROUP: A", "WPA", "topsecret9", "false"],
    "WIFI:T:WPA;S:GROUP: A;P:topsecret9;;": ["GROUP: A", "WPA", " A", "false"],
    "WIFI:T:WPA;P:PASS:word9;S:Home;;": ["word9", "WPA", "PASS:word9", "false"],
    "WIFI:S:FLAT: 3;;": ["FLAT: 3", " 3", "false"],
}
as_described = True
for text, expected in CASES.items():
    qrcode.make(text, box_size=8).save(sys.argv[1])
    found = READER.decode(sys.argv[1], pure_barcode=True)
    assert found.raw == text
    print(text, "->", found.parsed.split("\n"))
    as_described &= found.parsed.split("\n") == expected
raise SystemExit(0 if as_described else 1)
PY
"$folder/venv/bin/python" "$folder/finding.py" "$folder/code.png"
