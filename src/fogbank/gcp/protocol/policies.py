"""The policies of an API that has methods of its own for them: IAM keeps them, as it does those of all others.

A service says `get_iam_policy = policies.get_iam_policy`, and so on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fogbank.gcp.service import Call, Service

_IAM: Final = "google.iam.v1.IAMPolicy"


async def get_iam_policy(service: Service, _: Call, request: Any) -> Any:
    return await service.house.ask(_IAM, "GetIamPolicy", request)


async def set_iam_policy(service: Service, _: Call, request: Any) -> Any:
    return await service.house.ask(_IAM, "SetIamPolicy", request)


async def test_iam_permissions(service: Service, _: Call, request: Any) -> Any:
    return await service.house.ask(_IAM, "TestIamPermissions", request)
