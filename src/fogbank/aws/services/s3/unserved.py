"""Members of S3's requests that are refused by name, and those that would change nothing on AWS either."""

from __future__ import annotations

from typing import Any

_CUSTOMER_KEYS = {
    f"{stem}{part}": ()
    for stem in ("SSECustomer", "CopySourceSSECustomer")
    for part in ("Algorithm", "Key", "KeyMD5")
}  # fmt: skip
_LOCKS = ("ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus", "ObjectLockEventHold",
          "ObjectLockEventHoldDurationDays", "ObjectLockEventHoldDurationYears")  # fmt: skip
REFUSED: dict[str, dict[str, tuple[Any, ...]]] = {
    "*": {
        **_CUSTOMER_KEYS,
        **dict.fromkeys(_LOCKS, ()),
        **dict.fromkeys(("ChecksumXXHASH64", "ChecksumXXHASH3", "ChecksumXXHASH128"), ()),
        "SSEKMSEncryptionContext": (),
        "WriteOffsetBytes": (),  # Of directory buckets, as are the next three.
        "IfMatchInitiatedTime": (),
        "IfMatchLastModifiedTime": (),
        "IfMatchSize": (),
        "AnnotationDirective": (),
        "ObjectLockEnabledForBucket": (False,),
        "ObjectOwnership": ("BucketOwnerEnforced",),
        "BucketNamespace": ("global",),
    },
}
WITHOUT_EFFECT = {
    "*": {
        "RequestPayer": "Only buckets ask for it whose requester pays; there are none.",
        "MFA": "Only buckets ask for it that have MFA Delete, which is refused.",
        "BypassGovernanceRetention": "There are no locked objects.",
        "OptionalObjectAttributes": "It asks for the state of restores from archives; there are none.",
        "ConfirmRemoveSelfBucketAccess": "Bucket policies are kept, and not enforced.",
    },
}
