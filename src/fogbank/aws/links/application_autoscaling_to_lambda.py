"""Application Auto Scaling → AWS Lambda: provisioned concurrency that follows its use.

Lambda Developer Guide, "Managing provisioned concurrency with Application Auto Scaling".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fogbank.aws.service import ServiceError
from fogbank.aws.services.lambda_ import admission, state

if TYPE_CHECKING:
    from fogbank.aws.service import Ask, House
    from fogbank.aws.services.application_autoscaling.state import Place

SCALES = ("lambda", "lambda:function:ProvisionedConcurrency")
METRICS = ("LambdaProvisionedConcurrencyUtilization",)
_RESOURCE = re.compile(r"function:([a-zA-Z0-9-_]{1,64}):([a-zA-Z0-9-_]+)")


async def capacity(ask: Ask, resource_id: str) -> int:
    """What is asked for now; 0 where nothing is. Raises `ServiceError` where there is no such version or alias."""
    name, qualifier = _parts(resource_id)
    await ask("lambda", "GetFunctionConfiguration", FunctionName=name, Qualifier=qualifier)
    try:
        found = await ask("lambda", "GetProvisionedConcurrencyConfig", FunctionName=name, Qualifier=qualifier)
    except ServiceError as error:
        if error.code != "ProvisionedConcurrencyConfigNotFoundException":
            raise
        return 0
    return int(found["RequestedProvisionedConcurrentExecutions"])


async def set_capacity(ask: Ask, resource_id: str, count: int) -> None:
    name, qualifier = _parts(resource_id)
    where = {"FunctionName": name, "Qualifier": qualifier}
    if not count:
        await ask("lambda", "DeleteProvisionedConcurrencyConfig", **where)
        return
    made = await ask("lambda", "PutProvisionedConcurrencyConfig", ProvisionedConcurrentExecutions=count, **where)
    if made["Status"] == "FAILED":
        raise ServiceError("InvalidParameterValueException", made["StatusReason"])


async def used(house: House, place: Place) -> int:
    """How much was in use at a time at most, since this was asked last."""
    name, qualifier = _parts(place.resource_id)
    function = await house.store.transact(state.FUNCTIONS.get, place.account, place.region, name)
    if function is None:
        return 0
    return house.share(admission.Admission).take_peak(admission.config_name(function, qualifier))


def _parts(resource_id: str) -> tuple[str, str]:
    found = _RESOURCE.fullmatch(resource_id)
    if found is None:
        told = f"Resource ID {resource_id} is not of the form function:name:alias-or-version."
        raise ServiceError("ValidationException", told)
    return found[1], found[2]
