"""What is wrong with an app is told in one line, with where it is wrong; what ran before goes on running."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.command import Fogbank

FUNCTION = "Transform: AWS::Serverless-2016-10-31\nResources:\n  F:\n    Type: AWS::Serverless::Function\n"
QUEUE = "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n"


def deployed(fogbank: Fogbank, template: str, *, ok: bool = False) -> str:
    """What `fogbank up` says of it beside its progress."""
    (fogbank.folder / "template.yaml").write_text(template)
    told = fogbank.run("up", "--no-watch", ok=ok).stderr
    assert "Traceback" not in told
    return "\n".join(line for line in told.splitlines() if line.startswith(("fogbank: ", "note: ")))


def test_each_mistake_in_a_template_is_told_with_the_file_and_the_place(fogbank: Fogbank) -> None:
    for template, told in (
        ("Resources:\n  Q: {Type: 'x'\n", "template.yaml: Template format error: YAML not well-formed. (line 3"),
        ("", "template.yaml: Template format error"),
        (QUEUE + "    Properties: {QueueName: !Ref Gone}\n", "template.yaml: Template format error: Unresolved"),
        (QUEUE + "    Properties: {QueueName: !Frob x}\n", "Template error: Fn::Frob is not a function"),
        (QUEUE + "    Properties: {VisibilityTimout: 3}\n", "extraneous key [VisibilityTimout] is not permitted"),
        (QUEUE + "Outputs: {O: {Value: !GetAtt Q.Nope}}\n", "resource Q does not support attribute type Nope"),
        (QUEUE.replace("Queue", "Quue"), "Unrecognized resource types: [AWS::SQS::Quue]"),
        (FUNCTION + "    Properties: {CodeUri: gone/, Handler: a.b, Runtime: python3.12}\n", "F: the code folder"),
        (FUNCTION + "    Properties: {CodeUri: ., Handler: a.b, Runtime: ruby3.3}\n", "ruby3.3 is not served"),
    ):  # fmt: skip
        assert told in deployed(fogbank, template), template
    assert "F" not in fogbank.run("logs").stdout
    assert deployed(fogbank, QUEUE, ok=True) == ""  # Nothing that failed stands in the way.


def test_a_handler_that_is_not_there_is_noted_and_its_events_get_lambda_s_own_error(fogbank: Fogbank) -> None:
    (fogbank.folder / "app.py").write_text("def handler(e, c): ...\n")
    template = FUNCTION + "    Properties: {CodeUri: ., Handler: app.hander, Runtime: python3.12}\n"
    told = deployed(fogbank, template, ok=True)
    assert told == "note: F will fail when it is invoked: in ., app.py defines no 'hander'"
    answer = fogbank.run("invoke", "F", ok=False)
    assert '"errorType":"Runtime.HandlerNotFound"' in answer.stdout
    assert "Handler 'hander' missing on module 'app'" in answer.stderr
