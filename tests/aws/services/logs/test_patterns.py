"""Filter patterns, with the examples of the CloudWatch Logs User Guide, "Filter pattern syntax …"."""

from __future__ import annotations

import pytest

from fogbank.aws.service import ServiceError
from fogbank.aws.services.logs.patterns import compile_pattern

EVENT = (
    '{"eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111", "arrayKey": ["value", "another value"],'
    ' "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}], "SomeObject": null, "cluster.name": "c",'
    ' "errorCode": 400, "latency": 4.5e-1, "dryRun": true, "text": "say \\"hi\\" [now]"}'
)


@pytest.mark.parametrize(
    ("pattern", "holds"),
    [
        ('{ $.eventType = "UpdateTrail" }', True),
        ("{ $.eventType = UpdateTrail }", True),
        ("{ $.eventType = Update* }", True),
        ("{ $.eventType = %Trail$% }", True),
        ('{ $.eventType != "UpdateTrail" }', False),
        ("{ $.sourceIPAddress != 123.123.* }", True),
        ('{ $.arrayKey[0] = "value" }', True),
        ('{ $.arrayKey[5] = "value" }', False),
        ("{ $.objectList[1].id = 2 }", True),
        ("{ $.objectList[*].id > 1 }", True),
        ("{ $.SomeObject IS NULL }", True),
        ("{ $.SomeOtherObject NOT EXISTS }", True),
        ("{ $.eventType NOT EXISTS }", False),
        ("{ $.dryRun IS TRUE }", True),
        ("{ $.dryRun IS FALSE }", False),
        ("{ $.errorCode >= 400 && $.errorCode < 500 }", True),
        ("{ $.errorCode = 4.0e2 }", True),
        ("{ $.latency < 0.5 }", True),
        ("{ $.['cluster.name'] = c }", True),
        ('{ ($.errorCode = 1) || ($.eventType = "UpdateTrail" && $.dryRun IS TRUE) }', True),
        ('{ ($.errorCode = 1 || $.eventType = "UpdateTrail") && $.dryRun IS FALSE }', False),
        ("{ $.missing != 5 }", False),
    ],
)
def test_patterns_over_json(pattern: str, holds: bool) -> None:
    assert compile_pattern(pattern)(EVENT) is holds
    assert compile_pattern(pattern)("no json at all") is False


ACCESS = '127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'


@pytest.mark.parametrize(
    ("pattern", "holds"),
    [
        ("[ip, server, username, timestamp, request, status_code, bytes > 1000]", True),
        ("[ip, server, username, timestamp, request, status_code, bytes > 2000]", False),
        ("[ip, server, username, timestamp, request, status_code = 4*, bytes]", True),
        ("[ip, server, username, timestamp, request =*.html*, status_code = 4*, bytes]", True),
        ("[..., status_code=4*, bytes]", True),
        ("[ip=%127\\.0\\.0\\.[1-9]%, ..., status_code = 404 || status_code = 410, bytes]", True),
        ("[..., status_code != 404 && status_code != 410, bytes]", False),
        ("[ip, server]", False),
        ("[ip, server, ...]", True),
    ],
)
def test_patterns_over_columns(pattern: str, holds: bool) -> None:
    assert compile_pattern(pattern)(ACCESS) is holds


@pytest.mark.parametrize(
    ("pattern", "line", "holds"),
    [
        ("", "anything", True),
        ("ERROR", "[ERROR 419] MISSING ARGUMENTS", True),
        ("ERROR ARGUMENTS", "[ERROR 420] INVALID ARGUMENTS", True),
        ("?ERROR ?WARN", "[WARN] slow", True),
        ("ERROR -EXITING", "[ERROR 1] EXITING", False),
        ('"INTERNAL SERVER ERROR"', "[ERROR 500] INTERNAL SERVER ERROR", True),
        ("%AUTHORIZED [0-9]{3}%", "NOT AUTHORIZED 403", True),
    ],
)
def test_terms_and_expressions(pattern: str, line: str, holds: bool) -> None:
    assert compile_pattern(pattern)(line) is holds


@pytest.mark.parametrize(
    "pattern",
    ["{ $.a = }", "{ $.a }", "{ a = 1 }", "{ $.a > x }", "{ ($.a = 1 }", "{ $.a = 1",
     "{" + "(" * 50 + "$.a = 1" + ")" * 50 + "}",
     "[a, b", "[a = 1 b]", "[..., a, ...]", "[a = 1 || b = 2]", "%(%", "{ $.a = %(% }", '"open'],
)  # fmt: skip
def test_a_broken_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ServiceError, match="Invalid filter pattern") as refused:
        compile_pattern(pattern)
    assert refused.value.code == "InvalidParameterException"
