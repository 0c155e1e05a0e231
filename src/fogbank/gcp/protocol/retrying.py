"""How long Cloud Tasks and Cloud Scheduler wait before they try again."""

from __future__ import annotations


def pause_ms(failures: int, *, least_ms: int, most_ms: int, doublings: int) -> int:
    """After so many failures: from `least_ms` on it doubles so many times, then grows by as much, up to `most_ms`.

    queue.proto, RetryConfig: 10 s, 300 s and 3 make "10s, 20s, 40s, 80s, 160s, 240s, 300s, 300s".
    """
    if failures <= doublings + 1:
        return int(min(most_ms, least_ms * 2 ** min(failures - 1, 60)))
    return int(min(most_ms, least_ms * 2 ** min(doublings, 60) * (failures - doublings)))
