"""Names for new things, handed in like time: they sort in the order they were made, and a test can foretell them."""

from __future__ import annotations

import random
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fogbank.kernel.clock import Clock

_COUNT_BITS = 12
_COUNT_MASK = (1 << _COUNT_BITS) - 1
_NODE_BITS = 62
_LOWER_AND_DIGITS = string.ascii_lowercase + string.digits


class Ids:
    """`seed` makes the names repeat (tests); without it they come from the system's own randomness."""

    def __init__(self, clock: Clock, *, seed: int | None = None) -> None:
        self._clock = clock
        self._random: random.Random = random.SystemRandom() if seed is None else random.Random(seed)
        node = f"{0b10 << 62 | self._random.getrandbits(_NODE_BITS):016x}"
        self._tail = f"{node[:4]}-{node[4:]}"
        self._last = 0
        self._prefix_ms, self._prefix = -1, ""

    def new(self) -> str:
        """A UUID of version 7 (RFC 9562): 48 bits of milliseconds, 12 of count within one, 62 that tell the node."""
        last, now = self._last + 1, self._clock.now_ms() << _COUNT_BITS
        if now > last:
            last = now
        self._last, at_ms = last, last >> _COUNT_BITS
        if at_ms != self._prefix_ms:
            self._prefix_ms, text = at_ms, f"{at_ms:012x}"
            self._prefix = f"{text[:8]}-{text[8:]}-7"
        return f"{self._prefix}{last & _COUNT_MASK:03x}-{self._tail}"

    def token(self, length: int, alphabet: str = _LOWER_AND_DIGITS) -> str:
        """Random text, for the short ids that clouds give (an API's id, an access key) and for secrets."""
        return "".join(self._random.choices(alphabet, k=length))

    def shuffled(self, parts: list[str]) -> list[str]:
        """The same in an order that nobody can foretell."""
        return self._random.sample(parts, len(parts))
