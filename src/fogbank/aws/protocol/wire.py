"""One service's wire: a request's bytes to an operation's parameters, and a result to a response, in its protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

import orjson

from fogbank.aws.protocol import (
    cbor_values,
    chunked,
    errors,
    event_stream,
    integrity,
    query,
    rest,
    sqs_query,
    validation,
    xml_values,
)
from fogbank.aws.protocol.json_values import JsonCodec, Suspect
from fogbank.aws.protocol.routing import Bindings
from fogbank.aws.service import ServiceError
from fogbank.kernel.gateway.messages import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fogbank.aws.protocol.models import Model, Operation, Shape
    from fogbank.aws.protocol.routing import Destination
    from fogbank.kernel.gateway.messages import Request


class Wire:
    def __init__(self, model: Model) -> None:
        self.model, self.codec = model, JsonCodec()
        self._bindings = Bindings(model) if model.protocol.startswith("rest-") else None
        self._readers: dict[str, Callable[[Any], Any]] = {}
        self._writers: dict[str, Callable[[Any], Any] | None] = {}
        self._json_type = f"application/x-amz-json-{model.metadata.get('jsonVersion', '1.1')}"

    def find(self, request: Request, where: Destination) -> tuple[Operation | None, Mapping[str, str]]:
        """The operation, and what its path's labels hold; none where the model has no such one."""
        if where.operation or self._bindings is None:
            return self.model.operations.get(where.operation), {}
        found = self._bindings.find(request.method, where.path, request.query, request.headers)
        return found or (None, {})

    # -- in ---------------------------------------------------------------------------------------------------------

    def read(self, request: Request, operation: Operation, labels: Mapping[str, str], protocol: str) -> dict[str, Any]:
        """Parameters as the model has them. Raises `ServiceError` in the service's own words."""
        try:
            if protocol == "json":
                return self._read_json(bytes(request.body), operation)
            found = self._read_other(request, operation, labels, protocol)
            validation.check(self.model.service, self.model.protocol, operation.input, found)
        except validation.Unreadable as error:
            raise _serialization_error(protocol, str(error)) from error
        except (ValueError, KeyError, TypeError, AttributeError, chunked.BadChunks) as error:
            raise _serialization_error(protocol, str(error)) from error
        except xml_values.BadXml as error:
            raise ServiceError(
                "MalformedXML",
                "The XML you provided was not well-formed or did not validate against our published schema",
            ) from error
        return found

    def _read_json(self, body: bytes, operation: Operation) -> dict[str, Any]:
        if operation.input is None:
            return {}
        read = self._readers.get(operation.name)
        if read is None:
            read = self._readers[operation.name] = self.codec.reader(operation.input)
        raw = orjson.loads(body or b"{}")
        try:
            return dict(read(raw))
        except Suspect:
            pass
        if not isinstance(raw, dict):
            raise validation.Unreadable("Start of structure or map expected")
        found = _convert(operation.input, raw)
        validation.check(self.model.service, self.model.protocol, operation.input, found)
        return dict(found)

    def _read_other(
        self, request: Request, operation: Operation, labels: Mapping[str, str], protocol: str
    ) -> dict[str, Any]:
        shape = operation.input
        if protocol == "query":
            return self._read_query(request, operation)
        if protocol in (cbor_values.RPC_V2, cbor_values.AMZ):
            return dict(cbor_values.loads(bytes(request.body), protocol)) if request.body else {}
        if shape is None:
            return {}
        found = rest.read_bound(operation, shape, labels, request)
        found.update(self._read_body(shape, request))
        return found

    def _read_query(self, request: Request, operation: Operation) -> dict[str, Any]:
        shape = self.model.as_query.operations[operation.name].input
        found = query.read(shape, _form(request))
        if self.model.service == "sqs" and shape and "QueueUrl" in shape.members and "QueueUrl" not in found:
            url = sqs_query.queue_url(request.host, request.path)
            return {"QueueUrl": url, **found} if url else found
        return found

    def _read_body(self, shape: Shape, request: Request) -> dict[str, Any]:
        """The members that are the body, or in it."""
        payload = shape.payload
        if payload is not None and payload.type in ("blob", "string"):
            return self._read_raw(payload, request)
        body = bytes(request.body)
        if not body.strip():
            return {}
        if self.model.protocol == "rest-xml":
            if self.model.service == "s3":
                integrity.check_document(shape, request.headers, body)
            element = xml_values.parse(body)
            if payload is not None:
                return {payload.member_name: xml_values.read(payload, element)}
            return dict(xml_values.read(shape, element))
        raw = orjson.loads(body)
        target = payload if payload is not None else shape
        value = _convert(target, raw)
        if payload is not None:
            return {payload.member_name: value}
        in_body = rest.body_members(shape)
        return {name: item for name, item in value.items() if name in in_body}

    def _read_raw(self, payload: Shape, request: Request) -> dict[str, Any]:
        body: bytes | memoryview = request.body
        if chunked.is_chunked(request.headers):
            body, trailers = chunked.decode(body)
            request.headers.update({name: value for name, value in trailers.items() if name not in request.headers})
        if not len(body) and request.headers.get("content-length", "0") == "0" and not payload.trait("streaming"):
            return {}
        return {payload.member_name: body if payload.type == "blob" else bytes(body).decode()}

    # -- out --------------------------------------------------------------------------------------------------------

    def write(self, operation: Operation, result: dict[str, Any], protocol: str, request_id: str) -> Response:
        if protocol == "json":
            return self._write_json(operation, result, request_id)
        if protocol == "query":
            model = self.model.as_query
            body = query.write(model.operations[operation.name], model.namespace, result, request_id)
            return Response(200, [("x-amzn-requestid", request_id), ("content-type", "text/xml")], body)
        if protocol in (cbor_values.RPC_V2, cbor_values.AMZ):
            headers = [("x-amzn-requestid", request_id), *errors.CBOR_HEADERS[protocol]]
            return Response(operation.status, headers, cbor_values.dumps(result, protocol))
        return self._write_rest(operation, result, request_id)

    def _write_json(self, operation: Operation, result: dict[str, Any], request_id: str) -> Response:
        if operation.name not in self._writers:
            self._writers[operation.name] = self.codec.writer(operation.output) if operation.output else None
        write = self._writers[operation.name]
        body = b"" if operation.output is None and not result else orjson.dumps(write(result) if write else result)
        headers = [("x-amzn-requestid", request_id), ("content-type", self._json_type)]
        if self.model.service == "dynamodb":
            headers.append(("x-amz-crc32", str(crc32(body))))
        return Response(200, headers, body)

    def _write_rest(self, operation: Operation, result: dict[str, Any], request_id: str) -> Response:
        shape = operation.output
        xml = self.model.protocol == "rest-xml"
        id_headers = (
            [("x-amz-request-id", request_id), ("x-amz-id-2", "fogbank")] if xml else [("x-amzn-requestid", request_id)]
        )
        if shape is None:
            return Response(operation.status, id_headers)
        response = Response(rest.status_of(operation, result), [*id_headers, *rest.bound_headers(shape, result)])
        self._take_length(response)
        payload = shape.payload
        if payload is not None and payload.trait("eventstream"):
            response.headers.append(("content-type", event_stream.CONTENT_TYPE))
            response.body = event_stream.messages(payload, result[payload.member_name])
        elif payload is not None and payload.type in ("blob", "string"):
            self._write_raw(response, payload, result)
        elif xml:
            self._write_xml(response, operation, shape, result)
        else:
            self._write_rest_json(response, shape, result)
        return response

    def _take_length(self, response: Response) -> None:
        """The framing is the gateway's: a length that an operation tells is of a body that a HEAD does not send."""
        for name, value in response.headers:
            if name.lower() == "content-length":
                response.length = int(value)
        response.headers = [one for one in response.headers if one[0].lower() != "content-length"]

    def _write_raw(self, response: Response, payload: Shape, result: dict[str, Any]) -> None:
        """A body as it is: bytes, text, a file (`Response` itself, where a service needs offset and length)."""
        body = result.get(payload.member_name, b"")
        if isinstance(body, Response):
            response.body, response.length, response.offset = body.body, body.length, body.offset
        else:
            response.body = body.encode() if isinstance(body, str) else bytes(body)
            response.length = len(response.body)
        if not any(name.lower() == "content-type" for name, _ in response.headers):
            kind = "application/json" if self.model.protocol == "rest-json" else "binary/octet-stream"
            response.headers.append(("content-type", kind))

    def _write_xml(self, response: Response, operation: Operation, shape: Shape, result: dict[str, Any]) -> None:
        payload = shape.payload
        if payload is not None:
            value = result.get(payload.member_name)
            if value is None:
                return
            name, target = payload.trait("locationName") or payload.name, payload
        elif rest.body_members(shape):
            name, target, value = shape.trait("locationName") or operation.name + "Result", shape, result
            name = _ROOTS.get(operation.name, name)
        else:
            return
        namespace = "http://s3.amazonaws.com/doc/2006-03-01/" if self.model.service == "s3" else self.model.namespace
        body = '<?xml version="1.0" encoding="UTF-8"?>\n' + xml_values.write_element(name, target, value, namespace)
        response.headers.append(("content-type", "application/xml"))
        response.body = body.encode()

    def _write_rest_json(self, response: Response, shape: Shape, result: dict[str, Any]) -> None:
        payload = shape.payload
        if payload is None:
            names = set(rest.body_members(shape))
            if not names and response.status == 204:
                return
            value: Any = {name: item for name, item in result.items() if name in names}
            write = self.codec.writer(shape)
        else:
            value = result.get(payload.member_name)
            if value is None:
                return
            write = self.codec.writer(payload)
        if not any(name.lower() == "content-type" for name, _ in response.headers):
            response.headers.append(("content-type", "application/json"))
        response.body = b"" if response.status == 204 else orjson.dumps(write(value) if write else value)


