"""The verbs that all state goes through, and the promise that a driver keeps.

A *transaction* is a plain function of a `Tx`. It does no I/O of its own and awaits nothing, so a driver may run it
again after a conflict. When `transact` returns, what it wrote survives a kill -9; when it raises, nothing was written.

A *key* is a tuple that sorts part by part: integers by value, text and bytes by their bytes. A shorter key sorts
before the keys it begins, and `END`, allowed only as a last part of a bound, after all of them.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Concatenate, Final, Literal, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
R = TypeVar("R")


class Bound(Enum):
    """After every key that begins with what stands before it."""

    END = "end"


END: Final = Bound.END
Key = tuple[str | int | bytes | Literal[Bound.END], ...]


def within(*prefix: str | int | bytes) -> tuple[Key, Key]:
    """The bounds of all keys that begin with `prefix`, itself included: `tx.scan(*within("queue", id))`."""
    return prefix, (*prefix, END)


class StoreError(Exception):
    """The store could not keep what it was asked to (disk full, database gone). Nothing of it was written."""


class Recaller(Protocol):
    """Whoever can say what follows from rows."""

    def recall(self, work: Callable[Concatenate[Tx, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """`work(tx, *args)`, which only gets rows and makes something of them: an embedded driver keeps what came of
        it until one of those rows is written. It belongs to all that ask for it; nobody may change what is in it."""
        ...


class Tx(Recaller, Protocol):
    """One transaction over ordered keys: it reads its own writes, and commits whole or not at all."""

    def get(self, key: Key, *, lock: bool = False) -> bytes | None:
        """The value at `key`. `lock`: decide on this row although it is not written here (two nodes then agree)."""
        ...

    def put(self, key: Key, value: bytes) -> None: ...
    def delete(self, key: Key) -> None:
        """Forget the row; nothing happens where there is none."""
        ...

    def scan(
        self, first: Key, last: Key, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[Key, bytes]]:
        """Rows with `first <= key < last` in order. What is written while it runs may or may not be seen by it."""
        ...

    def claim(self, first: Key, last: Key, *, limit: int) -> Iterator[tuple[Key, bytes]]:
        """`scan`, passing over rows that another transaction is claiming at this moment."""
        ...

    def count(self, first: Key, last: Key) -> int:
        """How many rows `scan` would give."""
        ...

    def emit(self, signal: str, key: Key = ()) -> None:
        """Wake whoever waits for this signal and key (`kernel.signals`), on any node, once this has committed."""
        ...


class Waking(Protocol):
    """Where a driver brings the signals of committed transactions; called in the event loop."""

    def wake(self, signal: str, key: Key = ()) -> None: ...
    def wake_all(self) -> None:
        """Something may have been missed: everybody looks again."""
        ...


class Settling(Protocol):
    """Transactions that are kept together, or none of them."""

    def then(self, told: Callable[[StoreError | None], None]) -> None:
        """Call it once all is kept, or with the error if nothing is. It must not raise."""
        ...


class Immediate(Recaller, Protocol):
    """What an embedded driver can do besides: run a transaction without a wait, and tell later that it is kept."""

    @property
    def tick(self) -> Settling | None:
        """As long as there is one, nothing that `run` gave may leave before it has settled."""
        ...

    def run(self, work: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """As `Store.transact`, but for the wait."""
        ...


class Store(Protocol):
    @property
    def immediate(self) -> Immediate | None:
        """None where a transaction cannot do without waiting."""
        ...

    async def transact(self, work: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `work` as one transaction. Raises what `work` raises, or `StoreError`."""
        ...

    async def close(self) -> None: ...

    def describe(self) -> dict[str, Any]:
        """For `fogbank status`: driver, where it is, size."""
        ...
