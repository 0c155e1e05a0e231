"""Nothing that a caller gives is passed over: each member of an input is honoured, or refused by its name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fogbank.aws.services
from fogbank.assembly import served
from fogbank.aws.protocol import models, refusals
from fogbank.aws.protocol.integrity import DIGESTS
from fogbank.aws.protocol.refusals import guarded
from fogbank.aws.service import Operations, ServiceError

if TYPE_CHECKING:
    from fogbank.kernel.store import Tx

FOLDER = Path(fogbank.aws.services.__path__[0])
# Those whose inputs have been gone through, member by member.
GONE_THROUGH = [
    "application-autoscaling",
    "dynamodbstreams",
    "events",
    "iam",
    "kinesis",
    "lambda",
    "logs",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "sts",
]


def source(service: str) -> str:
    name = service.replace("-", "_")
    folder = FOLDER / name if (FOLDER / name).is_dir() else FOLDER / f"{name}_"
    return "\n".join(path.read_text() for path in folder.rglob("*.py") if path.name != "resources.py")


@pytest.mark.parametrize("service", GONE_THROUGH)
def test_every_member_of_every_input_is_named_where_its_service_is_written(service: str) -> None:
    """In an operation, or among those that are refused or without effect: a new member of a model is seen here."""
    named = set(re.findall(r'"([A-Za-z0-9]+)"', source(service)))
    parts = (
        named | {*DIGESTS} | {"Algorithm", "Key", "KeyMD5"}
    )  # Of names that are put together, such as ResponseExpires.
    stems = ("SSECustomer", "CopySourceSSECustomer", "CopySource", "Response", "Checksum")
    named |= {f"{stem}{part}" for stem in stems for part in parts}
    operations = models.load(service).operations
    passed_over = {
        name: missing
        for name in served()[0][service]
        if (shape := operations[name].input) is not None and (missing := sorted(set(shape.members) - named))
    }
    assert passed_over == {}


class Shop(Operations):
    service = "s3"
    refused = {"PutObject": {"Colour": (), "Size": ("small",)}, "*": {"Taste": ()}}  # noqa: RUF012

    def put_object(self, tx: Tx, call: Any, request: dict[str, Any]) -> str:
        return "done"

    async def get_object(self, call: Any, request: dict[str, Any]) -> str:
        return "done"


@pytest.mark.parametrize("request_", [{"Colour": "red"}, {"Size": "large"}, {"Taste": "sweet"}])
def test_a_refused_member_is_told_by_its_name_in_the_services_own_code(request_: dict[str, str]) -> None:
    put = guarded(Shop(None), "put_object")  # type: ignore[arg-type]  # It uses no house.
    with pytest.raises(ServiceError, match=f"does not serve {next(iter(request_))}") as refused:
        put(None, None, request_)
    assert (refused.value.code, refused.value.status) == ("NotImplemented", 501)


def test_a_value_that_asks_for_nothing_is_let_in() -> None:
    put = guarded(Shop(None), "put_object")  # type: ignore[arg-type]
    assert put(None, None, {"Size": "small", "Key": "k"}) == "done"


def test_a_service_that_refuses_members_has_a_code_for_it() -> None:
    codes = refusals.CODES
    for cls in Operations.__subclasses__():
        if cls.refused:
            assert cls.service in codes, cls
