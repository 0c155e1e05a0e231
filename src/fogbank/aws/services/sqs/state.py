"""What SQS itself remembers: queues by name, recent deduplication ids, tasks that move messages back."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from fogbank.aws.service import Call, ServiceError
from fogbank.aws.services.sqs import attributes
from fogbank.kernel.store.records import Records
from fogbank.primitives.deduplication import Deduplication

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx


@dataclass(frozen=True, slots=True)
class Queue:
    id: str  # A new one each time the name is used again, so an old queue's messages stay gone.
    account: str
    region: str
    name: str
    attributes: dict[str, str]
    created_ms: int
    modified_ms: int
    tags: dict[str, str] = field(default_factory=dict)
    purged_ms: int = 0

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:{self.region}:{self.account}:{self.name}"

    @property
    def fifo(self) -> bool:
        return self.name.endswith(".fifo")

    def number(self, name: str) -> int:
        return int(self.attributes.get(name) or attributes.DEFAULTS[name])

    @property
    def retention_ms(self) -> int:
        return 1000 * self.number("MessageRetentionPeriod")


QUEUES = Records(Queue, "sqs", "queue")  # (account, region, name)
SENT = Deduplication("sqs")  # By the queue's id.
CHANGED = "sqs.changed"  # The signal: a queue was made or set otherwise.
SEQUENCES = Records(int, "sqs", "sequence")  # (queue id,)


def url(call: Call, queue: Queue) -> str:
    return f"http://{call.host}/{queue.account}/{queue.name}"


def missing() -> ServiceError:
    return ServiceError("QueueDoesNotExist", "The specified queue does not exist.")


def find(tx: Tx, call: Call, queue_url: str) -> Queue:
    """By URL (of any host: only account and name count) or by ARN."""
    if queue_url.startswith("arn:"):
        return by_arn(tx, queue_url)
    found = QUEUES.get_shared(tx, *_place(queue_url, call.account, call.region))
    if found is None:
        raise missing()
    return found


@lru_cache(4096)
def _place(queue_url: str, account: str, region: str) -> tuple[str, str, str]:
    """Account, region and name; the caller's own where the URL does not tell them."""
    parts = queue_url.rstrip("/").rsplit("/", 2)
    told = len(parts) > 2 and parts[-2].isdigit()
    return parts[-2] if told else account, _region(queue_url, region), parts[-1]


def _region(queue_url: str, default: str) -> str:
    """AWS's own hosts name it: sqs.REGION.amazonaws.com, REGION.queue.amazonaws.com."""
    host = queue_url.partition("://")[2].partition("/")[0]
    if not host.endswith(".amazonaws.com"):
        return default
    return next((part for part in host.split(".") if part.count("-") >= 2), default)


def by_arn(tx: Tx, arn: str) -> Queue:
    parts = arn.split(":")
    found = QUEUES.get_shared(tx, parts[4], parts[3], parts[5]) if len(parts) == 6 else None
    if found is None:
        raise missing()
    return found


def put(tx: Tx, queue: Queue) -> None:
    QUEUES.put(tx, queue.account, queue.region, queue.name, row=queue)
    tx.emit(CHANGED)


def next_sequence(tx: Tx, queue: Queue) -> str:
    """Of a FIFO queue: 20 digits that only grow."""
    number = (SEQUENCES.get(tx, queue.id, lock=True) or 18_850_000_000_000_000_000 // 2) + 256
    SEQUENCES.put(tx, queue.id, row=number)
    return f"{number:020d}"
