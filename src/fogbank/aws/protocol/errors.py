"""Errors on the wire: one place where a `ServiceError` becomes each protocol's own document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from fogbank.aws.protocol import cbor_values, rest, xml_values
from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from fogbank.aws.protocol.json_values import JsonCodec
    from fogbank.aws.protocol.models import Model, Shape
    from fogbank.aws.service import ServiceError

# Where a service names its errors with a namespace: the SDKs cut it off, people's scripts look for it.
_NAMESPACES = {
    "dynamodb": "com.amazonaws.dynamodb.v20120810#",
    "dynamodbstreams": "com.amazonaws.dynamodb.v20120810#",
    "sqs": "com.amazonaws.sqs#",
}
HOST_ID = "fogbank"
CBOR_HEADERS = {
    cbor_values.RPC_V2: [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")],
    cbor_values.AMZ: [("content-type", cbor_values.AMZ_TYPE)],
}
_CORAL = ("ValidationException", "SerializationException", "UnknownOperationException", "AccessDeniedException")


def response(model: Model, protocol: str, codec: JsonCodec, error: ServiceError, request_id: str) -> Response:
    shape = model.error(error.code)
    status, wire_code = _status_and_code(model, shape, error)
    told = _WRITERS.get(protocol, _json)(_Told(model, codec, error, shape, status, wire_code, request_id))
    told.headers += error.headers.items()
    return told


@dataclass(frozen=True, slots=True)
class _Told:
    """An error with all that any protocol says of it."""

    model: Model
    codec: JsonCodec
    error: ServiceError
    shape: Shape | None
    status: int
    wire_code: str
    request_id: str

    @property
    def name(self) -> str:
        return self.shape.name if self.shape else self.error.code

    @property
    def query_header(self) -> list[tuple[str, str]]:
        """For clients that still look for the codes of the query protocol (the trait awsQueryCompatible)."""
        if "awsQueryCompatible" not in self.model.metadata:
            return []
        return [("x-amzn-query-error", f"{self.wire_code};{self.fault}")]

    @property
    def fault(self) -> str:
        return "Sender" if self.status < 500 else "Receiver"


def _status_and_code(model: Model, shape: Shape | None, error: ServiceError) -> tuple[int, str]:
    traits = shape.trait("error") or {} if shape else {}
    fault = 500 if shape and shape.trait("fault") else None
    given = error.status if error.status != 400 else None
    code = traits.get("code") or model.query_codes.get(error.code) or error.code
    return given or traits.get("httpStatusCode") or fault or error.status, code


def _fields(codec: JsonCodec, shape: Shape | None, error: ServiceError) -> dict[str, Any]:
    write = codec.writer(shape) if shape else None
    return dict(write(error.fields)) if write else dict(error.fields)


def _json(told: _Told) -> Response:
    namespace = _NAMESPACES.get(told.model.service, "")
    if namespace and told.name in _CORAL:
        namespace = "com.amazon.coral.validate#" if told.name == "ValidationException" else "com.amazon.coral.service#"
    capital = (told.shape and "Message" in told.shape.members) or told.name == "SerializationException"
    document = {
        "__type": namespace + told.name,
        **_fields(told.codec, told.shape, told.error),
        "Message" if capital else "message": told.error.message,
    }
    kind = f"application/x-amz-json-{told.model.metadata.get('jsonVersion', '1.1')}"
    headers = [("x-amzn-requestid", told.request_id), ("content-type", kind), *told.query_header]
    return Response(told.status, headers, orjson.dumps(document))


def _rest_json(told: _Told) -> Response:
    members, fields = (told.shape.members if told.shape else {}), told.error.fields
    body = {name: value for name, value in fields.items() if name not in members or not members[name].location}
    document = {**body, "Message" if "Message" in members else "message": told.error.message}
    headers = [("x-amzn-requestid", told.request_id), ("x-amzn-errortype", told.name)]
    headers += rest.bound_headers(told.shape, fields) if told.shape else []
    return Response(told.status, [*headers, ("content-type", "application/json")], orjson.dumps(document))


def _query(told: _Told) -> Response:
    extra = xml_values.write_members(told.shape, told.error.fields) if told.shape else ""
    body = (
        f'<ErrorResponse xmlns="{told.model.as_query.namespace}"><Error><Type>{told.fault}</Type>'
        f"<Code>{xml_values.text(told.wire_code)}</Code><Message>{xml_values.text(told.error.message)}</Message>{extra}</Error>"
        f"<RequestId>{told.request_id}</RequestId></ErrorResponse>"
    )
    return Response(told.status, [("x-amzn-requestid", told.request_id), ("content-type", "text/xml")], body.encode())


def _rest_xml(told: _Told) -> Response:
    extra = "".join(f"<{name}>{xml_values.text(str(value))}</{name}>" for name, value in told.error.fields.items())
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{xml_values.text(told.wire_code)}</Code>'
        f"<Message>{xml_values.text(told.error.message)}</Message>{extra}<RequestId>{told.request_id}</RequestId>"
        f"<HostId>{HOST_ID}</HostId></Error>"
    )
    headers = [("x-amz-request-id", told.request_id), ("x-amz-id-2", HOST_ID), ("content-type", "application/xml")]
    return Response(told.status, headers, b"" if told.status == 304 else body.encode())


def _cbor(told: _Told) -> Response:
    document = {"__type": told.name, **told.error.fields, "message": told.error.message}
    headers = [("x-amzn-requestid", told.request_id), *CBOR_HEADERS[cbor_values.RPC_V2], *told.query_header]
    return Response(told.status, headers, cbor_values.dumps(document, cbor_values.RPC_V2))


def _amz_cbor(told: _Told) -> Response:
    document = {"__type": told.name, **told.error.fields, "message": told.error.message}
    headers = [("x-amzn-requestid", told.request_id), *CBOR_HEADERS[cbor_values.AMZ], *told.query_header]
    return Response(told.status, headers, cbor_values.dumps(document, cbor_values.AMZ))


_WRITERS = {
    "query": _query, "rest-xml": _rest_xml, "rest-json": _rest_json, cbor_values.RPC_V2: _cbor,
    cbor_values.AMZ: _amz_cbor,
}  # fmt: skip
