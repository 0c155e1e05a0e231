"""The types that CloudFormation itself has: stacks in stacks, resources of a customer's own, conditions to wait for."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from fogbank.aws.service import Ask, ServiceError
from fogbank.aws.services.cloudformation import mailboxes
from fogbank.aws.stacks import intrinsics, records
from fogbank.aws.stacks.deployer import Deployer
from fogbank.aws.stacks.resource import CUSTOM, Place, begun

if TYPE_CHECKING:
    from fogbank.aws.stacks.records import Mailbox, Stack
    from fogbank.kernel.store import Tx

_FUNCTION = re.compile(r"arn:aws:lambda:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):function:.+")
_TOPIC = re.compile(r"arn:aws:sns:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):[A-Za-z0-9_-]+")
_SERVICE_TIMEOUT_S = 3600  # AWS::CloudFormation::CustomResource, ServiceTimeout: "The default value is 3600 seconds".


class NestedStack:
    """AWS::CloudFormation::Stack: the same operations that make any stack, and their end waited for."""

    type: ClassVar = "AWS::CloudFormation::Stack"
    looks_inside: ClassVar = True

    def placed(self, place: Place) -> _NestedStack:
        return _NestedStack(place)


class _NestedStack:
    def __init__(self, place: Place) -> None:
        self._place = place

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        timeout = {"TimeoutInMinutes": int(wanted["TimeoutInMinutes"])} if "TimeoutInMinutes" in wanted else {}
        made = await ask("cloudformation", "CreateStack", StackName=name[:128], **self._request(wanted), **timeout)
        stack_id = str(made["StackId"])
        await self._place.house.store.transact(_adopt, self._place.stack, stack_id)
        with begun(stack_id):
            await self._settled(stack_id, "CREATE_COMPLETE", "created")
        return stack_id

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        try:
            token = {"ClientRequestToken": self._token()}
            await ask("cloudformation", "UpdateStack", StackName=physical_id, **self._request(wanted), **token)
        except ServiceError as error:
            if error.message != "No updates are to be performed.":
                raise
            return
        await self._settled(physical_id, "UPDATE_COMPLETE", "updated")

    async def put_back(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        """To the template that it had: what lies at its URL may be another by now."""
        house = self._place.house
        if await house.store.transact(self._revert, physical_id):
            house.share(Deployer).begin(physical_id)
            await self._settled(physical_id, "UPDATE_COMPLETE", "rolled back")

    def _revert(self, tx: Tx, stack_id: str) -> bool:
        """Only if this update of the parent has changed it, and it has not gone back by itself."""
        child = records.STACKS.get(tx, stack_id, lock=True)
        if child is None or child.token != self._token() or child.previous is None or child.status != "UPDATE_COMPLETE":
            return False
        records.put(tx, replace(child, status="UPDATE_IN_PROGRESS", reason="", target=child.previous))
        return True

    def _token(self) -> str:
        """Names this update of the parent."""
        stack = self._place.stack
        return f"{stack.id.rpartition('/')[2]}-{stack.updated_ms}"

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        stack_id = physical_id
        if not physical_id.startswith("arn:"):  # Its creation was cut: it has the name that was made up for it.
            stack = self._place.stack
            found = await self._place.house.store.transact(records.living, stack.account, stack.region, physical_id)
            if found is None:
                return
            stack_id = found.id
        await ask("cloudformation", "DeleteStack", StackName=stack_id)
        await self._settled(stack_id, "DELETE_COMPLETE", "deleted")

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        found = (await ask("cloudformation", "DescribeStacks", StackName=physical_id))["Stacks"][0]
        return {f"Outputs.{one['OutputKey']}": one["OutputValue"] for one in found.get("Outputs", [])}

    def _request(self, wanted: dict[str, Any]) -> dict[str, Any]:
        if wanted.get("NotificationARNs"):
            raise ServiceError("ValidationError", "Notifications of stack events are not served here.")
        target = self._place.stack.target or self._place.stack.current
        parameters = wanted.get("Parameters") or {}
        return {
            "TemplateURL": wanted["TemplateURL"],
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": intrinsics.text(value)} for key, value in parameters.items()
            ],
            "Tags": [{"Key": tag["Key"], "Value": str(tag["Value"])} for tag in wanted.get("Tags", [])],
            "Capabilities": target.capabilities if target else [],
        }

    async def _settled(self, stack_id: str, good: str, verb: str) -> None:
        house = self._place.house
        with house.signals.watch(records.ENDED, (stack_id,)) as watch:
            while True:
                stack = await house.store.transact(records.STACKS.get, stack_id)
                if stack is None or stack.status == good:
                    return
                if not stack.status.endswith("_IN_PROGRESS"):
                    events = await house.store.transact(records.EVENTS.all, stack_id)
                    told = f"Embedded stack {stack_id} was not successfully {verb}: {_cause(stack, events)}"
                    raise ServiceError("InvalidRequest", told)
                await watch.wait()


def _cause(stack: Stack, events: list[records.Event]) -> str:
    """What went wrong first: a rollback that has ended well says nothing of it."""
    told = [event.reason for event in events if event.logical_id == stack.name and "failed to" in event.reason]
    return told[-1].removesuffix(" Rollback requested by user.") if told else stack.reason


def _adopt(tx: Tx, parent: Stack, stack_id: str) -> None:
    child = records.STACKS.get(tx, stack_id, lock=True)
    if child is not None:
        records.put(tx, replace(child, parent=parent.id, root=parent.root or parent.id))


class CustomResource:
    """Custom::Anything: a function makes it, or who listens to a topic, and answers to a URL.

    User Guide, "Lambda-backed custom resources", "Amazon SNS-backed custom resources", "Custom resource request and
    response reference".
    """

    type: ClassVar = CUSTOM
    looks_inside: ClassVar = False

    def placed(self, place: Place) -> _CustomResource:
        return _CustomResource(place)


class _CustomResource:
    def __init__(self, place: Place) -> None:
        self._place = place
        self._data: dict[str, Any] = {}

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        return await self._request(ask, "Create", wanted, {}, name)

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> str:
        more = {"PhysicalResourceId": physical_id, "OldResourceProperties": _texts(old)}
        return await self._request(ask, "Update", wanted, more, physical_id)

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await self._request(ask, "Delete", old, {"PhysicalResourceId": physical_id}, physical_id)

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return self._data

    async def _request(
        self, ask: Ask, kind: str, wanted: dict[str, Any], more: dict[str, Any], physical_id: str
    ) -> str:
        """Ask whoever makes it; the answer is the physical id that it gives."""
        place = self._place
        token = str(wanted["ServiceToken"])
        if not _FUNCTION.fullmatch(token) and not _TOPIC.fullmatch(token):
            raise ServiceError("ValidationError", f"Custom resources are served with the ARN of a function or a topic as ServiceToken, which {token} is not.")  # fmt: skip  # noqa: E501
        request_id = place.house.ids.new()
        event = {
            "RequestType": kind,
            "ServiceToken": token,
            "ResponseURL": await self._open(request_id),
            "StackId": place.stack.id,
            "RequestId": request_id,
            "LogicalResourceId": place.logical_id,
            "ResourceType": place.type,
            **more,
            "ResourceProperties": _texts(wanted),
        }
        limit_ms = place.house.clock.now_ms() + 1000 * int(wanted.get("ServiceTimeout", _SERVICE_TIMEOUT_S))
        with begun(physical_id) if kind == "Create" else nullcontext():
            await self._tell(token, orjson.dumps(event))
            answers = await _letters(place, request_id, 1, limit_ms)
            await place.house.store.transact(records.MAILBOXES.delete, request_id)
            if not answers:
                raise ServiceError("InvalidRequest", f"CloudFormation did not receive a response from your Custom Resource. Please check your logs for requestId [{request_id}]. If you are using the Python cfn-response module, you may need to update your Lambda function so that CloudFormation can attach the updated version.")  # fmt: skip  # noqa: E501
        return self._read(answers[0], physical_id, kind)

    async def _tell(self, token: str, request: bytes) -> None:
        stack = self._place.stack
        ask = self._place.house.caller(stack.account, token.split(":")[3], stack.principal)
        if _FUNCTION.fullmatch(token):
            await ask("lambda", "Invoke", FunctionName=token, InvocationType="Event", Payload=request)
        else:
            subject = "AWS CloudFormation custom resource request"
            await ask("sns", "Publish", TopicArn=token, Subject=subject, Message=request.decode())

    async def _open(self, request_id: str) -> str:
        house, stack = self._place.house, self._place.stack
        secret = mailboxes.new_secret(house)
        await house.store.transact(mailboxes.new, request_id, secret, house.clock.now_ms())
        return mailboxes.address(house, stack.region, request_id, secret)

    def _read(self, answer: bytes, physical_id: str, kind: str) -> str:
        try:
            told = orjson.loads(answer)
            status, given = told["Status"], str(told.get("PhysicalResourceId") or "")
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise ServiceError("InvalidRequest", "Invalid response object: it must be JSON with a Status.") from error
        with begun(given or physical_id) if kind == "Create" else nullcontext():
            if status != "SUCCESS":
                raise ServiceError("InvalidRequest", f"Received response status [FAILED] from custom resource. Message returned: {told.get('Reason', '')}")  # fmt: skip  # noqa: E501
            if not given:
                raise ServiceError("InvalidRequest", "Invalid PhysicalResourceId")
            if not isinstance(told.get("Data") or {}, dict):
                raise ServiceError("InvalidRequest", "Invalid response object: Data must be an object.")
        self._data = told.get("Data") or {}
        return given


class WaitConditionHandle:
    """Its `Ref` is the URL to signal to."""

    type: ClassVar = "AWS::CloudFormation::WaitConditionHandle"
    looks_inside: ClassVar = False

    def placed(self, place: Place) -> _WaitConditionHandle:
        return _WaitConditionHandle(place)


class _WaitConditionHandle:
    def __init__(self, place: Place) -> None:
        self._place = place

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        house, stack = self._place.house, self._place.stack
        box, secret = house.ids.new(), mailboxes.new_secret(house)
        await house.store.transact(mailboxes.new, box, secret, house.clock.now_ms())
        return mailboxes.address(house, stack.region, box, secret)

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        """It has no properties."""

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        await self._place.house.store.transact(records.MAILBOXES.delete, _box(physical_id))

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        return {}


class WaitCondition:
    """Complete once enough signals have come. User Guide, "Create wait conditions in a CloudFormation template"."""

    type: ClassVar = "AWS::CloudFormation::WaitCondition"
    looks_inside: ClassVar = False

    def placed(self, place: Place) -> _WaitCondition:
        return _WaitCondition(place)


class _WaitCondition:
    def __init__(self, place: Place) -> None:
        self._place = place

    async def create(self, ask: Ask, wanted: dict[str, Any], name: str) -> str:
        count = int(wanted.get("Count", 1))
        limit_ms = self._place.house.clock.now_ms() + 1000 * int(wanted["Timeout"])
        letters = await _letters(self._place, _box(str(wanted["Handle"])), count, limit_ms)
        for letter in letters:
            told = _signal(letter)
            if told.get("Status") != "SUCCESS":
                raise ServiceError("InvalidRequest", f"WaitCondition received failed message: '{told.get('Reason', '')}' for uniqueId: {told.get('UniqueId', '')}")  # fmt: skip  # noqa: E501
        if len(letters) < count:
            raise ServiceError("InvalidRequest", f"WaitCondition timed out. Received {len(letters)} conditions when expecting {count}")  # fmt: skip  # noqa: E501
        return name

    async def update(self, ask: Ask, physical_id: str, wanted: dict[str, Any], old: dict[str, Any]) -> None:
        """What has been waited for is not waited for again."""

    async def delete(self, ask: Ask, physical_id: str, old: dict[str, Any]) -> None:
        """There is nothing of it."""

    async def read(self, ask: Ask, physical_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
        box = await self._place.house.store.transact(records.MAILBOXES.get, _box(str(wanted["Handle"])))
        told = [_signal(letter) for letter in (box.answers if box else [])]
        return {"Data": orjson.dumps({one.get("UniqueId", ""): one.get("Data", "") for one in told}).decode()}


def _box(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def _signal(letter: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(letter)
    except orjson.JSONDecodeError:
        told = None
    return told if isinstance(told, dict) else {"Status": "FAILURE", "Reason": "the signal is not a JSON object"}


def _distinct(box: Mailbox) -> list[bytes]:
    """A signal that is sent again with the same UniqueId is the same signal."""
    return list({_signal(letter).get("UniqueId", letter): letter for letter in box.answers}.values())


async def _letters(place: Place, box_id: str, count: int, until_ms: int) -> list[bytes]:
    """The first `count` that come, or one that tells of a failure; fewer if the time is over before."""
    house = place.house
    with house.signals.watch(records.ANSWERED, (box_id,)) as watch:
        while True:
            box = await house.store.transact(records.MAILBOXES.get, box_id)
            letters = _distinct(box) if box else []
            failed = [letter for letter in letters if _signal(letter).get("Status") not in ("SUCCESS", None)]
            if failed or len(letters) >= count:
                return failed[:1] or letters[:count]
            if not await watch.wait(until_ms):
                return letters


def _texts(value: Any) -> Any:
    """As a custom resource gets its properties: each scalar as text."""
    if isinstance(value, dict):
        return {name: _texts(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return intrinsics.text(value)
