"""Code that was saved takes the place of what runs, in functions that stay as they are: no deployment.

What `sam sync --code` does, with the same calls. CloudFormation does not learn of it: its next deployment brings the
same code, and what it takes for unchanged although the code is another is found by `behind`.
"""

from __future__ import annotations

import time
from base64 import b64encode
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fogbank.deploy.prepare import Code, Prepared
    from fogbank.deploy.release import Cloud

_POLL_S = 0.03


def changed(before: Prepared, now: Prepared) -> dict[str, Code] | None:
    """The functions whose code is another, by their logical ids; None where anything else has changed too."""
    if _without_code(before) != _without_code(now):
        return None
    return {name: code for name, code in now.code.items() if before.code[name] != code}


def behind(cloud: Cloud, prepared: Prepared, functions: Mapping[str, str]) -> dict[str, Code]:
    """The functions that run other code than what was prepared."""
    return {
        name: code
        for name, code in prepared.code.items()
        if name in functions and _running(cloud, functions[name], code.alias) != _checksum(code.key)
    }


def swap(
    cloud: Cloud, prepared: Prepared, bucket: str, functions: Mapping[str, str], which: Mapping[str, Code]
) -> None:  # fmt: skip
    """Events that are under way end on the code that they began with; the next ones find the new one."""
    for key in {code.key for code in which.values()}:
        cloud.upload(bucket, key, prepared.bundles[key])
    for name, code in which.items():
        where = {"FunctionName": functions[name]}
        made = cloud.ask(
            "lambda", "UpdateFunctionCode", S3Bucket=bucket, S3Key=code.key, Publish=bool(code.alias), **where
        )
        if code.alias:
            while made["State"] == "Pending":  # Its snapshot is being taken: until then the alias keeps the one before.
                time.sleep(_POLL_S)
                made = cloud.ask("lambda", "GetFunctionConfiguration", Qualifier=made["Version"], **where)
            cloud.ask("lambda", "UpdateAlias", Name=code.alias, FunctionVersion=made["Version"], **where)


def _without_code(prepared: Prepared) -> dict[str, Any]:
    template = prepared.template
    resources = dict(template.get("Resources") or {})
    for name, code in prepared.code.items():
        properties = {key: value for key, value in resources[name]["Properties"].items() if key != code.member}
        resources[name] = resources[name] | {"Properties": properties}
    return template | {"Resources": resources}


def _running(cloud: Cloud, function: str, alias: str) -> str:
    qualifier = {"Qualifier": alias} if alias else {}
    return str(cloud.ask("lambda", "GetFunctionConfiguration", FunctionName=function, **qualifier)["CodeSha256"])


def _checksum(key: str) -> str:
    """Of a bundle whose key is its digest, as Lambda tells it."""
    return b64encode(bytes.fromhex(key.partition(".")[0])).decode()
