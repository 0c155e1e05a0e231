"""Where those answer who are no part of this program: an address to put a document at, with a secret in it.

To the custom resources' helpers it is what CloudFormation gives them: a presigned URL of a bucket. User Guide, "Custom
resource request and response reference"; "Create wait conditions in a CloudFormation template".
"""

from __future__ import annotations

import hmac
import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote

from fogbank.aws.stacks import records
from fogbank.aws.stacks.records import Mailbox
from fogbank.kernel.gateway.messages import Request, Response, Route

if TYPE_CHECKING:
    from fogbank.aws.service import House
    from fogbank.kernel.store import Tx

_BUCKET = "cloudformation-custom-resource-response-"
_PATH = re.compile(rf"/{_BUCKET}[a-z0-9]+(?=/)")
_OPEN_MS = (
    7_200_000  # Longer than the longest that is waited for an answer, which is an hour; a wait condition's is 12.
)
_ANSWER_BYTES_MAX = 4096
_ANSWERS_MAX = 1000
_SECRET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def routes(house: House) -> list[Route]:
    desk = _Desk(house)
    return [Route(desk.answer, path=_PATH)]


def new(tx: Tx, mailbox_id: str, secret: str, now_ms: int) -> None:
    records.MAILBOXES.put(tx, mailbox_id, row=Mailbox(secret, now_ms + _OPEN_MS))


def address(house: House, region: str, mailbox_id: str, secret: str) -> str:
    base = f"{house.endpoint()}/{_BUCKET}{region.replace('-', '')}"
    expires_s = (house.clock.wall_ms() + _OPEN_MS) // 1000
    return f"{base}/{quote(mailbox_id, safe='')}?AWSAccessKeyId=fogbank&Expires={expires_s}&Signature={secret}"


def new_secret(house: House) -> str:
    return house.ids.token(40, _SECRET)


class _Desk:
    def __init__(self, house: House) -> None:
        self._house = house

    async def answer(self, request: Request) -> Response:
        found = _PATH.match(request.path)
        assert found is not None
        key = request.path[found.end() + 1 :]
        if request.method != "PUT":
            return _refusal(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        if len(request.body) > _ANSWER_BYTES_MAX:
            return _refusal(400, "EntityTooLarge", "Response object is too long.")
        given = parse_qs(request.query).get("Signature", [""])[0]
        kept = await self._house.store.transact(
            _put, unquote(key), given, bytes(request.body), self._house.clock.now_ms()
        )
        return Response(200, [("ETag", '""')]) if kept else _refusal(403, "AccessDenied", "Access Denied")


def _put(tx: Tx, mailbox_id: str, secret: str, body: bytes, now_ms: int) -> bool:
    box = records.MAILBOXES.get(tx, mailbox_id, lock=True)
    if box is None or not hmac.compare_digest(box.secret, secret) or box.expires_ms < now_ms:
        return False
    if len(box.answers) < _ANSWERS_MAX:
        records.MAILBOXES.put(tx, mailbox_id, row=replace(box, answers=[*box.answers, body]))
        tx.emit(records.ANSWERED, (mailbox_id,))
    return True


def _refusal(status: int, code: str, message: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(status, [("content-type", "application/xml")], body.encode())
