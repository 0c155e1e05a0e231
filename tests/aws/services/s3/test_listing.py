"""Whatever keys there are and however small the pages, each key or rolled prefix is listed once, in order."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from hypothesis import example, given
from hypothesis import strategies as st

from fogbank.aws.service import Call, House
from fogbank.aws.services.s3 import state
from fogbank.aws.services.s3.operations.listing import Listing
from fogbank.aws.services.s3.state import Bucket, Object
from fogbank.kernel.store.dictionary import DictionaryStore

KEYS = st.sets(st.text("ab/", min_size=1, max_size=5), max_size=12)
CALL = Call("0" * 12, "us-east-1", "", 0, "", "", lambda: "")


def expected(keys: set[str], prefix: str, delimiter: str) -> list[str]:
    found: list[str] = []
    for key in sorted(keys):
        if key.startswith(prefix):
            stem, cut, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            entry = prefix + stem + cut if cut else key
            if entry not in found:
                found.append(entry)
    return found


def pages(keys: set[str], operation: str, asked: dict[str, Any]) -> list[str]:
    store = DictionaryStore()
    listing = Listing(cast("House", None))  # Listing needs nothing of the house.

    def put(tx: Any) -> None:
        state.BUCKETS.put(tx, "b", row=Bucket("b", "0" * 12, "us-east-1", 0))
        for key in keys:
            state.OBJECTS.put(tx, "b", key, row=Object(key, "", 1, 0, {}, {}))

    async def all_of_them() -> list[str]:
        await store.transact(put)
        found: list[str] = []
        more: dict[str, Any] = {}
        for _ in range(40):
            page = await store.transact(getattr(listing, operation), CALL, {"Bucket": "b", **asked, **more})
            rows = page.get("Contents", []) + page.get("Versions", [])
            entries = [row["Key"] for row in rows] + [one["Prefix"] for one in page["CommonPrefixes"]]
            assert len(entries) <= asked["MaxKeys"]
            found += sorted(entries)
            if not page["IsTruncated"]:
                return found
            if operation == "list_objects_v2":
                more = {"ContinuationToken": page["NextContinuationToken"]}
            elif operation == "list_objects":
                more = {"Marker": page.get("NextMarker") or entries[-1]}
            else:
                more = {"KeyMarker": page["NextKeyMarker"]}
                more |= {"VersionIdMarker": page["NextVersionIdMarker"]} if "NextVersionIdMarker" in page else {}
        raise AssertionError("the pages never end")

    return asyncio.run(all_of_them())


@given(KEYS, st.sampled_from(["", "a", "a/", "/"]), st.sampled_from(["", "/"]), st.integers(1, 3))
@example({"a/", "a/b", "a/c/d"}, "a/", "/", 1)  # A folder's own object ends as a rolled prefix does.
def test_every_page_goes_on_where_the_last_one_ended(keys: set[str], prefix: str, delimiter: str, limit: int) -> None:
    asked = {"Prefix": prefix, "MaxKeys": limit} | ({"Delimiter": delimiter} if delimiter else {})
    for operation in ("list_objects_v2", "list_objects", "list_object_versions"):
        assert pages(keys, operation, asked) == expected(keys, prefix, delimiter), operation
