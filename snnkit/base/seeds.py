"""Derive independent seeds from one seed. No torch."""

import hashlib


def derived_seed(seed: int, *place: object, bits: int = 56) -> int:
    """Return a seed in 0 .. 2**bits - 1 that depends on ``seed`` and all parts of ``place``; 56 bits at most."""
    digest = hashlib.sha256(repr((seed, *place)).encode()).digest()
    return int.from_bytes(digest[:7], "big") >> (56 - bits)
