"""`python -m tests.fuzz DECODER SECONDS`: fuzz one decoder; the status is not 0 when it finds something."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["installer"]):
    from tests.fuzz.decoders import DECODERS
    from tests.fuzz.seeds import SEEDS


def main() -> None:
    """Fuzz for the time given."""
    if len(sys.argv) < 3 or sys.argv[1] not in DECODERS:
        sys.exit(f"usage: python -m tests.fuzz DECODER SECONDS; decoders: {', '.join(DECODERS)}")
    name, seconds = sys.argv[1], int(sys.argv[2])
    options = [f"-max_total_time={seconds}", "-max_len=600", "-timeout=10", *sys.argv[3:]]
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS[name]):
            Path(corpus, f"seed-{number}").write_bytes(seed)
        atheris.Setup([sys.argv[0], *options, corpus], DECODERS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
