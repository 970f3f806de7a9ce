#!/usr/bin/env bash
# keyring 25.7.0 on Linux: to learn which back end there is, it starts ldconfig, a C compiler and a linker.
#
# Expected: keyring.get_keyring() looks at the platform and asks D-Bus. It starts no process.
# Seen: every back end is imported, macOS's too. That module asks ctypes for the frameworks Security, CoreServices and
#   Foundation. On Linux ctypes asks ldconfig, then `gcc` (or `cc`), then `ld`, three times, and they get the whole
#   environment of the process. What is called gcc in the PATH is run. Without a compiler only ldconfig and ld are.
# What it means: a program that keeps secrets in variables hands them to a compiler when it first asks for the keyring,
#   and waits for it. Where the system is not macOS, sys.modules["keyring.backends.macOS.api"] = None before that
#   prevents it: the back end is imported without its module for the frameworks.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -qq --disable-pip-version-check keyring==25.7.0
# A compiler of this script's own, so that the result is the same on a computer that has none.
mkdir "$folder/bin"
cat > "$folder/bin/gcc" <<SH
#!/bin/sh
echo "gcc \$* PASSPHRASE=\$PASSPHRASE" >> "$folder/seen"
exit 1
SH
chmod +x "$folder/bin/gcc"
PATH="$folder/bin:$PATH" PASSPHRASE=only-a-test "$folder/venv/bin/python" -c 'import keyring; keyring.get_keyring()'
touch "$folder/seen"
sed -E 's# -o [^ ]+# -o FILE#' "$folder/seen"
[ "$(grep -c -- '^gcc .*-l\(Security\|CoreServices\|Foundation\) PASSPHRASE=only-a-test$' "$folder/seen")" = 3 ] && exit 0
echo "It has changed." >&2
exit 1
