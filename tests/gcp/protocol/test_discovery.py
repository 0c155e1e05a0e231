"""APIs that a discovery document describes: which method is where."""

from __future__ import annotations

import pytest

from fogbank.gcp.protocol import discovery, partial


@pytest.mark.parametrize(
    ("verb", "path", "method", "variables"),
    [
        ("GET", "b/one/o/a%2Fb", "storage.objects.get", {"bucket": "one", "object": "a/b"}),
        ("POST", "b/one/o/bulkRestore", "storage.objects.bulkRestore", {"bucket": "one"}),
        ("PUT", "b/one/iam", "storage.buckets.setIamPolicy", {"bucket": "one"}),
        ("GET", "projects/p/hmacKeys/k", "storage.projects.hmacKeys.get", {"projectId": "p", "accessId": "k"}),
    ],
)
def test_a_method_is_found_by_verb_and_path(verb: str, path: str, method: str, variables: dict[str, str]) -> None:
    found = discovery.api("storage.v1").find(verb, path)
    assert found is not None
    assert (found[0].id, found[1]) == (method, variables)


@pytest.mark.parametrize(("verb", "path"), [("GET", "b/one/o/a/b"), ("BREW", "b"), ("GET", ""), ("GET", "b/")])
def test_what_is_no_address_is_none(verb: str, path: str) -> None:
    assert discovery.api("storage.v1").find(verb, path) is None


def test_a_method_knows_its_noun_and_what_it_takes() -> None:
    method = discovery.api("storage.v1").methods["storage.projects.hmacKeys.create"]
    assert (method.noun, method.name, method.takes_media) == ("projects.hmacKeys", "create", False)
    insert = discovery.api("storage.v1").methods["storage.objects.insert"]
    assert insert.takes_media and insert.parameters["projection"].choices == ("full", "noAcl")


CONTENT = {"kind": "k", "items": [{"name": "a", "owner": {"entity": "e", "id": 1}}, {"name": "b"}], "token": "t"}


@pytest.mark.parametrize(
    ("fields", "chosen"),
    [
        ("kind", {"kind": "k"}),
        ("items/name,token", {"items": [{"name": "a"}, {"name": "b"}], "token": "t"}),
        ("items(owner(entity))", {"items": [{"owner": {"entity": "e"}}, {}]}),
        ("items/owner/id", {"items": [{"owner": {"id": 1}}, {}]}),
        ("*", CONTENT),
        ("nothing", {}),
    ],
)
def test_a_partial_answer_has_what_its_expression_names(fields: str, chosen: dict[str, object]) -> None:
    assert partial.chosen(CONTENT, fields) == chosen


@pytest.mark.parametrize(
    "fields", ["(", "a(", "a)", "a,", ",a", "a//b", "a(b", "a b", "a!", "a/" * 60 + "b", "a" * 5000]
)
def test_an_expression_that_cannot_be_read_is_told(fields: str) -> None:
    with pytest.raises(partial.BadFields):
        partial.chosen(CONTENT, fields)
