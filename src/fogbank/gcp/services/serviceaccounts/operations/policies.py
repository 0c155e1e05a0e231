"""Policies of service accounts, which this API has methods of its own for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fogbank.gcp.service import Service

if TYPE_CHECKING:
    from fogbank.gcp.service import Call

_POLICIES: Final = "google.iam.v1.IAMPolicy"


class Policies(Service):
    service = "google.iam.admin.v1.IAM"

    async def get_iam_policy(self, call: Call, request: Any) -> Any:
        return await self.house.ask(_POLICIES, "GetIamPolicy", request)

    async def set_iam_policy(self, call: Call, request: Any) -> Any:
        return await self.house.ask(_POLICIES, "SetIamPolicy", request)

    async def test_iam_permissions(self, call: Call, request: Any) -> Any:
        return await self.house.ask(_POLICIES, "TestIamPermissions", request)
