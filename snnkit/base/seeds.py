"""Seeds that depend on all of their parts and on nothing else. No torch."""

import hashlib


def derived_seed(seed: int, *place: object, bits: int = 56) -> int:
    """A seed of its own for each place, 0 .. 2**bits - 1 (56 bits at most)."""
    digest = hashlib.sha256(repr((seed, *place)).encode()).digest()
    return int.from_bytes(digest[:7], "big") >> (56 - bits)
