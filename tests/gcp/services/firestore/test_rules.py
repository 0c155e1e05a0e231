"""Security rules are not evaluated: an app on a phone or in a browser is told so, a server client knows nothing of it.

The headers are those that the published web SDK sends (13.2), without and with a mock user, and as owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest

from fogbank.gcp.protocol.descriptors import methods
from tests.gcp.services.firestore.conftest import DATABASE, ROOT

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

APP = ("x-goog-api-client", "gl-node/20.20.2 fire/13.2.0 grpc/1.9.16")
ADMIN = ("x-goog-api-client", "gl-node/20.20.2 grpc/1.14.3 gax/5.0.8 gapic/8.7.1 gccl/8.7.1 fire/14.2.0")
USER = ("authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.")
OWNER = ("authorization", "Bearer owner")
DELETE = {"database": DATABASE, "writes": [{"delete": f"{ROOT}/c/a"}]}
REQUESTS: dict[str, list[dict[str, Any]]] = {
    "GetDocument": [{"name": f"{ROOT}/c/a"}],
    "RunQuery": [{"parent": ROOT, "structured_query": {"from": [{"collection_id": "c"}]}}],
    "Commit": [DELETE],
    "BatchWrite": [DELETE],
    "DeleteDocument": [{"name": f"{ROOT}/c/a"}],
    "Write": [{"database": DATABASE}, DELETE],
}
LISTEN = {"database": DATABASE, "add_target": {"documents": {"documents": [f"{ROOT}/c/a"]}, "target_id": 7}}


def ask(cloud: Cloud, rpc: str, *metadata: tuple[str, str]) -> Any:
    """The answer, or all of a stream of which nothing more is asked."""
    method = methods("google.firestore.v1.Firestore")[rpc]
    requests = [method.request(**each) for each in REQUESTS[rpc]]
    with grpc.insecure_channel(cloud.url.removeprefix("http://")) as channel:
        forms = (method.request.SerializeToString, method.response.FromString)
        if method.takes_stream:
            return list(channel.stream_stream(method.path, *forms)(iter(requests), metadata=metadata, timeout=60))
        if method.gives_stream:
            return list(channel.unary_stream(method.path, *forms)(requests[0], metadata=metadata, timeout=60))
        return channel.unary_unary(method.path, *forms)(requests[0], metadata=metadata, timeout=60)


@pytest.mark.parametrize("rpc", REQUESTS)
def test_an_app_gets_what_a_locked_database_gives_and_nothing_is_lost(cloud: Cloud, db: Any, rpc: str) -> None:
    db.document("c/a").set({"n": 1})
    for user in ((), (USER,)):
        with pytest.raises(grpc.RpcError) as refused:
            ask(cloud, rpc, APP, *user)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert refused.value.details().startswith("Missing or insufficient permissions. Security rules are not")
    assert db.document("c/a").get().get("n") == 1


@pytest.mark.parametrize("rpc", REQUESTS)
def test_its_owner_and_admin_clients_are_let_in(cloud: Cloud, db: Any, rpc: str) -> None:
    for metadata in ((APP, OWNER), (ADMIN,), ()):
        db.document("c/a").set({"n": 1})
        assert ask(cloud, rpc, *metadata) is not None


def test_a_listener_is_told_of_its_target_and_its_stream_stays(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REQUESTS, "Listen", [LISTEN])
    added, removed, *_ = ask(cloud, "Listen", APP, USER)
    assert added.target_change.target_change_type == 1
    assert (removed.target_change.target_change_type, list(removed.target_change.target_ids)) == (2, [7])
    assert (removed.target_change.cause.code, removed.target_change.cause.message[:19]) == (7, "Missing or insuffic")
    added, shown, *_ = ask(cloud, "Listen", APP, OWNER)
    assert shown.HasField("document_delete")


def test_a_browser_is_told_so_on_its_own_way(cloud: Cloud) -> None:
    answer = httpx.post(f"{cloud.url}/google.firestore.v1.Firestore/Listen/channel?VER=8", content=b"count=1")
    assert (answer.status_code, answer.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert answer.headers["access-control-allow-origin"] == "*"
