"""ETags: the version guards updates, the whole tag tells a changed answer."""

import pytest

from ingress.api import etag
from schemas.errors import Refused


def test_if_match_compares_the_version_only() -> None:
    tag = etag.make(3, b"{}")
    assert etag.versions(tag) == frozenset({3})
    assert etag.versions(f'W/{tag}, "7.x"') == frozenset({3, 7})
    assert etag.versions('"3"') == frozenset({3})
    assert etag.versions('"other"') == frozenset()


@pytest.mark.parametrize("value", [None, "*", " * "])
def test_no_condition_allows_any_version(value: str | None) -> None:
    assert etag.versions(value) is None


@pytest.mark.parametrize("value", ["3", "", '"3', '"3" "4"', '"' + "x" * 2000 + '"'])
def test_refuses_what_is_no_list_of_tags(value: str) -> None:
    with pytest.raises(Refused) as caught:
        etag.versions(value)
    assert caught.value.reason == "bad_request"


def test_if_none_match_compares_the_whole_tag() -> None:
    tag = etag.make(3, b"{}")
    assert etag.unchanged(tag, tag)
    assert etag.unchanged(f'"x", W/{tag}', tag)
    assert etag.unchanged("*", tag)
    assert not etag.unchanged(etag.make(3, b"[]"), tag)
    assert not etag.unchanged(None, tag)
