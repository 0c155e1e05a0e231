"""What a template asks to be transformed by, done in order."""

from __future__ import annotations

import importlib
from typing import Any

from fogbank.aws.stacks import language, plan
from fogbank.aws.stacks.template import TemplateError

_INCLUDE = "AWS::Include"  # Done before, by `include`: it has to fetch.
_SAM = "AWS::Serverless-2016-10-31"
_LANGUAGE = "AWS::LanguageExtensions"


def names(document: dict[str, Any]) -> list[str]:
    """All that the template names, wherever it stands."""
    given = document.get("Transform") or []
    named = given if isinstance(given, list) else [given]
    found = [str(one.get("Name")) if isinstance(one, dict) else str(one) for one in named]
    return [*found, *([_INCLUDE] if _INCLUDE not in found and _includes(document) else [])]


def _includes(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_includes, value))
    return isinstance(value, dict) and ("Fn::Transform" in value or any(map(_includes, value.values())))


def apply(document: dict[str, Any], parameters: dict[str, Any], region: str) -> dict[str, Any]:
    """The processed template. Raises `TemplateError`. May take half a second: not for the event loop's thread."""
    for name in names(document):
        if name == _INCLUDE:
            continue
        if name == _LANGUAGE:
            document = language.expand(document, plan.parameter_values(document, parameters))
            continue
        if name != _SAM:
            raise TemplateError(f"No transform named {name} found.")
        # The translator is loaded only where a template needs it: it would cost every start half a second.
        sam = importlib.import_module("fogbank.aws.stacks.sam")
        document = sam.translate(document, parameters, region)
    return document
