"""JSON Patch: RFC 6902's own cases, and what a patch may cost."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingress.api import json_patch
from schemas.errors import Refused
from schemas.reasons import Reason


def op(kind: str, path: str, **members: Any) -> dict[str, Any]:
    return {"op": kind, "path": path, **{name.strip("_"): value for name, value in members.items()}}


@pytest.mark.parametrize(
    ("document", "operations", "wanted"),
    [
        ({"foo": "bar"}, [op("add", "/baz", value="qux")], {"foo": "bar", "baz": "qux"}),
        ({"foo": ["bar", "baz"]}, [op("add", "/foo/1", value="qux")], {"foo": ["bar", "qux", "baz"]}),
        ({"foo": ["bar", "qux", "baz"]}, [op("remove", "/foo/1")], {"foo": ["bar", "baz"]}),
        ({"foo": {"bar": 1}, "q": {}}, [op("move", "/q/thud", from_="/foo/bar")], {"foo": {}, "q": {"thud": 1}}),
        ({"foo": ["a", "b", "c"]}, [op("move", "/foo/2", from_="/foo/0")], {"foo": ["b", "c", "a"]}),
        ({"foo": "bar"}, [op("add", "/child", value={"grand": {}})], {"foo": "bar", "child": {"grand": {}}}),
        ({"/": 9, "~1": 10}, [op("test", "/~01", value=10), op("remove", "/~1")], {"~1": 10}),
        ({"foo": ["bar"]}, [op("add", "/foo/-", value=["abc"])], {"foo": ["bar", ["abc"]]}),
        ({"a": None}, [op("replace", "/a", value=1)], {"a": 1}),
        ({"a": 1}, [op("add", "/b", value=None), op("copy", "/c", from_="/a"), op("add", "/z", value=1, more=2)],
         {"a": 1, "b": None, "c": 1, "z": 1}),
        ({"a": 1}, [], {"a": 1}),
    ],
)  # fmt: skip
def test_operations_do_what_the_rfc_says_and_leave_the_argument(
    document: dict[str, Any], operations: list[Any], wanted: Any
) -> None:
    before = repr(document)
    assert json_patch.apply(document, operations) == wanted
    assert repr(document) == before


@pytest.mark.parametrize(
    "operations",
    [
        [op("test", "/a", value=2)], [op("test", "/b", value=None)], [op("remove", "/b")], [op("remove", "")],
        [op("replace", "/b", value=1)], [op("add", "/b/c", value=1)], [op("add", "/l/9", value=1)],
        [op("add", "/l/x", value=1)], [op("add", "/l/01", value=1)], [op("add", "/a/b", value=1)],
        [op("copy", "/c", from_="/b")], [op("move", "/c", from_="/l/-")], [op("move", "/l/0/x", from_="/l/0")],
        [op("remove", "/l/-")], [op("replace", "/l/1/x/y", value=0)],
    ],
)  # fmt: skip
def test_an_operation_that_does_not_fit_is_a_conflict(operations: list[Any]) -> None:
    with pytest.raises(Refused) as caught:
        json_patch.apply({"a": 1, "l": [{"y": 1}]}, operations)
    assert (caught.value.reason, caught.value.errors[0][0]) == (Reason.PATCH_CONFLICT, "/0")


@pytest.mark.parametrize(
    ("operations", "words"),
    [
        ([op("copy", f"/l/{number}", from_="/l") for number in range(200)], "the object would have more than"),
        ([op("copy", "/n" * (2**number + 1), from_="/n") for number in range(9)], "the object would nest too deep"),
        ([op("copy", "/x", from_="/many"), op("remove", "/x")] * 100, "the patch copies more than"),
    ],
    ids=["doubles", "nests", "repeats"],
)
def test_a_patch_that_costs_more_and_more_is_ended_early(operations: list[Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        json_patch.apply({"l": ["x" * 1000], "n": {}, "many": [1] * 40_000}, operations)


def test_a_patch_is_bounded() -> None:
    many = [op("test", "/a", value=1)] * json_patch.MAX_OPERATIONS
    assert json_patch.apply({"a": 1}, many) == {"a": 1}
    for operations in ([*many, many[0]], [op("add", "/" + "x" * json_patch.MAX_POINTER, value=1)]):
        with pytest.raises(Refused) as caught:
            json_patch.apply({"a": 1}, operations)
        assert caught.value.reason is Reason.INVALID_DEFINITION


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "/"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "", "0", "-"]), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip
POINTERS = st.sampled_from(["", "/", "/a", "/b", "/a/b", "/a/0", "/a/-", "/-", "/0", "/a/b/0", "//", "/~0", "/~2", "a"])


@settings(max_examples=60, deadline=None)
@given(
    document=st.dictionaries(st.sampled_from(["a", "b", "", "0"]), JSON, max_size=3),
    operations=st.lists(
        st.fixed_dictionaries(
            {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": POINTERS | JSON},
            optional={"from": POINTERS | JSON, "value": JSON},
        )
        | JSON,
        max_size=4,
    ),
)
def test_whatever_is_sent_a_patch_is_applied_or_refused(document: dict[str, Any], operations: list[Any]) -> None:
    before = repr(document)
    with suppress(Refused):
        json_patch.apply(document, operations)
    assert repr(document) == before
