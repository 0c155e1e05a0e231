"""People of a user pool: their codes, addresses, groups, secrets and tokens, and in which words they are refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.cloud import Cloud
from tests.support.pools import PASSWORD, Pool


@pytest.fixture
def pool(cloud: Cloud) -> Pool:
    return Pool(cloud)


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def refusal(call: Any, **given: Any) -> tuple[str, str]:
    """(code, message) of a call that must be refused."""
    with pytest.raises(ClientError) as refused:
        call(**given)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def emails(address: str) -> list[dict[str, str]]:
    return [{"Name": "email", "Value": address}]


def signed_up(pool: Pool, name: str = "ann", address: str = "a@b.c") -> dict[str, str]:
    pool.client.sign_up(ClientId=pool.client_id, Username=name, Password=PASSWORD, UserAttributes=emails(address))
    return {"ClientId": pool.client_id, "Username": name}


def test_a_wrong_code_and_an_old_one_are_told_apart(cloud: Cloud) -> None:
    pool = Pool(cloud, AutoVerifiedAttributes=["email"])
    who = signed_up(pool)
    wrong = "000000" if pool.code() != "000000" else "111111"
    told = refusal(pool.client.confirm_sign_up, **who, ConfirmationCode=wrong)
    assert told == ("CodeMismatchException", "Invalid verification code provided, please try again.")
    cloud.advance(seconds=86_401)
    told = refusal(pool.client.confirm_sign_up, **who, ConfirmationCode=pool.code())
    assert told == ("ExpiredCodeException", "Invalid code provided, please request a code again.")
    pool.client.resend_confirmation_code(**who)
    pool.client.confirm_sign_up(**who, ConfirmationCode=pool.code())
    found = pool.client.admin_get_user(UserPoolId=pool.id, Username="ann")
    assert {"Name": "email_verified", "Value": "true"} in found["UserAttributes"]
    assert refusal(pool.client.sign_up, **who, Password=PASSWORD) == ("UsernameExistsException", "User already exists")


def test_a_forgotten_password_is_set_anew_with_a_code(cloud: Cloud) -> None:
    pool = Pool(cloud, AutoVerifiedAttributes=["email"])
    who = signed_up(pool)
    pool.client.confirm_sign_up(**who, ConfirmationCode=pool.code())
    sent = pool.client.forgot_password(**who)["CodeDeliveryDetails"]
    assert sent == {"Destination": "a***@b***", "DeliveryMedium": "EMAIL", "AttributeName": "email"}
    pool.client.confirm_forgot_password(**who, ConfirmationCode=pool.code(), Password="Another-horse-8")
    assert "IdToken" in pool.sign_in(password="Another-horse-8")["AuthenticationResult"]


def test_whether_somebody_is_there_is_told_by_no_operation_of_such_a_client(cloud: Cloud) -> None:
    """Developer Guide, "Managing user existence error responses"."""
    pool = Pool(cloud, app={"PreventUserExistenceErrors": "ENABLED"})
    nobody = {"ClientId": pool.client_id, "Username": "nobody"}
    assert pool.client.forgot_password(**nobody)["CodeDeliveryDetails"]["DeliveryMedium"] == "EMAIL"
    assert pool.client.resend_confirmation_code(**nobody)["CodeDeliveryDetails"]["DeliveryMedium"] == "EMAIL"
    told = refusal(pool.client.confirm_forgot_password, **nobody, ConfirmationCode="1", Password=PASSWORD)
    assert told[0] == "ExpiredCodeException"
    srp = {"ClientId": pool.client_id, "AuthFlow": "USER_SRP_AUTH"}
    given = {"USERNAME": "nobody", "SRP_A": "1f"}
    salts = {pool.client.initiate_auth(**srp, AuthParameters=given)["ChallengeParameters"]["SALT"] for _ in range(2)}
    assert len(salts) == 1  # A user's salt stays the same too.
    other = Pool(cloud)
    told = refusal(other.client.forgot_password, ClientId=other.client_id, Username="nobody")
    assert told == ("UserNotFoundException", "Username/client id combination not found.")


def test_a_client_with_a_secret_proves_it_in_every_flow(cloud: Cloud) -> None:
    """Developer Guide, "Computing secret hash values"."""
    pool = Pool(cloud, app={"GenerateSecret": True})
    pool.client.admin_create_user(UserPoolId=pool.id, Username="ann")
    pool.client.admin_set_user_password(UserPoolId=pool.id, Username="ann", Password=PASSWORD, Permanent=True)
    start = pool.client.initiate_auth
    flow = {"ClientId": pool.client_id, "AuthFlow": "USER_PASSWORD_AUTH"}
    given = {"USERNAME": "ann", "PASSWORD": PASSWORD}
    missing = f"Client {pool.client_id} is configured with secret but SECRET_HASH was not received"
    assert refusal(start, **flow, AuthParameters=given) == ("NotAuthorizedException", missing)
    told = refusal(start, **flow, AuthParameters={**given, "SECRET_HASH": "bm8="})
    assert told == ("NotAuthorizedException", f"Unable to verify secret hash for client {pool.client_id}")
    proof = {"SECRET_HASH": pool.proof("ann")}
    renewal = {"REFRESH_TOKEN": start(**flow, AuthParameters=given | proof)["AuthenticationResult"]["RefreshToken"]}
    flow["AuthFlow"] = "REFRESH_TOKEN_AUTH"
    assert refusal(start, **flow, AuthParameters=renewal) == ("NotAuthorizedException", missing)
    told = refusal(start, **flow, AuthParameters={**renewal, "SECRET_HASH": "bm8="})
    assert told == ("NotAuthorizedException", f"SecretHash does not match for the client: {pool.client_id}")
    assert "IdToken" in start(**flow, AuthParameters=renewal | proof)["AuthenticationResult"]


def test_who_signs_out_everywhere_can_sign_in_again_at_once(pool: Pool) -> None:
    pool.add()
    old = pool.sign_in()["AuthenticationResult"]
    pool.client.global_sign_out(AccessToken=old["AccessToken"])
    new = pool.sign_in()["AuthenticationResult"]  # In the same second.
    assert pool.client.get_user(AccessToken=new["AccessToken"])["Username"] == "ann"
    flow = {"ClientId": pool.client_id, "AuthFlow": "REFRESH_TOKEN_AUTH"}
    told = refusal(pool.client.initiate_auth, **flow, AuthParameters={"REFRESH_TOKEN": old["RefreshToken"]})
    assert told == ("NotAuthorizedException", "Refresh Token has been revoked")


def test_a_revoked_refresh_token_takes_its_access_tokens_along(pool: Pool) -> None:
    """RevokeToken: "Revokes all of the access tokens generated by … the specified refresh token"."""
    pool.add()
    one, other = (pool.sign_in()["AuthenticationResult"] for _ in range(2))
    pool.client.revoke_token(ClientId=pool.client_id, Token=one["RefreshToken"])
    assert refusal(pool.client.get_user, AccessToken=one["AccessToken"])[1] == "Access Token has been revoked"
    assert pool.client.get_user(AccessToken=other["AccessToken"])["Username"] == "ann"
    told = refusal(pool.client.revoke_token, ClientId=pool.client_id, Token=other["AccessToken"])
    assert told[0] == "UnsupportedTokenTypeException"


def test_a_disabled_user_is_out_with_the_tokens_it_has(pool: Pool) -> None:
    pool.add()
    access = pool.sign_in()["AuthenticationResult"]["AccessToken"]
    pool.client.admin_disable_user(UserPoolId=pool.id, Username="ann")
    assert refusal(pool.client.get_user, AccessToken=access) == ("NotAuthorizedException", "User is disabled.")
    assert refusal(pool.sign_in) == ("NotAuthorizedException", "User is disabled.")


def test_people_known_by_their_address_have_a_name_of_their_own(cloud: Cloud) -> None:
    """Developer Guide, "Customizing sign-in attributes": email as username."""
    pool = Pool(cloud, UsernameAttributes=["email"], UsernameConfiguration={"CaseSensitive": False})
    sub = pool.client.sign_up(ClientId=pool.client_id, Username="Ann@b.c", Password=PASSWORD)["UserSub"]
    pool.client.admin_confirm_sign_up(UserPoolId=pool.id, Username="ann@B.c")
    assert pool.client.admin_get_user(UserPoolId=pool.id, Username="ANN@b.c")["Username"] == sub
    assert "IdToken" in pool.sign_in("ann@b.c")["AuthenticationResult"]
    given = {"ClientId": pool.client_id, "Password": PASSWORD}
    told = refusal(pool.client.sign_up, **given, Username="ann@b.c")
    assert told == ("UsernameExistsException", "An account with the given email already exists.")
    told = refusal(pool.client.sign_up, **given, Username="ann")
    assert told == ("InvalidParameterException", "Username should be an email.")


def test_an_alias_is_one_users_and_passes_over_only_by_force(cloud: Cloud) -> None:
    """ConfirmSignUp, ForceAliasCreation."""
    pool = Pool(cloud, AliasAttributes=["email"], AutoVerifiedAttributes=["email"])
    pool.client.confirm_sign_up(**signed_up(pool), ConfirmationCode=pool.code())
    late = {**signed_up(pool, "bob"), "ConfirmationCode": pool.code()}
    told = refusal(pool.client.confirm_sign_up, **late)
    assert told == ("AliasExistsException", "An account with the email already exists.")
    assert pool.client.admin_get_user(UserPoolId=pool.id, Username="a@b.c")["Username"] == "ann"
    pool.client.confirm_sign_up(**late, ForceAliasCreation=True)
    assert pool.client.admin_get_user(UserPoolId=pool.id, Username="a@b.c")["Username"] == "bob"
    told = refusal(pool.client.sign_up, ClientId=pool.client_id, Username="x@y.z", Password=PASSWORD)
    assert told[1] == "Username cannot be of email format, since user pool is configured for email alias."


def test_a_new_address_is_verified_by_the_code_that_it_is_sent(cloud: Cloud) -> None:
    """VerifyUserAttribute, GetUserAttributeVerificationCode."""
    pool = Pool(cloud, AutoVerifiedAttributes=["email"])
    pool.add()
    access = pool.sign_in()["AuthenticationResult"]["AccessToken"]
    sent = pool.client.update_user_attributes(AccessToken=access, UserAttributes=emails("new@b.c"))
    assert [one["Destination"] for one in sent["CodeDeliveryDetailsList"]] == ["n***@b***"]
    pool.client.verify_user_attribute(AccessToken=access, AttributeName="email", Code=pool.code())
    attributes = pool.client.get_user(AccessToken=access)["UserAttributes"]
    assert {"Name": "email_verified", "Value": "true"} in attributes
    pool.client.get_user_attribute_verification_code(AccessToken=access, AttributeName="email")
    told = refusal(pool.client.verify_user_attribute, AccessToken=access, AttributeName="email", Code="none")
    assert told[0] == "CodeMismatchException"


def test_nobody_says_of_himself_that_his_address_is_verified(pool: Pool) -> None:
    """Developer Guide, "Attribute permissions and scopes"."""
    verified = [*emails("a@b.c"), {"Name": "email_verified", "Value": "true"}]
    who = {"ClientId": pool.client_id, "Username": "eve", "Password": PASSWORD}
    told = refusal(pool.client.sign_up, **who, UserAttributes=verified)
    assert told == ("NotAuthorizedException", "A client attempted to write unauthorized attribute")


def test_what_is_fixed_does_not_change_and_what_is_required_must_be_there(cloud: Cloud) -> None:
    tenant = {"Name": "tenant", "AttributeDataType": "String", "Mutable": False}
    pool = Pool(cloud, Schema=[{"Name": "name", "Required": True}, tenant])
    given = [{"Name": "custom:tenant", "Value": "one"}]
    who = {"ClientId": pool.client_id, "Username": "ann", "Password": PASSWORD}
    told = refusal(pool.client.sign_up, **who, UserAttributes=given)
    assert told[1] == "Attributes did not conform to the schema: name: The attribute name is required"
    pool.client.sign_up(**who, UserAttributes=[*given, {"Name": "name", "Value": "Ann"}])
    changed = [{"Name": "custom:tenant", "Value": "two"}]
    told = refusal(pool.client.admin_update_user_attributes, UserPoolId=pool.id, Username="ann", UserAttributes=changed)
    assert told == ("InvalidParameterException", "user.custom:tenant: Attribute cannot be updated.")


def test_groups_of_a_user_stand_in_its_tokens_with_their_roles(pool: Pool) -> None:
    """Developer Guide, "Adding groups to a user pool"."""
    pool.add()
    for name, precedence in (("staff", 2), ("admin", 1)):
        role = f"arn:aws:iam::000000000000:role/{name}"
        pool.client.create_group(UserPoolId=pool.id, GroupName=name, Precedence=precedence, RoleArn=role)
        pool.client.admin_add_user_to_group(UserPoolId=pool.id, Username="ann", GroupName=name)
    tokens = pool.sign_in()["AuthenticationResult"]
    told, access = claims(tokens["IdToken"]), claims(tokens["AccessToken"])
    assert told["cognito:groups"] == access["cognito:groups"] == ["admin", "staff"]
    assert told["cognito:preferred_role"] == "arn:aws:iam::000000000000:role/admin"
    assert "cognito:roles" not in access


def test_tokens_have_the_documented_claims_and_no_others(pool: Pool) -> None:
    """Developer Guide, "Understanding the identity (ID) token" and "Understanding the access token"."""
    pool.add()
    tokens = pool.sign_in()["AuthenticationResult"]
    shared = {"sub", "iss", "origin_jti", "event_id", "token_use", "auth_time", "exp", "iat", "jti"}
    assert claims(tokens["IdToken"]).keys() == {*shared, "aud", "cognito:username", "email"}
    assert claims(tokens["AccessToken"]).keys() == {*shared, "client_id", "scope", "username"}
    assert (tokens["ExpiresIn"], tokens["TokenType"]) == (3600, "Bearer")


def test_an_access_token_ends_by_the_clock(cloud: Cloud) -> None:
    pool = Pool(cloud, app={"AccessTokenValidity": 5, "TokenValidityUnits": {"AccessToken": "minutes"}})
    pool.add()
    access = pool.sign_in()["AuthenticationResult"]["AccessToken"]
    cloud.advance(seconds=299)
    assert pool.client.get_user(AccessToken=access)["Username"] == "ann"
    cloud.advance(seconds=1)
    assert refusal(pool.client.get_user, AccessToken=access) == ("NotAuthorizedException", "Access Token has expired")


def test_a_step_of_a_sign_in_is_taken_once(pool: Pool) -> None:
    """RespondToAuthChallenge, NEW_PASSWORD_REQUIRED."""
    pool.client.admin_create_user(UserPoolId=pool.id, Username="kim", TemporaryPassword="Temporary-1")
    asked = pool.sign_in("kim", "Temporary-1")
    assert json.loads(asked["ChallengeParameters"]["requiredAttributes"]) == []
    step = {"ClientId": pool.client_id, "ChallengeName": "NEW_PASSWORD_REQUIRED", "Session": asked["Session"]}
    answer = {"USERNAME": "kim", "NEW_PASSWORD": "short"}
    told = refusal(pool.client.respond_to_auth_challenge, **step, ChallengeResponses=answer)
    assert told == ("InvalidPasswordException", "Password did not conform with policy: Password not long enough")
    answer = {**answer, "NEW_PASSWORD": PASSWORD, "userAttributes.nickname": "K"}
    assert "IdToken" in pool.client.respond_to_auth_challenge(**step, ChallengeResponses=answer)["AuthenticationResult"]
    told = refusal(pool.client.respond_to_auth_challenge, **step, ChallengeResponses=answer)
    assert told[0] == "NotAuthorizedException"


def test_a_temporary_password_ends(cloud: Cloud, pool: Pool) -> None:
    """CreateUserPool, TemporaryPasswordValidityDays: seven by default."""
    pool.client.admin_create_user(UserPoolId=pool.id, Username="kim", TemporaryPassword="Temporary-1")
    cloud.advance(seconds=7 * 86_400 + 1)
    told = refusal(pool.sign_in, name="kim", password="Temporary-1")
    expired = "Temporary password has expired and must be reset by an administrator."
    assert told == ("NotAuthorizedException", expired)
