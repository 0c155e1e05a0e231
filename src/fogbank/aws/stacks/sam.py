"""The SAM transform, by AWS's own translator. Importing it takes half a second: `transforms` loads this when asked."""

from __future__ import annotations

import copy
import logging
from types import SimpleNamespace
from typing import Any

from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.arn_generator import ArnGenerator
from samtranslator.translator.translator import Translator

from fogbank.aws.stacks.template import TemplateError

logging.getLogger("samtranslator.metrics").setLevel(logging.ERROR)  # It counts for AWS, and asks to be published.
_NAME = "AWS::Serverless-2016-10-31"


def translate(document: dict[str, Any], parameters: dict[str, Any], region: str) -> dict[str, Any]:
    """The template without its SAM types. Raises `TemplateError` in the words that CloudFormation uses."""
    ArnGenerator.BOTO_SESSION_REGION_NAME = region
    # All that it asks of a session is the region: an SDK is not needed for that.
    translator = Translator(_ManagedPolicies(), Parser(), boto_session=SimpleNamespace(region_name=region))
    given = {**parameters, "AWS::Region": region, "AWS::Partition": "aws"}
    try:
        made = translator.translate(copy.deepcopy(document), parameter_values=given)
    except InvalidDocumentException as error:
        causes = " ".join(cause.message for cause in error.causes)
        raise TemplateError(f"Transform {_NAME} failed with: {error.message} {causes}".rstrip()) from error
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:  # It trusts what it is given.
        raise TemplateError(f"Transform {_NAME} failed with: Internal transform failure. ({error!r})") from error
    made.pop("Transform", None)
    return dict(made)


class _ManagedPolicies(dict[str, str]):
    """AWS-managed policies by name: the translator asks for one when a template names it without an ARN."""

    _SERVICE_ROLE = ("AWSLambda", "AmazonAPIGateway", "AWSStepFunctions")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.startswith(("AWS", "Amazon", "CloudWatch", "Administrator", "ReadOnly"))

    def __getitem__(self, name: str) -> str:
        service_role = name.startswith(self._SERVICE_ROLE) and name.endswith(("Role", "Logs"))
        return f"arn:aws:iam::aws:policy/{'service-role/' if service_role else ''}{name}"

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401  # There is nothing below it to ask.
