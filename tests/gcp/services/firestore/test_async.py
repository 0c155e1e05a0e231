"""The published asynchronous client, and REST, which is transcoded from the same methods."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
from google.cloud import firestore

from tests.gcp.services.firestore.conftest import DATABASE, ROOT

if TYPE_CHECKING:
    import pytest

    from tests.support.cloud import Cloud


def test_the_asynchronous_client_writes_reads_queries_and_commits(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", cloud.url.removeprefix("http://"))

    async def work() -> None:
        db = firestore.AsyncClient(project="p")
        await asyncio.gather(*(db.document(f"c/{number}").set({"n": number}) for number in range(10)))
        found = [each.id async for each in db.collection("c").where("n", ">", 6).stream()]
        assert found == ["7", "8", "9"]
        assert (await db.collection("c").count().get())[0][0].value == 10

        @firestore.async_transactional
        async def swap(transaction: Any, one: Any, other: Any) -> None:
            first = (await one.get(transaction=transaction)).get("n")
            second = (await other.get(transaction=transaction)).get("n")
            transaction.update(one, {"n": second})
            transaction.update(other, {"n": first})

        await swap(db.transaction(), db.document("c/1"), db.document("c/2"))
        assert [(await db.document(f"c/{name}").get()).get("n") for name in "12"] == [2, 1]
        all_of_them = [each.id async for each in db.get_all([db.document("c/1"), db.document("c/none")])]
        assert sorted(all_of_them) == ["1", "none"]

    asyncio.run(work())


def test_rest_writes_and_reads_the_same_documents(cloud: Cloud, db: Any) -> None:
    base = f"{cloud.url}/v1/{ROOT}"
    body = {"fields": {"n": {"integerValue": "7"}, "when": {"timestampValue": "2024-01-02T03:04:05.678901Z"}}}
    made = httpx.post(f"{base}/c?documentId=a", json=body)
    assert (made.status_code, made.json()["name"]) == (200, f"{ROOT}/c/a")
    assert db.document("c/a").get().get("n") == 7
    db.document("c/a").update({"n": 8})
    assert httpx.get(f"{base}/c/a?mask.fieldPaths=n").json()["fields"] == {"n": {"integerValue": "8"}}
    patched = httpx.patch(f"{base}/c/a?updateMask.fieldPaths=n", json={"fields": {}})
    assert patched.json()["fields"] == {"when": body["fields"]["when"]}
    asked = {"structuredQuery": {"from": [{"collectionId": "c"}]}}
    assert [each["document"]["name"] for each in httpx.post(f"{base}:runQuery", json=asked).json()] == [f"{ROOT}/c/a"]
    assert httpx.delete(f"{base}/c/a").json() == {}
    missing = httpx.get(f"{base}/c/a")
    assert (missing.status_code, missing.json()["error"]) == (
        404,
        {"code": 404, "message": f'Document "{ROOT}/c/a" not found.', "status": "NOT_FOUND"},
    )


def test_a_commit_over_rest(cloud: Cloud, db: Any) -> None:
    writes = [{"update": {"name": f"{ROOT}/c/a", "fields": {"n": {"doubleValue": "NaN"}}}}]
    answer = httpx.post(f"{cloud.url}/v1/{DATABASE}/documents:commit", json={"writes": writes})
    assert answer.status_code == 200
    assert str(db.document("c/a").get().get("n")) == "nan"
