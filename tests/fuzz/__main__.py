"""`python -m tests.fuzz TARGET SECONDS`: fuzz one target; the status is not 0 when it finds something.

`python -m tests.fuzz --list` prints the names of all targets.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.fuzz.targets import Target, all_targets


def main() -> None:
    """Fuzz for the time given, or list the targets."""
    if sys.argv[1:] == ["--list"]:
        sys.stdout.write(" ".join(all_targets()) + "\n")
        return
    if len(sys.argv) < 3:
        sys.exit("usage: python -m tests.fuzz TARGET SECONDS, or python -m tests.fuzz --list")
    name, seconds = sys.argv[1], int(sys.argv[2])
    import atheris  # is installed only for fuzzing

    with atheris.instrument_imports(include=["installer"]):
        targets: dict[str, Target] = all_targets()
    if name not in targets:
        sys.exit(f"There is no target {name}. Targets: {', '.join(targets)}")
    options = [f"-max_total_time={seconds}", "-max_len=600", "-timeout=10", *sys.argv[3:]]
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(targets[name].seeds):
            Path(corpus, f"seed-{number}").write_bytes(seed)
        atheris.Setup([sys.argv[0], *options, corpus], targets[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
