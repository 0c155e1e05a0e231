"""Who may come in, and in which words each family of services refuses the others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from tests.support.cloud import Cloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Cloud]:
    """Verifies signatures; its clock is the machine's, since clients sign by that."""
    running = Cloud(tmp_path / "data", moving=True, verify_signatures=True)
    yield running
    running.stop()


@pytest.fixture
def lenient(tmp_path: Path) -> Iterator[Cloud]:
    running = Cloud(tmp_path / "data", moving=True)
    yield running
    running.stop()


def client(
    cloud: Cloud,
    service: str,
    key: str = "test",
    secret: str = "test",
    token: str | None = None,
    signed: str | None = None,
) -> Any:
    return boto3.client(
        service, endpoint_url=cloud.url, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret,
        aws_session_token=token, config=ClientConfig(retries={"total_max_attempts": 1}, signature_version=signed),
    )  # fmt: skip


def refusal(call: Any, **parameters: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def test_the_documented_pair_and_issued_keys_come_in_over_every_protocol(strict: Cloud) -> None:
    role = {"RoleArn": "arn:aws:iam::000000000000:role/r", "RoleSessionName": "me"}
    issued = client(strict, "sts").assume_role(**role)["Credentials"]
    for key in (("test", "test"), (issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])):
        client(strict, "sts", *key).get_caller_identity()  # query
        client(strict, "dynamodb", *key).list_tables()  # json
        client(strict, "lambda", *key).list_functions()  # rest-json
        s3 = client(strict, "s3", *key)  # rest-xml, and a body in chunks
        s3.create_bucket(Bucket="bucket" + key[0].lower())
        s3.put_object(
            Bucket="bucket" + key[0].lower(), Key="a key/ä+~", Body=b"content", Metadata={"colour": "blue  green"}
        )
        assert s3.get_object(Bucket="bucket" + key[0].lower(), Key="a key/ä+~")["Body"].read() == b"content"


@pytest.mark.parametrize(
    ("service", "operation", "code", "status"),
    [
        ("sts", "get_caller_identity", "SignatureDoesNotMatch", 403),
        ("dynamodb", "list_tables", "InvalidSignatureException", 400),
        ("lambda", "list_functions", "InvalidSignatureException", 403),
        ("s3", "list_buckets", "SignatureDoesNotMatch", 403),
    ],
)
def test_a_wrong_secret_is_a_wrong_signature(
    strict: Cloud, service: str, operation: str, code: str, status: int
) -> None:
    found = refusal(getattr(client(strict, service, "test", "wrong"), operation))
    assert found[:2] == (code, status)
    assert found[2].startswith("The request signature we calculated does not match the signature you provided.")


@pytest.mark.parametrize(
    ("service", "operation", "code", "status"),
    [
        ("sts", "get_caller_identity", "InvalidClientTokenId", 403),
        ("dynamodb", "list_tables", "UnrecognizedClientException", 400),
        ("lambda", "list_functions", "UnrecognizedClientException", 403),
        ("s3", "list_buckets", "InvalidAccessKeyId", 403),
    ],
)
def test_a_key_that_nobody_issued_is_unknown(
    strict: Cloud, service: str, operation: str, code: str, status: int
) -> None:
    assert refusal(getattr(client(strict, service, "AKIANOBODYKNOWSTHIS1"), operation))[:2] == (code, status)


def test_who_signs_nothing_stays_outside_but_for_what_is_public(strict: Cloud) -> None:
    target = {"x-amz-target": "DynamoDB_20120810.ListTables", "content-type": "application/x-amz-json-1.0"}
    answer = httpx.post(strict.url, headers=target, content=b"{}")
    assert answer.status_code == 400
    assert answer.json()["__type"].endswith("#MissingAuthenticationTokenException")
    answer = httpx.get(f"{strict.url}/bucket/key")
    assert answer.status_code == 403 and "<Code>AccessDenied</Code>" in answer.text
    public = {"x-amz-target": "AWSCognitoIdentityProviderService.InitiateAuth"}
    asked = b'{"AuthFlow":"USER_PASSWORD_AUTH","ClientId":"none","AuthParameters":{}}'
    answer = httpx.post(strict.url, headers=public, content=asked)
    assert answer.json()["__type"] == "ResourceNotFoundException"


