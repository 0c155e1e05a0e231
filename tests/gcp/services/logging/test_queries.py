"""The Logging query language: what each query finds among five entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.api_core import exceptions

if TYPE_CHECKING:
    from tests.support.google_services import Logging

_FUNCTION = {"type": "cloud_function", "labels": {"function_name": "hello", "region": "us-central1"}}


@pytest.fixture
def five(logging: Logging) -> Logging:
    """Named by their insert ids: a to e."""
    logging.write(
        {"insert_id": "a", "text_payload": "Hello World", "severity": "INFO", "labels": {"k.dotted/x": "V1"}},
        {"insert_id": "b", "text_payload": "good bye", "severity": "ERROR", "resource": _FUNCTION},
        {"insert_id": "c", "json_payload": {"user": {"id": 17, "name": "Ann"}, "tags": ["red", "blue"], "ok": True}},
        {"insert_id": "d", "json_payload": {"user": {"id": 3}, "nothing": None}, "http_request": {"status": 503}},
    )
    logging.write({"insert_id": "e", "severity": "CRITICAL", "text_payload": 'say "hi"'}, log="other%2Flog")
    return logging


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", "abcde"),
        ("-- nothing but a comment", "abcde"),
        ('textPayload="hello world"', "a"),
        ("textPayload:BYE", "b"),
        ('textPayload!="hello world"', "bcde"),  # What has no text has an empty one.
        ("severity=ERROR", "b"),
        ("severity>=ERROR", "be"),
        ("severity>info AND severity<CRITICAL", "b"),
        ("severity=(INFO OR ERROR)", "ab"),
        ("resource.type=cloud_function", "b"),
        ('resource.labels.function_name="hello"', "b"),
        ("resource.labels.function_name!=hello", ""),  # Missing in all others: "all comparisons … fail silently".
        ("NOT resource.labels.function_name=hello", "acde"),
        ('labels."k.dotted/x"=v1', "a"),
        ("jsonPayload.user.id>5", "c"),
        ("jsonPayload.user.id<=17", "cd"),
        ("jsonPayload.user.name=ann", "c"),
        ("jsonPayload.tags=blue", "c"),
        ("jsonPayload.ok=true", "c"),
        ("jsonPayload.nothing=NULL_VALUE", "d"),
        ("jsonPayload.user.name:*", "c"),
        ("textPayload:*", "abe"),
        ("httpRequest.status>=500", "d"),
        ("http_request.status=503", "d"),
        ('textPayload=~"^Hello .*d$"', "a"),
        ('textPayload=~"^hello"', ""),
        ('textPayload!~"o"', "cde"),
        ("hello", "ab"),  # Anywhere: in b it is the function's name.
        ('"good bye"', "b"),
        ("ann OR world", "ac"),
        ("textPayload:hello OR textPayload:bye AND severity>=ERROR", "b"),  # OR binds closer than AND.
        ("textPayload:hello OR (textPayload:bye AND severity>=ERROR)", "ab"),
        ("severity>=ERROR textPayload:say", "e"),
        ("-severity>=ERROR", "acd"),
        ("NOT " * 4_001 + "severity>=ERROR", "acd"),
        (r'textPayload="say \"hi\""', "e"),
        ('log_id("other/log")', "e"),
        ("logName:other", "e"),
        ('logName="projects/fog-project/logs/other%2Flog"', "e"),
        ('timestamp>="2027-01-15T08:00:00Z"', "abcde"),
        ('timestamp<"2027-01-15T08:00:00.000Z"', ""),
        ('timestamp>="2027-01-15"', "abcde"),
        ('insertId=("a" OR "b") AND NOT (severity=INFO)', "b"),
    ],
)
def test_a_query_finds(five: Logging, query: str, ids: str) -> None:
    assert "".join(sorted(entry.insert_id for entry in five.list(query))) == ids


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("severity>=", "Unparseable filter: syntax error at line 1, column 11, token '<EOF>'"),
        ("insertId = abc:def", r"Unparseable filter: syntax error at line 1, column 15, token ':'"),
        ("(severity=INFO", "Unparseable filter: syntax error at line 1"),
        ("severity=INFO)", r"Unparseable filter: syntax error at line 1, column 14, token '\)'"),
        ('a\nAND "x', "Unparseable filter: syntax error at line 2, column 5"),
        ("thud=1", "Field not found: 'thud'"),
        ("textPayload.thud=1", r"Field not found: 'textPayload\.thud'"),
        ("severity=LOUD", "Invalid enum value"),
        ("timestamp>yesterday", "Invalid timestamp"),
        ('textPayload=~"("', "Invalid regular expression"),
        ("resource=x", "cannot be compared"),
        ("(" * 60 + "a" + ")" * 60, "nested too deeply"),
        ("a" * 20_001, "longer than 20000"),
    ],
)
def test_a_query_that_cannot_be_is_refused(logging: Logging, query: str, text: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=text):
        logging.list(query)


@pytest.mark.parametrize("query", ['SEARCH("x")', "sample(insertId, 0.5)", 'ip_in_net(jsonPayload.ip, "10.0.0.0/8")'])
def test_functions_are_refused_by_name(logging: Logging, query: str) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match=query.partition("(")[0]):
        logging.list(query)


def test_an_expression_that_would_keep_others_busy_for_ever_does_not(logging: Logging) -> None:
    logging.write({"text_payload": "a" * 5_000})
    assert logging.texts('textPayload=~"(a*)*b"') == []
