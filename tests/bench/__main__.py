"""`python -m tests.bench [startup] [installation] [espressif] [repaint] [batch] [ledger]`; without: all."""

from __future__ import annotations

import sys

from tests.bench import batch, espressif, installation, ledger, repaint, startup

PARTS = {
    "startup": startup.report,
    "installation": installation.report,
    "espressif": espressif.report,
    "repaint": repaint.report,
    "batch": batch.report,
    "ledger": ledger.report,
}


def main() -> None:
    """Run the parts that were named."""
    names = sys.argv[1:] or list(PARTS)
    for name in names:
        sys.stdout.write("\n".join(PARTS[name]()) + "\n\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
