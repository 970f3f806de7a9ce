"""What a fuzz target is, and the discovery of all targets.

The targets of a provisioning protocol stand in its test folder: a module `fuzz_targets.py` with `TARGETS`, a dictionary
of targets by name. The other targets are in `tests/fuzz/decoders.py`.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable, Sequence
from typing import Any


class Target:
    """The first byte of an input chooses one of `functions`, which gets the rest. It may raise `errors`, nothing else.

    `seeds`: inputs from well-behaved devices; fuzzing begins with them.
    """

    def __init__(
        self, functions: Sequence[Callable[[bytes], Any]], *errors: type[Exception], seeds: Sequence[bytes] = ()
    ) -> None:
        self.functions, self.errors, self.seeds = functions, errors, seeds

    def accepts(self, data: bytes) -> bool:
        """Whether the decoder reads the input without one of its errors. Lets any other exception through."""
        try:
            self.functions[data[0] % len(self.functions)](data[1:])
        except self.errors:
            return False
        return True

    def __call__(self, data: bytes) -> None:
        if data:
            self.accepts(data)


def inputs(number: int, *values: bytes | str) -> list[bytes]:
    """These values (bytes, or hexadecimal text) as inputs for the function of this number."""
    return [bytes([number]) + (bytes.fromhex(v) if isinstance(v, str) else v) for v in values]


def json_texts(*values: Any) -> list[bytes]:
    """Each value as JSON text."""
    return [json.dumps(value).encode() for value in values]


def all_targets() -> dict[str, Target]:
    """All targets by name."""
    from tests.fuzz.decoders import DECODERS
    from tests.fuzz.seeds import SEEDS
    from tests.installer import provisioning

    targets: dict[str, Target] = {}
    for module in pkgutil.walk_packages(provisioning.__path__, provisioning.__name__ + "."):
        if module.name.endswith(".fuzz_targets"):
            targets |= importlib.import_module(module.name).TARGETS
    for name, target in DECODERS.items():
        target.seeds = SEEDS[name]
        targets[name] = target
    return targets