# Roots of S3's documents, where they are not the output shape's name with "Result".
_ROOTS = {
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListBuckets": "ListAllMyBucketsResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListParts": "ListPartsResult",
    "GetBucketLocation": "LocationConstraint",
    "DeleteObjects": "DeleteResult",
    "GetBucketTagging": "Tagging",
    "GetObjectTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetObjectAttributes": "GetObjectAttributesResponse",
}


def _convert(shape: Shape, value: Any) -> Any:
    """JSON values into parameters, as far as they fit; the rest is left for validation to name."""
    if value is None or shape.trait("document") or shape.trait("jsonvalue"):
        return value
    if shape.type == "structure" and isinstance(value, dict):
        by_wire = {member.wire_name: (name, member) for name, member in shape.members.items()}
        known = ((by_wire[name], item) for name, item in value.items() if name in by_wire and item is not None)
        return {name: _convert(member, item) for (name, member), item in known}
    if shape.type == "list" and isinstance(value, list):
        return [_convert(shape.member, item) for item in value]
    if shape.type == "map" and isinstance(value, dict):
        return {name: _convert(shape.value, item) for name, item in value.items() if item is not None}
    if shape.type == "blob" and isinstance(value, str):
        return xml_values.scalar(shape, value)
    if shape.type == "timestamp" and isinstance(value, str | int | float):
        return xml_values.scalar(shape, str(value))
    if shape.type in ("integer", "long") and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _form(request: Request) -> str:
    return bytes(request.body).decode() or request.query


def _serialization_error(protocol: str, reason: str) -> ServiceError:
    if protocol == "query":
        return ServiceError("MalformedInput", reason)
    if protocol == "rest-xml":
        return ServiceError("InvalidArgument", reason)
    return ServiceError("SerializationException", reason)
