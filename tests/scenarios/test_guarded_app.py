"""An app behind a user pool, with a queue, a stream and expiring items: the whole way of each event."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.command import Fogbank

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: python3.12
    CodeUri: src/
    Environment: {Variables: {TABLE: !Ref Table}}
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: prod
      Cors: {AllowMethods: "'GET,POST'", AllowHeaders: "'Authorization'", AllowOrigin: "'*'"}
      Auth:
        DefaultAuthorizer: People
        Authorizers: {People: {UserPoolArn: !GetAtt Pool.Arn}}
  Put:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.put
      Events: {Api: {Type: Api, Properties: {RestApiId: !Ref Api, Path: '/notes/{id}', Method: POST}}}
      ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 2}
  Work:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.work
      Events:
        Queue:
          Type: SQS
          Properties: {Queue: !GetAtt Queue.Arn, BatchSize: 10, FunctionResponseTypes: [ReportBatchItemFailures]}
  Watch:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.watch
      Events: {Table: {Type: DynamoDB, Properties: {Stream: !GetAtt Table.StreamArn, StartingPosition: TRIM_HORIZON}}}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
      TimeToLiveSpecification: {AttributeName: until, Enabled: true}
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Lost.Arn, maxReceiveCount: 3}
  Lost: {Type: AWS::SQS::Queue}
  Pool: {Type: AWS::Cognito::UserPool}
Outputs:
  Url: {Value: !Sub "https://${Api}.execute-api.${AWS::Region}.amazonaws.com/prod"}
  Queue: {Value: !Ref Queue}
  Lost: {Value: !Ref Lost}
  Table: {Value: !Ref Table}
  Pool: {Value: !Ref Pool}
"""
SOURCE = """
import boto3, json, os
table = boto3.resource('dynamodb').Table(os.environ['TABLE'])

def put(event, context):
    note = {'id': event['pathParameters']['id'], **json.loads(event['body'])}
    table.put_item(Item=note)
    return {'statusCode': 201, 'body': event['requestContext']['authorizer']['claims']['cognito:username']}

def work(event, context):
    print('work', sorted(record['body'] for record in event['Records']))
    bad = [record['messageId'] for record in event['Records'] if record['body'] == 'bad']
    return {'batchItemFailures': [{'itemIdentifier': name} for name in bad]}

def watch(event, context):
    for record in event['Records']:
        print('seen', record['eventName'], json.dumps(record.get('userIdentity')))
"""
PASSWORD = "Correct-Horse-1"


@pytest.fixture
def app(fogbank: Fogbank) -> dict[str, Any]:
    """The app, deployed; its outputs."""
    (fogbank.folder / "src").mkdir()
    (fogbank.folder / "src/app.py").write_text(SOURCE)
    (fogbank.folder / "template.yaml").write_text(TEMPLATE)
    outputs: dict[str, Any] = fogbank.json("up", "--no-watch")["outputs"]
    return outputs


def token(fogbank: Fogbank, pool: str) -> str:
    people = fogbank.client("cognito-idp")
    client = people.create_user_pool_client(
        UserPoolId=pool, ClientName="web", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    )["UserPoolClient"]["ClientId"]
    people.admin_create_user(UserPoolId=pool, Username="ann", MessageAction="SUPPRESS")
    people.admin_set_user_password(UserPoolId=pool, Username="ann", Password=PASSWORD, Permanent=True)
    given = {"USERNAME": "ann", "PASSWORD": PASSWORD}
    answer = people.initiate_auth(ClientId=client, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
    return str(answer["AuthenticationResult"]["IdToken"])


def ask(url: str, host: str, method: str, path: str, body: str = "", **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection(url.partition("//")[2])
    connection.request(method, path, body, {"Host": host, **headers})
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read().decode()


def test_only_who_has_a_token_of_the_pool_gets_in_at_every_address(fogbank: Fogbank, app: dict[str, Any]) -> None:
    url, host = fogbank.url, app["Url"].split("/")[2]
    api, port = host.partition(".")[0], fogbank.url.rpartition(":")[2]
    good = {"Authorization": token(fogbank, app["Pool"])}
    for given in ({}, {"Authorization": "nonsense"}, {"Authorization": good["Authorization"][:-6] + "AAAAAA"}):
        for method in ("POST", "OPTIONS"):  # SAM guards the preflight with the default authorizer too.
            status, _, body = ask(url, host, method, "/prod/notes/1", **given)
            assert (status, body) == (401, '{"message":"Unauthorized"}')
    status, headers, _ = ask(url, host, "OPTIONS", "/prod/notes/1", **good)
    assert (status, headers["Access-Control-Allow-Methods"]) == (200, "GET,POST")
    for name, path in (
        (host, "/prod"),
        (f"{api}.execute-api.localhost:{port}", "/prod"),
        (f"127.0.0.1:{port}", f"/restapis/{api}/prod/_user_request_"),
    ):
        assert ask(url, name, "POST", f"{path}/notes/1", "{}", **good)[::2] == (201, "ann")


def test_a_batch_reports_what_failed_and_what_fails_three_times_is_put_aside(
    fogbank: Fogbank, app: dict[str, Any]
) -> None:
    sqs = fogbank.client("sqs")
    entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(("good", "bad", "fine"))]
    sqs.send_message_batch(QueueUrl=app["Queue"], Entries=entries)
    for count in (1, 2, 3):
        eventually(lambda count=count: fogbank.run("logs", "Work").stdout.count("'bad'") == count)
        fogbank.run("clock", "advance", "61s")
    [lost] = eventually(lambda: sqs.receive_message(QueueUrl=app["Lost"]).get("Messages"))
    assert lost["Body"] == "bad"
    assert fogbank.run("logs", "Work").stdout.count("work ['bad']") >= 2  # The others were done with at once.


def test_an_item_that_expires_is_seen_on_the_stream_as_the_service_s_own_doing(
    fogbank: Fogbank, app: dict[str, Any]
) -> None:
    until = str(fogbank.json("clock")["now_ms"] // 1000 + 3600)
    item = {"id": {"S": "1"}, "until": {"N": until}}
    fogbank.client("dynamodb").put_item(TableName=app["Table"], Item=item)
    fogbank.run("clock", "advance", "2d")
    eventually(lambda: "seen INSERT null" in fogbank.run("logs", "Watch").stdout)
    by = '{"type": "Service", "principalId": "dynamodb.amazonaws.com"}'
    eventually(lambda: f"seen REMOVE {by}" in fogbank.run("logs", "Watch").stdout)
