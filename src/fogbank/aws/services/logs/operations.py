"""Groups, streams, and lines put, read and filtered."""

from __future__ import annotations

import re
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

_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
_NAME = re.compile(r"[.\-_/#A-Za-z0-9]+")
_STREAM_NAME = re.compile(r"[^:*]+")
_TAGS_MAX = 50

TAGS = Records(dict[str, str], "logs", "tags")  # (owner, group)
CHOSEN = Records(dict[str, str], "logs", "chosen")  # (owner, group): members of CreateLogGroup that are shown as given


class Logs(Operations):
    service: ClassVar = "logs"
    refused: ClassVar = {
        "CreateLogGroup": {"deletionProtectionEnabled": (False,)},
        "DescribeLogGroups": {"includeLinkedAccounts": (False,), "accountIdentifiers": ([],)},
    }
    without_effect: ClassVar = {
        "PutLogEvents": {"sequenceToken": "The sequence token is now ignored in PutLogEvents actions."},
        "FilterLogEvents": {"interleaved": "Starting on June 17, 2019, this parameter is ignored."},
        "*": {"unmask": "Nothing is masked: there are no data protection policies."},
    }

    def backgrounds(self) -> list[Background]:
        return [Background("logs: forget what is past its retention", self._expire)]

    # -- groups and streams --

    def create_log_group(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        name = request["logGroupName"]
        if not _NAME.fullmatch(name):
            raise _invalid("logGroupName", name, r"Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+")
        if logs.GROUPS.get(tx, _owner(call), name) is not None:
            raise ServiceError("ResourceAlreadyExistsException", "The specified log group already exists")
        logs.GROUPS.put(tx, _owner(call), name, row=Group(name, call.now_ms))
        if request.get("tags"):
            TAGS.put(tx, _owner(call), name, row=_checked_tags(request["tags"]))
        chosen: dict[str, str] = {m: request[m] for m in ("logGroupClass", "kmsKeyId") if m in request}
        if chosen:
            CHOSEN.put(tx, _owner(call), name, row=chosen)

    def delete_log_group(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        group = _group(tx, call, request)
        logs.drop_group(tx, _owner(call), group.name)
        TAGS.delete(tx, _owner(call), group.name)
        CHOSEN.delete(tx, _owner(call), group.name)

    def describe_log_groups(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        prefix, pattern = request.get("logGroupNamePrefix", ""), request.get("logGroupNamePattern", "")
        named = [_bare(one) for one in request.get("logGroupIdentifiers", [])]
        if sum(map(bool, (prefix, pattern, named))) > 1:
            told = "Only one of logGroupNamePrefix, logGroupNamePattern and logGroupIdentifiers can be specified."
            raise ServiceError("InvalidParameterException", told)
        wanted = request.get("logGroupClass")
        after, limit = request.get("nextToken", ""), request.get("limit", _GROUPS_PAGE)
        matching = [
            group
            for group in logs.GROUPS.all(tx, _owner(call))
            if group.name.startswith(prefix) and pattern in group.name and group.name > after
            and (not named or group.name in named) and wanted in (None, _class(tx, call, group))
        ]  # fmt: skip
        more = {"nextToken": matching[limit - 1].name} if len(matching) > limit else {}
        return {"logGroups": [_shown_group(tx, call, group) for group in matching[:limit]], **more}

    def put_retention_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        days = request["retentionInDays"]
        if days not in _DAYS:
            raise _invalid("retentionInDays", days, f"Member must satisfy enum value set: {list(_DAYS)}")
        group = replace(_group(tx, call, request), retention_days=days)
        logs.GROUPS.put(tx, _owner(call), group.name, row=group)

    def delete_retention_policy(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        group = replace(_group(tx, call, request), retention_days=None)
        logs.GROUPS.put(tx, _owner(call), group.name, row=group)

    def create_log_stream(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        group, name = _group(tx, call, request), request["logStreamName"]
        if not _STREAM_NAME.fullmatch(name):
            raise _invalid("logStreamName", name, "Member must satisfy regular expression pattern: [^:*]*")
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
            if prefix:
                told = "Cannot order by LastEventTime with a logStreamNamePrefix."
                raise ServiceError("InvalidParameterException", told)
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

    # -- tags: by ARN, and by name as it was before --

    def list_tags_for_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"tags": self._tags(tx, call, {"logGroupName": request["resourceArn"]})}

    def tag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        self._tag(tx, call, {"logGroupName": request["resourceArn"]}, request["tags"])

    def untag_resource(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        self._untag(tx, call, {"logGroupName": request["resourceArn"]}, request["tagKeys"])

    def list_tags_log_group(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return {"tags": self._tags(tx, call, request)}

    def tag_log_group(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        self._tag(tx, call, request, request["tags"])

    def untag_log_group(self, tx: Tx, call: Call, request: dict[str, Any]) -> None:
        self._untag(tx, call, request, request["tags"])

    def _tags(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, str]:
        return TAGS.get(tx, _owner(call), _group(tx, call, request).name) or {}

    def _tag(self, tx: Tx, call: Call, request: dict[str, Any], given: dict[str, str]) -> None:
        tags = _checked_tags(self._tags(tx, call, request) | given)
        TAGS.put(tx, _owner(call), _name(request), row=tags)

    def _untag(self, tx: Tx, call: Call, request: dict[str, Any], keys: list[str]) -> None:
        left = {key: value for key, value in self._tags(tx, call, request).items() if key not in keys}
        TAGS.put(tx, _owner(call), _name(request), row=left)

    # -- lines --

    def put_log_events(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        group, stream, events = _group(tx, call, request), _stream(tx, call, request), request["logEvents"]
        if sum(len(event["message"].encode()) + _LINE_BYTES for event in events) > _BATCH_BYTES_MAX:
            raise ServiceError("InvalidParameterException", "Upload too large: the batch is larger than 1048576 bytes")
        times = [event["timestamp"] for event in events]
        if times != sorted(times):
            raise ServiceError(
                "InvalidParameterException",
                "Log events in a single PutLogEvents request must be in chronological order.",
            )
        lines = [(event["timestamp"], event["message"]) for event in events]
        # "Events older than 14 days or preceding the log group's retention period", "more than 2 hours in the future".
        expired_ms = call.now_ms - (group.retention_days or 36_500) * _DAY_MS
        oldest_ms = max(call.now_ms - 14 * _DAY_MS, expired_ms)
        newest_ms = call.now_ms + 7_200_000
        fresh = [line for line in lines if oldest_ms < line[0] <= newest_ms]
        if fresh and fresh[-1][0] - fresh[0][0] > _DAY_MS:
            told = "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
            raise ServiceError("InvalidParameterException", told)
        if fresh:
            logs.append(tx, _owner(call), _name(request), stream.name, fresh, call.now_ms)
        answer: dict[str, Any] = {"nextSequenceToken": str(stream.batches + 1)}
        rejected = {
            "tooOldLogEventEndIndex": sum(1 for at_ms in times if at_ms <= call.now_ms - 14 * _DAY_MS),
            "expiredLogEventEndIndex": sum(1 for at_ms in times if at_ms <= expired_ms),
        }
        rejected = {name: index for name, index in rejected.items() if index}
        if times[-1] > newest_ms:
            rejected["tooNewLogEventStartIndex"] = sum(1 for at_ms in times if at_ms <= newest_ms)
        if rejected:
            answer["rejectedLogEventsInfo"] = rejected
        if "entity" in request:  # Entities are not kept here, and the caller is told so.
            answer["rejectedEntityInfo"] = {"errorType": "UnsupportedLogGroupType"}
        return answer

    def get_log_events(self, tx: Tx, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Tokens say where to go on, in either direction; at an end the same token comes back."""
        stream = _stream(tx, call, request)
        limit, token = request.get("limit", _PAGE), _token(request)
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
        if names is not None and prefix:
            told = "Only one of logStreamNames and logStreamNamePrefix can be specified."
            raise ServiceError("InvalidParameterException", told)
        for name in names or ():
            _stream(tx, call, {**request, "logStreamName": name})
        limit, token = request.get("limit", _PAGE), _token(request)
        forward = request.get("startFromHead", True) if not token else token.startswith("f/")
        # "Events with a timestamp later than this time are not returned": unlike GetLogEvents', this end is included.
        end_ms = request["endTime"] + 1 if "endTime" in request else None
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
                to_ms=end_ms,
            )
            found += [(name + stream.name, taken, line, stream.name) for name, taken, line in rows if wanted(line[1])]
        found.sort(key=lambda row: (row[2][0], row[0]), reverse=not forward)
        behind = token[2:]
        places = [(f"{row[2][0]:020d}{row[0]}", row) for row in found]
        rest = [row for place, row in places if not behind or (place > behind if forward else place < behind)]
        page = rest[:limit]
        shown = [
            {"logStreamName": stream, "timestamp": line[0], "message": line[1], "ingestionTime": taken, "eventId": name}
            for name, taken, line, stream in page
        ]
        way = "f" if forward else "b"
        more = {"nextToken": f"{way}/{page[-1][2][0]:020d}{page[-1][0]}"} if len(rest) > limit else {}
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
    given = [request[member] for member in ("logGroupName", "logGroupIdentifier") if request.get(member)]
    if len(given) != 1:
        told = "Exactly one of logGroupName and logGroupIdentifier must be specified."
        raise ServiceError("InvalidParameterException", told)
    return _bare(given[0])


def _bare(identifier: str) -> str:
    return identifier.split(":log-group:")[-1].removesuffix(":*")


def _token(request: dict[str, Any]) -> str:
    """Which way to go on, and behind what: "f/…" or "b/…"."""
    token = str(request.get("nextToken", ""))
    if token and not token.startswith(("f/", "b/")):
        raise ServiceError("InvalidParameterException", "The specified nextToken is invalid.")
    return token


def _invalid(name: str, value: Any, constraint: str) -> ServiceError:
    told = f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: {constraint}"
    return ServiceError("InvalidParameterException", told)


def _checked_tags(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > _TAGS_MAX:
        told = f"The number of tags exceeds the limit of {_TAGS_MAX} for a resource."
        raise ServiceError("InvalidParameterException", told)
    return tags


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


def _class(tx: Tx, call: Call, group: Group) -> str:
    return (CHOSEN.get(tx, _owner(call), group.name) or {}).get("logGroupClass", "STANDARD")


def _shown_group(tx: Tx, call: Call, group: Group) -> dict[str, Any]:
    arn = call.arn("logs", f"log-group:{group.name}")
    shown = {
        "logGroupName": group.name,
        "creationTime": group.created_ms,
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "logGroupArn": arn,
        "storedBytes": 0,
        "logGroupClass": "STANDARD",
        **(CHOSEN.get(tx, _owner(call), group.name) or {}),
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
