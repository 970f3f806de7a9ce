#!/usr/bin/env bash
# ZXing core 3.5.3 (in the Python package zxing 1.0.3) and zxing-cpp 2.3.0: one of the two does not see a flawless code.
#
# Expected: a QR code that a program has drawn, black on white, with the whole border and nothing else in the picture, is
#   the easiest case there is. Every reader finds it.
# Seen: qrcode 8.2 draws the card of a network; Java's ZXing finds no code in the picture, at three sizes, with a wider
#   border, also when told to try harder. Told that the picture is nothing but a code (PURE_BARCODE), it reads it. zxing-cpp,
#   which began as its translation, reads all of them as they are. Another order of the same parts is read by both.
# What it means: a card that one phone does not read may be read by the next one, and need not be wrong. Before a card goes
#   to print, try it with more than one reader; ask qrcode for another mask (mask_pattern=) or order the parts differently.
# Needs Java.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -qq --disable-pip-version-check \
    zxing==1.0.3 zxing-cpp==2.3.0 qrcode==8.2 pillow==12.0.0 numpy==2.3.4
cat > "$folder/finding.py" <<'PY'
import sys

import qrcode
import zxing
import zxingcpp
from PIL import Image

READER = zxing.BarCodeReader()
UNSEEN = "WIFI:H:false;P:correct horse;S:Home;T:WPA;;"
SEEN = "WIFI:T:WPA;S:Home;P:correct horse;H:false;;"


def readers(text, size, border):
    """Whether Java's ZXing reads it, when it tries harder, when told that there is nothing else; whether zxing-cpp does."""
    code = qrcode.QRCode(box_size=size, border=border)
    code.add_data(text)
    code.make_image().get_image().convert("L").save(sys.argv[1])
    ways = ({}, {"try_harder": True}, {"pure_barcode": True})
    java = [READER.decode(sys.argv[1], **way).raw == text for way in ways]
    return [*java, [found.text for found in zxingcpp.read_barcodes(Image.open(sys.argv[1]))] == [text]]


as_described = True
for text, expected in ((UNSEEN, [False, False, True, True]), (SEEN, [True, True, True, True])):
    for size, border in ((4, 4), (8, 4), (10, 8)):
        found = readers(text, size, border)
        print(f"{text}, {size} pixels a module, border {border}: Java, trying harder, pure, zxing-cpp: {found}")
        as_described &= found == expected
raise SystemExit(0 if as_described else 1)
PY
"$folder/venv/bin/python" "$folder/finding.py" "$folder/code.png"
