"""`python -m tests.bench [NAME…]`: print the tables of these parts; without names, of all."""

from __future__ import annotations

import sys

from tests.bench import (
    batch,
    espressif,
    fetch,
    gateway,
    installation,
    ledger,
    receiver,
    repaint,
    startup,
    whole_process,
)

PARTS = {
    "startup": startup.report,
    "process": whole_process.report,
    "installation": installation.report,
    "espressif": espressif.report,
    "repaint": repaint.report,
    "batch": batch.report,
    "ledger": ledger.report,
    "fetch": fetch.report,
    "receiver": receiver.report,
    "gateway": gateway.report,
}


def main() -> None:
    """Run the parts that were named."""
    names = sys.argv[1:] or list(PARTS)
    for name in names:
        sys.stdout.write("\n".join(PARTS[name]()) + "\n\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
