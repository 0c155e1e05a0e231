"""Whatever botocore's serializer sends, the protocol layer reads as it was meant; what it writes, botocore reads so.

The values are made from the service models, a seed for each operation and direction: a failure comes again.
"""

from __future__ import annotations

import math
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from fogbank.assembly import served
from fogbank.aws.protocol import errors, models
from fogbank.aws.protocol.routing import Destination, destination
from fogbank.aws.protocol.wire import Wire
from fogbank.aws.service import ServiceError
from fogbank.kernel.gateway.messages import Response
from tests.aws.protocol import shapes

if TYPE_CHECKING:
    from botocore.model import OperationModel

    from fogbank.aws.protocol.models import Operation

SERVED = sorted(served()[0])
OTHERS = [service for service in models.modelled() if service not in SERVED]
_TIMES = 4
OURS = {"smithy-rpc-v2-cbor": "cbor"}  # botocore's name of a protocol to the one used here.
SERVICES = [*SERVED, *OTHERS]


@cache
def wire(service: str) -> Wire:
    return Wire(models.load(service))


def cases(service: str) -> list[tuple[OperationModel, str, str]]:
    """Each operation in each protocol, with a seed; several seeds where it is served."""
    model = shapes.model(service)
    spoken = [one for one in shapes.protocols(service) if one != "ec2"]
    return [
        (model.operation_model(name), protocol, f"{service} {name} {protocol} {number}")
        for name in model.operation_names
        for protocol in spoken
        for number in range(_TIMES if service in SERVED else 1)
    ]


def twins(operation: OperationModel) -> set[str]:
    """The operations at the same address: an old one and the one that came in its place."""
    model = operation.service_model
    if not model.protocol.startswith("rest-"):
        return {operation.name}
    others = (model.operation_model(name) for name in model.operation_names)
    return {other.name for other in others if _address(other) == _address(operation)}


def _address(operation: OperationModel) -> tuple[str, str]:
    return operation.http["method"], operation.http["requestUri"]


def plain(value: Any) -> Any:
    """Comparable: moments as epoch seconds, bytes of any kind as bytes, what is absent gone."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return round(value.timestamp())
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.5g}")  # CBOR may carry it in half the bits.
    return value.read() if hasattr(value, "read") else value


@pytest.mark.parametrize("service", SERVICES)
def test_what_botocore_sends_is_read_as_it_was_meant(service: str) -> None:
    for operation, protocol, seed in cases(service):
        if operation.has_event_stream_input or operation.deprecated:
            continue  # None of these is served: the first that is needs a test of its own.
        made = shapes.Maker(seed).request(operation)
        if service == "s3":
            made.pop("ContentMD5", None)  # It would have to be the body's.
        signed_as = operation.service_model.metadata.get("signingName") or operation.service_model.endpoint_prefix
        request = shapes.request(operation, protocol, made, signed_as=signed_as)
        where = destination(request, SERVED)
        if service in SERVED:
            assert where.service == service, operation.name
        else:  # Several services may sign with one name; the first that is served has it.
            where = Destination(service, where.operation, region=where.region, path=where.path)
        found, labels = wire(service).find(request, where)
        assert found is not None, f"{operation.name} over {protocol}: nothing at {request.method} {request.path}"
        assert found.name in twins(operation), f"{request.method} {request.path}?{request.query}"
        if found.name != operation.name:
            continue
        read = wire(service).read(request, found, labels, OURS.get(protocol, protocol))
        if "ContentLength" not in made:
            read.pop("ContentLength", None)  # The client adds the header.
        if protocol == "query":
            made = filled(made)
        assert plain(read) == plain(made), f"{operation.name} over {protocol}"


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_answered_botocore_reads_as_it_was_meant(service: str) -> None:
    for operation, protocol, seed in cases(service):
        made = shapes.Maker(seed + " answer").answer(operation)
        if operation.has_event_stream_output or operation.deprecated:
            continue  # None of these is served: the first that is needs a test of its own.
        ours = models.load(service).operations[operation.name]
        answer = wire(service).write(ours, made, OURS.get(protocol, protocol), "request-1")
        read = shapes.parse(operation, protocol, answer.status, headers(answer), bytes(answer.body))  # type: ignore[arg-type]
        read.pop("ResponseMetadata")
        wanted, found = carried(ours, answer, made), carried(ours, answer, read)
        assert plain(found) == plain(wanted), f"{operation.name} over {protocol}"


@pytest.mark.parametrize("service", SERVICES)
def test_an_error_reaches_botocore_by_its_code_with_its_message_and_members(service: str) -> None:
    for operation, protocol, _ in cases(service):
        for shape in [*operation.error_shapes, None]:
            code = shape.name if shape is not None else "SomethingElse"
            told = ServiceError(code, 'What <went> wrong & "how"')
            answer = errors.response(
                models.load(service), OURS.get(protocol, protocol), wire(service).codec, told, "request-1"
            )
            read = shapes.parse_error(
                operation.service_model,
                operation,
                protocol,
                answer.status,
                headers(answer),
                bytes(answer.body),  # type: ignore[arg-type]
            )
            older = models.load(service).query_codes.get(code, code)
            wanted = (shape.metadata.get("error") or {}).get("code", older) if shape is not None else code
            assert read["Error"]["Code"] in (wanted, code), f"{operation.name} over {protocol}"
            assert read["Error"]["Message"] == told.message, f"{operation.name} over {protocol}"
            assert answer.status >= 400


def filled(value: Any) -> Any:
    """Without structures that hold nothing: form fields cannot tell of them."""
    if not isinstance(value, dict):
        return [filled(item) for item in value] if isinstance(value, list) else value
    return {name: below for name, item in value.items() if (below := filled(item)) != {}}


def carried(operation: Operation, answer: Response, values: dict[str, Any]) -> dict[str, Any]:
    """What the answer can carry: with status 204 no body; the body's length is the gateway's to tell; and headers
    without a prefix are all there are."""
    assert operation.output is not None or not values
    members = operation.output.members if operation.output else {}
    kept = {}
    for name, value in values.items():
        location, wire_name = members[name].location, members[name].wire_name
        if (answer.status == 204 and not location) or wire_name.lower() == "content-length":
            continue
        kept[name] = {k: v for k, v in value.items() if "key" in k} if location == "headers" else value
        if not kept[name] and location == "headers":
            del kept[name]
    return kept


def headers(answer: Response) -> dict[str, str]:
    """With the length that the gateway adds."""
    return dict(answer.headers) | ({} if answer.length is None else {"content-length": str(answer.length)})
