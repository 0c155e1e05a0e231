"""What a template asks to be transformed by, done in order."""

from __future__ import annotations

import importlib
from typing import Any

from fogbank.aws.stacks import language, plan
from fogbank.aws.stacks.template import TemplateError

_SAM = "AWS::Serverless-2016-10-31"
_LANGUAGE = "AWS::LanguageExtensions"


def names(document: dict[str, Any]) -> list[str]:
    given = document.get("Transform", [])
    return [given] if isinstance(given, str) else [str(name) for name in given]


def apply(document: dict[str, Any], parameters: dict[str, Any], region: str) -> dict[str, Any]:
    """The processed template. Raises `TemplateError`. May take half a second: not for the event loop's thread."""
    for name in names(document):
        if name == _LANGUAGE:
            document = language.expand(document, plan.parameter_values(document, parameters))
            continue
        if name != _SAM:
            raise TemplateError(f"Transform {name} failed with: the transform {name} is not served here.")
        # The translator is loaded only where a template needs it: it would cost every start half a second.
        sam = importlib.import_module("fogbank.aws.stacks.sam")
        document = sam.translate(document, parameters, region)
    return document
