"""A user pool with an app's client, and people in it."""

from __future__ import annotations

import base64
import hmac
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.cloud import Cloud

PASSWORD = "Correct-horse-7"
FLOWS = [
    "ALLOW_USER_PASSWORD_AUTH",
    "ALLOW_USER_SRP_AUTH",
    "ALLOW_REFRESH_TOKEN_AUTH",
    "ALLOW_ADMIN_USER_PASSWORD_AUTH",
]


class Pool:
    def __init__(self, cloud: Cloud, *, app: dict[str, Any] | None = None, **settings: Any) -> None:
        self.cloud, self.client = cloud, cloud.client("cognito-idp")
        self.id = self.client.create_user_pool(PoolName="people", **settings)["UserPool"]["Id"]
        made = self.client.create_user_pool_client(
            UserPoolId=self.id, ClientName="web", ExplicitAuthFlows=FLOWS, **(app or {})
        )
        self.client_id = made["UserPoolClient"]["ClientId"]
        self.secret = made["UserPoolClient"].get("ClientSecret", "")

    def code(self) -> str:
        """The code that was sent last: it stands in the log."""
        sent = [line for line in self.cloud.log.getvalue().splitlines() if "cognito code" in line]
        return str(json.loads(sent[-1])["code"])

    def proof(self, name: str) -> str:
        made = hmac.digest(self.secret.encode(), (name + self.client_id).encode(), "sha256")
        return base64.b64encode(made).decode()

    def add(self, name: str = "ann") -> None:
        attributes = [{"Name": "email", "Value": f"{name}@example.com"}]
        self.client.sign_up(ClientId=self.client_id, Username=name, Password=PASSWORD, UserAttributes=attributes)
        self.client.admin_confirm_sign_up(UserPoolId=self.id, Username=name)

    def sign_in(self, name: str = "ann", password: str = PASSWORD) -> Any:
        given = {"USERNAME": name, "PASSWORD": password}
        client = self.cloud.client("cognito-idp")
        return client.initiate_auth(ClientId=self.client_id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
