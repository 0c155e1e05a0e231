"""Every request that botocore's own signers sign is taken, and none that was changed afterwards."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fogbank.aws.protocol import signatures
from fogbank.kernel.gateway.messages import Request

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SIGNERS = {
    "header": (SigV4Auth, "lambda"),
    "query": (SigV4QueryAuth, "sts"),
    "S3 header": (S3SigV4Auth, "s3"),
    "S3 query": (S3SigV4QueryAuth, "s3"),
}
WORDS = st.text("abcXYZ019-_.~ äß€+&=%/:;'\"!*()", max_size=12)


def signed(
    kind: str, *, method: str = "PUT", path: str = "/a", query: dict[str, str] | None = None, body: bytes = b"",
    headers: dict[str, str] | None = None, token: str | None = None,
) -> Request:  # fmt: skip
    auth, service = SIGNERS[kind]
    text = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in (query or {}).items())
    url = f"http://127.0.0.1:4566{quote(path, safe='/~')}" + (f"?{text}" if text else "")
    request = AWSRequest(method, url, {"Host": "127.0.0.1:4566", **(headers or {})}, body)
    auth(Credentials("AKIDEXAMPLE", SECRET, token), service, "eu-west-1").add_auth(request)
    sent = request.prepare()
    raw = [(name, value if isinstance(value, str) else value.decode()) for name, value in sent.headers.items()]
    where, _, asked = sent.url.removeprefix("http://127.0.0.1:4566").partition("?")
    joined = {name.lower(): value for name, value in raw}
    return Request(method, where, asked, joined, raw, body, "127.0.0.1", "0", "0" * 32)


def verified(request: Request, secret: str = SECRET) -> bool:
    told = signatures.claim(request)
    assert told is not None
    try:
        signatures.verify(request, told, secret)
    except signatures.Mismatch:
        return False
    return True


@pytest.mark.parametrize("kind", SIGNERS)
@given(data=st.data())
def test_what_botocore_signs_is_true_and_nothing_else(kind: str, data: st.DataObject) -> None:
    path = "/" + "/".join(data.draw(st.lists(WORDS, max_size=3)))
    query = data.draw(st.dictionaries(WORDS.filter(bool), WORDS, max_size=3))
    body = b"" if kind.endswith("query") else data.draw(st.binary(max_size=20))
    headers = {"X-Amz-Meta-Colour": data.draw(st.text("ab c", max_size=6)), "Content-Type": "text/plain"}
    request = signed(
        kind, path=path, query=query, body=body, headers=headers, token=data.draw(st.sampled_from([None, "t/+="]))
    )
    assert verified(request)
    assert not verified(request, secret="another")
    for change in CHANGES:
        changed = change(request)
        if changed is not None:
            body_is_free = kind == "S3 query" and change is another_body
            assert verified(changed) is body_is_free, change.__name__


def another_method(request: Request) -> Request:
    return replace(request, method="DELETE")


def another_path(request: Request) -> Request:
    return replace(request, path=request.path.rstrip("/") + "/more")


def another_query(request: Request) -> Request:
    return replace(request, query=f"{request.query}&new=1" if request.query else "new=1")


def another_body(request: Request) -> Request:
    return replace(request, body=bytes(request.body) + b"!")


def another_header(request: Request) -> Request | None:
    told = signatures.claim(request)
    if told is None or "x-amz-meta-colour" not in told.signed_headers:
        return None
    raw = [(name, "z" + value if name == "X-Amz-Meta-Colour" else value) for name, value in request.raw_headers]
    return replace(request, raw_headers=raw)


CHANGES: list[Callable[[Request], Request | None]] = [
    another_method, another_path, another_query, another_body, another_header,
]  # fmt: skip


def test_each_chunk_of_a_streamed_body_is_held_to_its_signature_and_the_trailer_too() -> None:
    """S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks"
    and "... Including Trailing Headers": built here from the documented steps."""
    body, request = streamed([b"x" * 70_000, b"y" * 100], {"x-amz-checksum-crc32c": "sOO8/Q=="})
    assert verified(request)
    for at in (100, 70_200, len(body) - 150, len(body) - 20):
        assert not verified(replace(request, body=body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])), at
    assert not verified(replace(request, body=body[: len(body) // 2]))


def streamed(pieces: list[bytes], trailers: dict[str, str]) -> tuple[bytes, Request]:
    payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailers else "")
    request = signed("S3 header", headers={"X-Amz-Content-SHA256": payload, "Content-Encoding": "aws-chunked"})
    # botocore signs the hash of the body it has; the streaming mark goes in its place and is signed anew.
    raw = [(n, payload if n.lower() == "x-amz-content-sha256" else v) for n, v in request.raw_headers]
    request = replace(request, raw_headers=raw, headers=request.headers | {"x-amz-content-sha256": payload})
    told = signatures.claim(request)
    assert told is not None
    key = signatures._signing_key(SECRET, told)
    document = "\n".join(("PUT", "/a", "", signatures._headers(request, told), ";".join(told.signed_headers), payload))
    seed = signatures._sign(key, "\n".join((signatures.ALGORITHM, told.stamp, told.scope, _hash(document.encode()))))
    text = request.headers["authorization"].replace(told.signature, seed)
    raw = [(n, text if n.lower() == "authorization" else v) for n, v in raw]
    body, before = io.BytesIO(), seed
    for piece in [*pieces, b""]:
        words = ("AWS4-HMAC-SHA256-PAYLOAD", told.stamp, told.scope, before, _hash(b""), _hash(piece))
        before = signatures._sign(key, "\n".join(words))
        body.write(f"{len(piece):x};chunk-signature={before}\r\n".encode() + piece + (b"\r\n" if piece else b""))
    lines = "".join(f"{name}:{value}\n" for name, value in sorted(trailers.items()))
    words = ("AWS4-HMAC-SHA256-TRAILER", told.stamp, told.scope, before, _hash(lines.encode()))
    body.write(lines.replace("\n", "\r\n").encode())
    body.write(f"x-amz-trailer-signature:{signatures._sign(key, chr(10).join(words))}\r\n\r\n".encode())
    headers = request.headers | {"authorization": text}
    return body.getvalue(), replace(request, raw_headers=raw, headers=headers, body=body.getvalue())


def _hash(content: bytes) -> str:
    from hashlib import sha256

    return sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("AWS4-HMAC-SHA256 Credential=AK/20261124/r/s3/aws4_request, SignedHeaders=host", "requires 'Signature'"),
        ("AWS4-HMAC-SHA256 Credential=AK, SignedHeaders=host, Signature=0", "exactly 5 slash-delimited elements"),
        ("AWS4-HMAC-SHA256", "requires 'Credential' parameter"),
    ],
)
def test_a_claim_that_lacks_something_says_what(text: str, said: str) -> None:
    headers = {"authorization": text, "x-amz-date": "20261124T000000Z"}
    request = Request("GET", "/", "", headers, list(headers.items()), b"", "127.0.0.1", "0", "0" * 32)
    with pytest.raises(signatures.Incomplete, match=said):
        signatures.claim(request)


def test_nobody_claims_anything_in_an_unsigned_request() -> None:
    request: Any = Request("GET", "/", "", {}, [], b"", "127.0.0.1", "0", "0" * 32)
    assert signatures.claim(request) is None
