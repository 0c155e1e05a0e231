"""What a bucket holds: prefixes, delimiters, offsets, globs, versions, pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fogbank.gcp.services.storage import globs
from fogbank.gcp.services.storage.listing import after_all
from tests.gcp.services.storage.conftest import names, put, reason

if TYPE_CHECKING:
    import httpx

TREE = ("a.txt", "a/1", "a/2", "a/b/3", "b", "c/", "c/4", "d/5")


@pytest.fixture(scope="module")
def tree(gcs: Any) -> Any:
    made = gcs.create_bucket("tree")
    for name in TREE:
        put(made, name)
    return made


def listed(bucket: Any, **asked: Any) -> tuple[list[str], list[str]]:
    """Items and prefixes of all pages."""
    found = bucket.list_blobs(**asked)
    items = names(found)
    return items, sorted(found.prefixes)


def test_names_come_in_the_order_of_their_bytes(gcs: Any) -> None:
    bucket = gcs.create_bucket("ordered")
    given_names = ["é", "z", "\U00010000", "\uffff", "A", "a", "a/", "a0", "a-"]
    for name in given_names:
        put(bucket, name)
    assert names(bucket.list_blobs()) == sorted(given_names, key=str.encode)


@pytest.mark.parametrize("page_size", [1, 2, 3, 100])
def test_what_lies_below_a_prefix_is_one_entry(tree: Any, page_size: int) -> None:
    assert listed(tree, delimiter="/", page_size=page_size) == (["a.txt", "b"], ["a/", "c/", "d/"])
    assert listed(tree, prefix="a/", delimiter="/", page_size=page_size) == (["a/1", "a/2"], ["a/b/"])
    assert listed(tree, prefix="a", page_size=page_size) == (["a.txt", "a/1", "a/2", "a/b/3"], [])


def test_a_name_that_ends_with_the_delimiter_is_an_item_too_if_wanted(tree: Any) -> None:
    asked = listed(tree, delimiter="/", include_trailing_delimiter=True)
    assert asked == (["a.txt", "b", "c/"], ["a/", "c/", "d/"])


def test_offsets_bound_the_names(tree: Any) -> None:
    assert listed(tree, start_offset="a/2", end_offset="c/")[0] == ["a/2", "a/b/3", "b"]


@pytest.mark.parametrize(
    ("glob", "found"),
    [
        ("*", ["a.txt", "b"]),
        ("**", list(TREE)),
        ("a/*", ["a/1", "a/2"]),
        ("a/**", ["a/1", "a/2", "a/b/3"]),
        ("?", ["b"]),
        ("[ac]/[0-1]", ["a/1"]),
        ("{a,d}/[!12]*", ["d/5"]),
        ("*.{txt,md}", ["a.txt"]),
        ("nothing", []),
    ],
)
def test_a_glob_chooses(tree: Any, glob: str, found: list[str]) -> None:
    assert listed(tree, match_glob=glob)[0] == found


@pytest.mark.parametrize("glob", ["[a", "{a", "[b-a]", "*" * 5000])
def test_a_glob_that_cannot_be_read_is_refused(http: httpx.Client, tree: Any, glob: str) -> None:
    answer = http.get("/storage/v1/b/tree/o", params={"matchGlob": glob})
    assert reason(answer)[:2] == (400, "invalid")


@settings(max_examples=200, deadline=None)
@given(st.text("ab*?[]{},!-\\/", max_size=12), st.text("ab/", max_size=8))
@example("[!--]", "a")
@example("[--]", "-")
def test_any_glob_is_compiled_or_refused(glob: str, name: str) -> None:
    try:
        globs.compiled(glob).fullmatch(name)
    except Exception as error:
        assert getattr(error, "status", None) == 400


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4), st.text(max_size=3))
def test_the_name_behind_a_prefix_is_behind_all_that_begins_with_it(prefix: str, rest: str) -> None:
    if set(prefix) != {"\U0010ffff"} and rest.isascii():
        assert (prefix + rest).encode() < after_all(prefix).encode()


def test_versions_are_listed_with_what_is_live_in_pages(versioned: Any) -> None:
    made = [(name, put(versioned, name, str(at)).generation) for name in ("a", "b", "a/c") for at in range(3)]
    versioned.blob("b").delete()
    found = [(blob.name, blob.generation) for blob in versioned.list_blobs(versions=True, page_size=2)]
    assert found == sorted(made)


def test_a_token_of_somebody_else_is_refused(http: httpx.Client, tree: Any) -> None:
    for token in ("nonsense", "!", "AAAA"):
        assert reason(http.get("/storage/v1/b/tree/o", params={"pageToken": token}))[:2] == (400, "invalid")


def test_a_bucket_that_is_not_there_has_no_list(gcs: Any) -> None:
    with pytest.raises(exceptions.NotFound):
        list(gcs.bucket("not-there").list_blobs())
