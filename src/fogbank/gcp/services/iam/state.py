"""What IAM remembers: a policy for each resource that was given one."""

from __future__ import annotations

import msgspec

from fogbank.kernel.store.records import Records


class Policy(msgspec.Struct, frozen=True):
    told: bytes  # A google.iam.v1.Policy.


POLICIES = Records(Policy, "iam", "policy")  # (resource's name, its id): one that is made again has none.
EMPTY_ETAG = b"\x00\x20\x01"  # "ACAB", which every policy has that was never set.