def test_a_temporary_key_ends_with_its_time_even_where_nothing_is_verified(lenient: Cloud) -> None:
    role = {"RoleArn": "arn:aws:iam::000000000000:role/r", "RoleSessionName": "me", "DurationSeconds": 900}
    issued = client(lenient, "sts").assume_role(**role)["Credentials"]
    keys = issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"]
    assert "assumed-role/r/me" in client(lenient, "sts", *keys).get_caller_identity()["Arn"]
    lenient.advance(seconds=901)
    assert refusal(client(lenient, "dynamodb", *keys).list_tables)[0] == "ExpiredTokenException"
    assert refusal(client(lenient, "s3", *keys).list_buckets)[0] == "ExpiredToken"


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_presigned_url_works_until_its_time_has_passed(lenient: Cloud, version: str) -> None:
    """S3 User Guide, "Download and upload objects with presigned URLs": access until the expiry."""
    s3 = client(lenient, "s3", signed=version)
    s3.create_bucket(Bucket="bucket")
    lenient.advance(seconds=86_400)  # A clock that was moved before does not matter.
    put = s3.generate_presigned_url("put_object", {"Bucket": "bucket", "Key": "k"}, ExpiresIn=60)
    assert httpx.put(put, content=b"by link").status_code == 200
    get = s3.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "k"}, ExpiresIn=60)
    assert httpx.get(get).content == b"by link"
    lenient.advance(seconds=3600)
    late = httpx.get(get)
    assert late.status_code == 403
    assert re.search(r"<Code>AccessDenied</Code><Message>Request has expired</Message>", late.text)
    assert ("<X-Amz-Expires>60</X-Amz-Expires>" in late.text) is (version == "s3v4")
    assert "<ServerTime>" in late.text


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_presigned_url_that_was_changed_does_not_verify(strict: Cloud, version: str) -> None:
    s3 = client(strict, "s3", signed=version)
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k ä", Body=b"1")
    given = {"Bucket": "bucket", "Key": "k ä", "ResponseContentType": "text/x"}
    url = s3.generate_presigned_url("get_object", given)
    assert httpx.get(url).headers["content-type"] == "text/x"
    assert httpx.get(url.replace("text%2Fx", "text%2Fy")).status_code == 403
    assert httpx.get(url.replace("/bucket/k", "/bucket/other")).status_code == 403
    refused = httpx.put(url, content=b"2")
    assert refused.status_code == 403 and "<Code>SignatureDoesNotMatch</Code>" in refused.text


def test_an_older_presigned_url_ends_with_its_moment(lenient: Cloud) -> None:
    s3 = client(lenient, "s3", signed="s3")
    s3.create_bucket(Bucket="bucket")
    url = s3.generate_presigned_url("put_object", {"Bucket": "bucket", "Key": "k"}, ExpiresIn=60)
    assert "AWSAccessKeyId" in url
    assert httpx.put(url, content=b"x").status_code == 200
    late = httpx.put(re.sub(r"Expires=\d+", "Expires=1700000000", url), content=b"x")
    assert late.status_code == 403
    assert "<Message>Request has expired</Message><Expires>2023-11-14T22:13:20Z</Expires>" in late.text


def test_a_request_signed_long_ago_is_told_so(strict: Cloud) -> None:
    from datetime import UTC, datetime, timedelta

    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest("GET", f"{strict.url}/2015-03-31/functions/", {"host": strict.url.removeprefix("http://")})
    auth = SigV4Auth(Credentials("test", "test"), "lambda", "us-east-1")
    request.context["timestamp"] = (datetime.now(UTC) - timedelta(minutes=20)).strftime("%Y%m%dT%H%M%SZ")
    auth._modify_request_before_signing(request)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    auth._inject_signature_to_request(request, auth.signature(text, request))
    answer = httpx.get(f"{strict.url}/2015-03-31/functions/", headers=dict(request.headers.items()))
    assert answer.status_code == 403
    assert answer.headers["x-amzn-errortype"] == "InvalidSignatureException"
    assert re.fullmatch(
        r"Signature expired: \d{8}T\d{6}Z is now earlier than \d{8}T\d{6}Z \(\d{8}T\d{6}Z - 5 min\.\)",
        answer.json()["message"],
    )


def test_the_links_in_messages_of_sns_are_visited_by_nobody_in_particular(strict: Cloud) -> None:
    """ConfirmSubscription "requires an AWS signature only when the AuthenticateOnUnsubscribe flag is set"."""
    sns = client(strict, "sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    queue = {"Protocol": "sqs", "Endpoint": "arn:aws:sqs:us-east-1:000000000000:q"}
    arn = sns.subscribe(TopicArn=topic, **queue)["SubscriptionArn"]
    refused = httpx.get(strict.url, params={"Action": "Publish", "TopicArn": topic, "Message": "x"})
    assert refused.status_code == 403 and "<Code>MissingAuthenticationToken</Code>" in refused.text
    asked = {"Action": "ConfirmSubscription", "TopicArn": topic, "Token": "0"}
    assert "<Message>Invalid parameter: Token</Message>" in httpx.get(strict.url, params=asked).text
    assert httpx.get(strict.url, params={"Action": "Unsubscribe", "SubscriptionArn": arn}).status_code == 200
    assert sns.list_subscriptions()["Subscriptions"] == []
