"""A deployed stage, compiled: its paths as a tree, each method ready to be called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fogbank.aws.services.apigateway import integrations
from fogbank.aws.services.apigateway.state import Api, Stage

_KNOWN_MAX = 1024  # Paths are the callers' to make up: "/items" may come as "//items" too.


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of a deployed stage, ready to be called."""

    path: str  # "/items/{id}"
    resource_id: str
    method: dict[str, Any]
    function_arn: str  # Of an AWS_PROXY integration.
    pools: tuple[str, ...]  # ARNs of the user pools whose tokens let a caller in.
    header: str  # Where the token is, in lower case.
    timeout_s: float
    is_open: bool  # Nobody is asked who they are, and no request is held against anything.


@dataclass(frozen=True, slots=True)
class Live:
    """A deployed stage, compiled."""

    api: Api
    stage: Stage
    tree: Node
    known: dict[tuple[str, str], tuple[Endpoint, str]] = field(default_factory=dict)  # Of paths without variables.
    # `events`' own: what events have in common, by resource and method; which domain they tell of, by Host header.
    forms: dict[tuple[str, str], bytes] = field(default_factory=dict)
    domains: dict[str, bytes] = field(default_factory=dict)

    def find(self, method: str, path: str) -> tuple[Endpoint | None, dict[str, str], str]:
        """The endpoint, what the path's variables hold, and the ARN that the caller of a function has there."""
        known = self.known.get((method, path))
        if known is not None:
            return known[0], {}, known[1]
        found = self.tree.find([part for part in path.split("/") if part])
        if found is None:
            return None, {}, ""
        node, labels = found
        endpoint = node.methods.get(method) or node.methods.get("ANY")
        if endpoint is None:
            return None, labels, ""
        api = self.api
        source = f"arn:aws:execute-api:{api.region}:{api.account}:{api.id}/{self.stage.name}/{method}{endpoint.path}"
        if not labels and len(self.known) < _KNOWN_MAX:
            self.known[(method, path)] = endpoint, source
        return endpoint, labels, source


class Node:
    """A step of the paths: what is said word for word comes before {one}, and that before {all+}."""

    __slots__ = ("all", "literal", "methods", "one")

    def __init__(self) -> None:
        self.literal: dict[str, Node] = {}
        self.one: tuple[str, Node] | None = None
        self.all: tuple[str, Node] | None = None
        self.methods: dict[str, Endpoint] = {}

    def find(self, parts: list[str], at: int = 0) -> tuple[Node, dict[str, str]] | None:
        if at == len(parts):
            return (self, {}) if self.methods else None
        below = self.literal.get(parts[at])
        found = below.find(parts, at + 1) if below else None
        if found is None and self.one:
            found = self.one[1].find(parts, at + 1)
            if found is not None:
                found[1][self.one[0]] = parts[at]  # As it came: REST APIs decode no paths.
        if found is None and self.all:
            return self.all[1], {self.all[0]: "/".join(parts[at:])}
        return found


def compile_stage(api: Api, stage: Stage) -> Live:
    root = Node()
    for resource in api.resources.values():
        node = root
        for part in [part for part in resource.path.split("/") if part]:
            node = _below(node, part)
        node.methods = {
            name: _endpoint(api, stage, resource.path, resource.id, method) for name, method in resource.methods.items()
        }
    return Live(api, stage, root)


def _below(node: Node, part: str) -> Node:
    if part.startswith("{") and part.endswith("+}"):
        node.all = node.all or (part[1:-2], Node())
        return node.all[1]
    if part.startswith("{") and part.endswith("}"):
        node.one = node.one or (part[1:-1], Node())
        return node.one[1]
    return node.literal.setdefault(part, Node())


def _endpoint(api: Api, stage: Stage, path: str, resource_id: str, method: dict[str, Any]) -> Endpoint:
    integration = method["methodIntegration"]
    proxied = integration["type"] == "AWS_PROXY"
    authorizer = api.authorizers.get(method.get("authorizerId", ""))
    facts = authorizer.facts if authorizer else {}
    source = facts.get("identitySource", "method.request.header.Authorization")
    return Endpoint(
        path, resource_id, method,
        integrations.function_arn(integration, stage.variables) if proxied else "",
        tuple(facts.get("providerARNs", ())) if method["authorizationType"] == "COGNITO_USER_POOLS" else (),
        source.rpartition(".")[2].lower(), integration.get("timeoutInMillis", 29_000) / 1000,
        method["authorizationType"] == "NONE" and not method["apiKeyRequired"] and "validator" not in method,
    )  # fmt: skip
