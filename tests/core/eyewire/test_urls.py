"""A URL goes out as it was given: no escape undone, none added, no login along."""

import pytest

from ewval.core.eyewire.urls import follow, on_the_wire, without_login


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://x/a%2Fb%7Ec?s=%2b%2B+~'()", "http://x/a%2Fb%7Ec?s=%2b%2B+~'()"),
        ("http://x/%zz", "http://x/%zz"),
        ("http://x/caf\u00e9 1", "http://x/caf%C3%A9%201"),
        ("http://x/a?b#c", "http://x/a?b"),
    ],
)
def test_only_what_no_request_may_hold_is_quoted(url: str, sent: str) -> None:
    assert on_the_wire(url) == sent


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("http://me:pw@x/a@b", "http://x/a@b"),
        ("http://me@x", "http://x"),
        ("http://x/a?to=me@y", "http://x/a?to=me@y"),
        ("http://x?to=me@y", "http://x?to=me@y"),
        ("/a@b", "/a@b"),
    ],
)
def test_a_login_in_a_url_goes_nowhere(url: str, plain: str) -> None:
    assert without_login(url) == plain


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("HTTP://Y/%7e?", "HTTP://Y/%7e?"),
        ("../b?x=%2F", "http://x/b?x=%2F"),
        ("//y/b", "http://y/b"),
        ("?q", "http://x/a/c?q"),
    ],
)
def test_a_redirect_is_taken_to_the_byte(location: str, target: str) -> None:
    assert follow("http://x/a/c", location) == target
