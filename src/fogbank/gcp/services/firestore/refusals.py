"""Answers that the caller is meant to see; the texts are the service's own where it is known to have one."""

from __future__ import annotations

from typing import Final

from fogbank.gcp.service import Code, RpcError

_MESSAGE_MAX: Final = 2000  # It travels in a header, and what it quotes may be of any length.


def _refusal(code: Code, message: str) -> RpcError:
    return RpcError(code, message if len(message) <= _MESSAGE_MAX else f"{message[:_MESSAGE_MAX]}…")


def not_served(what: str) -> RpcError:
    return _refusal(Code.UNIMPLEMENTED, f"{what} is not served.")


def invalid(message: str) -> RpcError:
    return _refusal(Code.INVALID_ARGUMENT, message)


def document_not_found(name: str) -> RpcError:
    return _refusal(Code.NOT_FOUND, f'Document "{name}" not found.')


def no_document_to_update(name: str) -> RpcError:
    return _refusal(Code.NOT_FOUND, f"No document to update: {name}")


def already_exists(name: str) -> RpcError:
    return _refusal(Code.ALREADY_EXISTS, f"Document already exists: {name}")


def other_version(stored_us: int, required_us: int) -> RpcError:
    return _refusal(
        Code.FAILED_PRECONDITION,
        f"the stored version ({stored_us}) does not match the required base version ({required_us})",
    )


def version_to_come(name: str) -> RpcError:
    return invalid(f"Invalid base version, it is greater than the stored version: {name}")


def too_many_targets(most: int) -> RpcError:
    return _refusal(Code.RESOURCE_EXHAUSTED, f"A stream listens to {most} targets at most.")


def read_time_too_old() -> RpcError:
    return _refusal(Code.FAILED_PRECONDITION, "The requested 'read_time' is too old.")


def read_time_in_the_future() -> RpcError:
    return invalid("The requested 'read_time' cannot be in the future.")


def invalid_transaction() -> RpcError:
    return invalid("Invalid transaction.")


def transaction_gone() -> RpcError:
    return invalid("The referenced transaction has expired or is no longer valid.")


def contention() -> RpcError:
    return _refusal(
        Code.ABORTED,
        "Aborted due to cross-transaction contention. This occurs when multiple transactions attempt to access the "
        "same data, requiring Firestore to abort at least one in order to enforce serializability.",
    )
