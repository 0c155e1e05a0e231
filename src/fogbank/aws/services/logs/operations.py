"""Groups, streams, and lines put, read and filtered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from fogbank.aws.service import Background, Call, Operations, ServiceError
from fogbank.aws.services.logs import patterns
from fogbank.kernel.store.records import Records
from fogbank.primitives import logs
from fogbank.primitives.logs import Group, Stream

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

_PAGE = 10_000  # FilterLogEvents and GetLogEvents, limit: the default.
_GROUPS_PAGE = 50
_EXPIRE_EVERY_MS = 3_600_000
_LINE_BYTES = 26  # "CloudWatch Logs quotas": what each event adds to the size of a batch.
_BATCH_BYTES_MAX = 1_048_576
_DAY_MS = 86_400_000

TAGS = Records(dict[str, str], "logs", "tags")  # (owner, group)


class Logs(Operations):
    service: ClassVar = "logs"

    def backgrounds(self) -> list[Background]:
        return [Background("logs: forget what is past its retention", self._expire)]

    # -- groups and streams --

    def create_log_group(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        name = request["logGroupName"]
        if logs.GROUPS.get(tx, _owner(call), name) is not None:
            raise ServiceError("ResourceAlreadyExistsException", "The specified log group already exists")
        logs.GROUPS.put(tx, _owner(call), name, row=Group(name, call.now_ms))
        if request.get("tags"):
            TAGS.put(tx, _owner(call), name, row=request["tags"])

    def delete_log_group(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        group = _group(tx, call, request)
        logs.drop_group(tx, _owner(call), group.name)
        TAGS.delete(tx, _owner(call), group.name)

    def describe_log_groups(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        prefix, pattern = request.get("logGroupNamePrefix", ""), request.get("logGroupNamePattern", "")
        after, limit = request.get("nextToken", ""), request.get("limit", _GROUPS_PAGE)
        matching = [
            group
            for group in logs.GROUPS.all(tx, _owner(call))
            if group.name.startswith(prefix) and pattern in group.name and group.name > after
        ]
        more = {"nextToken": matching[limit - 1].name} if len(matching) > limit else {}
        return {"logGroups": [_shown_group(call, group) for group in matching[:limit]], **more}

    def put_retention_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        group = replace(_group(tx, call, request), retention_days=request["retentionInDays"])
        logs.GROUPS.put(tx, _owner(call), group.name, row=group)

    def delete_retention_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        group = replace(_group(tx, call, request), retention_days=None)
        logs.GROUPS.put(tx, _owner(call), group.name, row=group)

    def create_log_stream(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        group, name = _group(tx, call, request), request["logStreamName"]
        if logs.STREAMS.get(tx, _owner(call), group.name, name) is not None:
            raise ServiceError("ResourceAlreadyExistsException", "The specified log stream already exists")
        logs.STREAMS.put(tx, _owner(call), group.name, name, row=Stream(name, call.now_ms))

    def delete_log_stream(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        stream = _stream(tx, call, request)
        logs.drop_stream(tx, _owner(call), _name(request), stream.name)

    def describe_log_streams(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        group, prefix = _group(tx, call, request), request.get("logStreamNamePrefix", "")
        rows = [one for one in logs.STREAMS.all(tx, _owner(call), group.name) if one.name.startswith(prefix)]
        if request.get("orderBy") == "LastEventTime":
            rows.sort(key=lambda one: one.last_ms or 0)
        if request.get("descending"):
            rows.reverse()
        token = request.get("nextToken", "0")
        if not token.isdecimal():
            raise ServiceError("InvalidParameterException", "The specified nextToken is invalid.")
        start, limit = int(token), request.get("limit", _GROUPS_PAGE)
        more = {"nextToken": str(start + limit)} if len(rows) > start + limit else {}
        page = rows[start : start + limit]
        return {"logStreams": [_shown_stream(call, group.name, one) for one in page], **more}

    def list_tags_log_group(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"tags": TAGS.get(tx, _owner(call), _group(tx, call, request).name) or {}}

    # -- lines --

    def put_log_events(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        stream, events = _stream(tx, call, request), request["logEvents"]
        if sum(len(event["message"].encode()) + _LINE_BYTES for event in events) > _BATCH_BYTES_MAX:
            raise ServiceError("InvalidParameterException", "Upload too large: the batch is larger than 1048576 bytes")
        times = [event["timestamp"] for event in events]
        if times != sorted(times):
            raise ServiceError(
                "InvalidParameterException",
                "Log events in a single PutLogEvents request must be in chronological order.",
            )
        lines = [(event["timestamp"], event["message"]) for event in events]
        fresh = [line for line in lines if call.now_ms - 14 * _DAY_MS < line[0] < call.now_ms + 7_200_000]
        if fresh:
            logs.append(tx, _owner(call), _name(request), stream.name, fresh, call.now_ms)
        answer: dict[str, Any] = {"nextSequenceToken": str(stream.batches + 1)}
        too_old = sum(1 for line in lines if line[0] <= call.now_ms - 14 * _DAY_MS)
        if too_old:
            answer["rejectedLogEventsInfo"] = {"tooOldLogEventEndIndex": too_old}
        return answer

    def get_log_events(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Tokens say where to go on, in either direction; at an end the same token comes back."""
        stream = _stream(tx, call, request)
        limit, token = request.get("limit", _PAGE), request.get("nextToken", "")
        forward = request.get("startFromHead", False) if not token else token.startswith("f/")
        rows = logs.read(
            tx, _owner(call), _name(request), stream.name, from_ms=request.get("startTime", 0),
            to_ms=request.get("endTime"), reverse=not forward,
        )  # fmt: skip
        at = token[2:]
        page: list[tuple[str, int, logs.Line]] = []
        for name, ingested_ms, line in rows:
            if at and (name <= at if forward else name >= at):
                continue
            if len(page) == limit:
                break
            page.append((name, ingested_ms, line))
        if not forward:
            page.reverse()
        first, last = (page[0][0], page[-1][0]) if page else (at, at)
        shown = [{"timestamp": line[0], "message": line[1], "ingestionTime": taken} for _, taken, line in page]
        return {"events": shown, "nextForwardToken": f"f/{last}", "nextBackwardToken": f"b/{first}"}

    def filter_log_events(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        group = _group(tx, call, request)
        wanted = patterns.compile_pattern(request.get("filterPattern", ""))
        names, prefix = request.get("logStreamNames"), request.get("logStreamNamePrefix", "")
        limit, after = request.get("limit", _PAGE), request.get("nextToken", "")
        found = []
        for stream in logs.STREAMS.all(tx, _owner(call), group.name):
            if (names is not None and stream.name not in names) or not stream.name.startswith(prefix):
                continue
            if stream.last_ms is not None and stream.last_ms < request.get("startTime", 0):
                continue
            rows = logs.read(
                tx,
                _owner(call),
                group.name,
                stream.name,
                from_ms=request.get("startTime", 0),
                to_ms=request.get("endTime"),
            )
            found += [(name + stream.name, taken, line, stream.name) for name, taken, line in rows if wanted(line[1])]
        found.sort(key=lambda row: (row[2][0], row[0]))
        rest = [row for row in found if f"{row[2][0]:020d}{row[0]}" > after]
        page = rest[:limit]
        shown = [
            {"logStreamName": stream, "timestamp": line[0], "message": line[1], "ingestionTime": taken, "eventId": name}
            for name, taken, line, stream in page
        ]
        more = {"nextToken": f"{page[-1][2][0]:020d}{page[-1][0]}"} if len(rest) > limit else {}
        return {"events": shown, "searchedLogStreams": [], **more}

    async def _expire(self) -> None:
        while True:
            await self.house.clock.sleep(_EXPIRE_EVERY_MS)
            await self.house.store.transact(_expire_all, self.house.clock.now_ms())


def _expire_all(tx: Tx, now_ms: int) -> None:
    for key, group in list(logs.GROUPS.scan(tx)):
        logs.expire(tx, str(key[-2]), group, now_ms)


def _owner(call: Call) -> str:
    return f"{call.account}/{call.region}"


def _name(request: dict[str, Any]) -> str:
    """By name or by ARN."""
    given = request.get("logGroupName") or request.get("logGroupIdentifier") or ""
    return str(given.split(":log-group:")[-1].removesuffix(":*"))


def _group(tx: Tx, call: Call, request: dict[str, Any]) -> Group:
    found = logs.GROUPS.get(tx, _owner(call), _name(request))
    if found is None:
        raise ServiceError("ResourceNotFoundException", "The specified log group does not exist.")
    return found


def _stream(tx: Tx, call: Call, request: dict[str, Any]) -> Stream:
    _group(tx, call, request)
    found = logs.STREAMS.get(tx, _owner(call), _name(request), request["logStreamName"])
    if found is None:
        raise ServiceError("ResourceNotFoundException", "The specified log stream does not exist.")
    return found


def _shown_group(call: Call, group: Group) -> dict[str, Any]:
    arn = call.arn("logs", f"log-group:{group.name}")
    shown = {
        "logGroupName": group.name,
        "creationTime": group.created_ms,
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "logGroupArn": arn,
        "storedBytes": 0,
        "logGroupClass": "STANDARD",
    }
    return shown | ({"retentionInDays": group.retention_days} if group.retention_days else {})


def _shown_stream(call: Call, group: str, stream: Stream) -> dict[str, Any]:
    shown = {
        "logStreamName": stream.name,
        "creationTime": stream.created_ms,
        "arn": call.arn("logs", f"log-group:{group}:log-stream:{stream.name}"),
        "storedBytes": 0,
        "uploadSequenceToken": str(stream.batches + 1),
    }
    times = {
        "firstEventTimestamp": stream.first_ms,
        "lastEventTimestamp": stream.last_ms,
        "lastIngestionTime": stream.ingested_ms,
    }
    return shown | {name: value for name, value in times.items() if value is not None}
