"""The transform AWS::Include: a piece of a template that lies in a bucket, put where it is asked for.

CloudFormation User Guide, "AWS::Include transform" and "Fn::Transform".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.aws.stacks import intrinsics
from fogbank.aws.stacks.template import TemplateError, parse_any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fogbank.aws.stacks.intrinsics import Scope

NAME = "AWS::Include"
_KEY = "Fn::Transform"
_INCLUDED_MAX = 100


async def expand(document: dict[str, Any], scope: Scope, fetch: Callable[[str], Awaitable[str]]) -> dict[str, Any]:
    """The template with its pieces in place. Raises `TemplateError`."""
    including = _Including(scope, fetch)
    whole = dict(await including.expanded(document))
    given = whole.get("Transform", [])
    for one in given if isinstance(given, list) else [given]:
        if isinstance(one, dict) and one.get("Name") == NAME:
            whole = _merged(whole, await including.piece(one))
    return whole


class _Including:
    def __init__(self, scope: Scope, fetch: Callable[[str], Awaitable[str]]) -> None:
        self._scope, self._fetch, self._left = scope, fetch, _INCLUDED_MAX

    async def expanded(self, value: Any) -> Any:
        if isinstance(value, list):
            return [await self.expanded(item) for item in value]
        if not isinstance(value, dict):
            return value
        whole = {name: await self.expanded(item) for name, item in value.items() if name != _KEY}
        for asked in _list(value.get(_KEY, [])):
            if not isinstance(asked, dict) or asked.get("Name") != NAME:
                name = asked.get("Name") if isinstance(asked, dict) else asked
                raise TemplateError(f"No transform named {name} found.")
            piece = await self.piece(asked)
            if not whole and not isinstance(piece, dict):
                return piece
            whole = _merged(whole, piece)
        return whole

    async def piece(self, asked: dict[str, Any]) -> Any:
        self._left -= 1
        given = intrinsics.resolve((asked.get("Parameters") or {}).get("Location"), self._scope)
        if self._left < 0:
            raise TemplateError(f"Transform {NAME} failed with: more than {_INCLUDED_MAX} inclusions.")
        if not isinstance(given, str) or not given.startswith("s3://"):
            raise TemplateError(f"Transform {NAME} failed with: The value for parameter Location must be a valid S3 location: s3://bucket/key")  # noqa: E501  # fmt: skip
        return parse_any(await self._fetch(given))


def _merged(whole: dict[str, Any], piece: Any) -> dict[str, Any]:
    """Sections that both have are joined; what stands in the template itself wins."""
    if not isinstance(piece, dict):
        raise TemplateError(f"Transform {NAME} failed with: the included piece must be an object.")
    joined = {
        name: {**piece[name], **whole[name]} if isinstance(whole.get(name), dict) and isinstance(item, dict) else item
        for name, item in piece.items()
    }
    return {**whole, **{name: item for name, item in joined.items() if name not in whole or isinstance(item, dict)}}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
