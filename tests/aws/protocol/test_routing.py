"""Odd requests that real clients send, and where they lead; and what is told where they lead nowhere."""

from __future__ import annotations

import http.client
from typing import Any

import pytest

from tests.support.cloud import Cloud

SCOPE = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=x"
FORM = "application/x-www-form-urlencoded"


def ask(cloud: Cloud, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str, Any]:
    connection = http.client.HTTPConnection(cloud.url.removeprefix("http://"), timeout=10)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer.headers


@pytest.mark.parametrize("host", [
    "bucket.s3.amazonaws.com", "bucket.s3.us-west-2.amazonaws.com", "bucket.s3-us-west-2.amazonaws.com",
    "bucket.s3.dualstack.eu-west-1.amazonaws.com", "bucket.s3-accelerate.amazonaws.com",
    "bucket.s3-fips.us-east-1.amazonaws.com", "bucket.s3.localhost:4566",
])  # fmt: skip
def test_a_bucket_is_found_in_each_form_of_host(cloud: Cloud, host: str) -> None:
    """S3 User Guide, "Virtual hosting of general purpose buckets"."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="a b/ü", Body=b"x")
    assert ask(cloud, "GET", "/a%20b/%C3%BC", Host=host)[:2] == (200, "x")


def test_a_request_that_nobody_signed_finds_its_service_by_target_host_action_or_path(cloud: Cloud) -> None:
    assert ask(cloud, "POST", "/", b"{}", X_Amz_Target="DynamoDB_20120810.ListTables")[1] == '{"TableNames":[]}'
    host = "sqs.eu-west-1.amazonaws.com"
    assert ask(cloud, "POST", "/", b"{}", Host=host, X_Amz_Target="AmazonSQS.ListQueues")[0] == 200
    assert "<Account>" in ask(cloud, "POST", "/", b"Action=GetCallerIdentity", Content_Type=FORM)[1]
    assert "Function not found" in ask(cloud, "GET", "/2015-03-31/functions/none")[1]
    assert "NoSuchBucket" in ask(cloud, "GET", "/none/key")[1]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"Action=Nope&Version=2011-06-15", "<Code>InvalidAction</Code><Message>Could not find operation Nope"),
        (b"", "<Code>MissingAction</Code>"),
        (b"Action=AssumeRole", "<Code>ValidationError</Code><Message>2 validation errors detected"),
    ],
)
def test_a_query_service_says_what_is_wrong_with_an_action(cloud: Cloud, body: bytes, told: str) -> None:
    """The query services' "Common Errors"."""
    status, text, _ = ask(cloud, "POST", "/", body, Content_Type=FORM, Authorization=SCOPE.format("sts"))
    assert status == 400 and told in text


def test_what_is_not_served_is_told_in_each_protocol_by_its_name(cloud: Cloud) -> None:
    query = ask(cloud, "POST", "/", b"Action=ListUsers", Content_Type=FORM, Authorization=SCOPE.format("iam"))
    assert (query[0], "fogbank does not serve iam ListUsers" in query[1]) == (501, True)
    json_ = ask(cloud, "POST", "/", b"{}", X_Amz_Target="DynamoDB_20120810.ListBackups")
    assert (json_[0], "fogbank does not serve dynamodb ListBackups" in json_[1]) == (501, True)
    rest = ask(cloud, "GET", "/bucket?website", Authorization=SCOPE.format("s3"))
    assert (rest[0], "fogbank does not serve s3 GetBucketWebsite" in rest[1]) == (501, True)


def test_bodies_that_cannot_be_read_are_the_callers_fault(cloud: Cloud) -> None:
    status, text, _ = ask(cloud, "POST", "/", b"{", X_Amz_Target="DynamoDB_20120810.ListTables")
    assert (status, "SerializationException" in text) == (400, True)
    status, _, headers = ask(cloud, "POST", "/2015-03-31/functions", b"{", Authorization=SCOPE.format("lambda"))
    assert (status, headers["x-amzn-errortype"]) == (400, "SerializationException")
    many = b"&".join(b"a.%d=x" % number for number in range(20_000))
    status, text, _ = ask(
        cloud, "POST", "/", b"Action=ListRoles&" + many, Content_Type=FORM, Authorization=SCOPE.format("iam")
    )
    assert (status, "MalformedInput" in text) == (400, True)
