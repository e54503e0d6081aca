"""Connection strings: what they mean, what is refused, and that no secret gets out."""

from __future__ import annotations

import copy
import pickle
import string
import traceback
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store_core import DSN, DSNError
from store_core.dsn import Host

# Anything that UTF-8 can carry, and often what means something in a connection string.
MEANINGFUL = "/?#[]@:%&=+,;*. 025aFé\x00\n"
TEXT = st.text(st.characters(codec="utf-8")) | st.text(MEANINGFUL)
SOME_TEXT = TEXT.filter(bool)
SCHEMES = st.builds(
    str.__add__, st.sampled_from(string.ascii_lowercase), st.text(string.ascii_lowercase + string.digits + "+.-")
)
HOST_NAMES = SOME_TEXT.map(lambda name: name.replace("[", "").replace("]", "")).filter(bool)
PORTS = st.none() | st.integers(0, 65535)
HOSTS = st.builds(Host, HOST_NAMES, PORTS) | st.builds(Host, st.just(""), st.integers(0, 65535))
QUERIES = st.dictionaries(SOME_TEXT, TEXT, max_size=4).map(lambda pairs: tuple(pairs.items()))
DSNS = st.builds(
    DSN,
    scheme=SCHEMES,
    username=st.none() | SOME_TEXT,
    password=st.none() | TEXT,
    hosts=st.lists(HOSTS, max_size=3).map(tuple),
    path=st.just("") | TEXT.map("/".__add__),
    query=QUERIES,
)
# A secret that no other part of a string holds by accident.
SECRETS = st.text(st.characters(codec="utf-8"), min_size=1).map(lambda text: f"hunter2{text}hunter2")


@pytest.mark.parametrize(
    ("text", "dsn"),
    [
        ("redis://", DSN("redis")),
        ("redis://h", DSN("redis", hosts=(Host("h"),))),
        ("REDIS://h", DSN("redis", hosts=(Host("h"),))),
        ("redis://h:6379", DSN("redis", hosts=(Host("h", 6379),))),
        ("redis://h:0", DSN("redis", hosts=(Host("h", 0),))),
        ("redis://h:65535", DSN("redis", hosts=(Host("h", 65535),))),
        ("redis://:6380", DSN("redis", hosts=(Host("", 6380),))),
        ("redis://h/3", DSN("redis", hosts=(Host("h"),), path="/3")),
        ("redis://h/", DSN("redis", hosts=(Host("h"),), path="/")),
        ("redis://user@h", DSN("redis", "user", None, (Host("h"),))),
        ("redis://user:pw@h", DSN("redis", "user", "pw", (Host("h"),))),
        ("redis://:pw@h", DSN("redis", None, "pw", (Host("h"),))),
        ("redis://user:@h", DSN("redis", "user", "", (Host("h"),))),
        ("redis://@h", DSN("redis", hosts=(Host("h"),))),
        ("redis://user:p:w@h", DSN("redis", "user", "p:w", (Host("h"),))),
        ("redis://user:p@w@h", DSN("redis", "user", "p@w", (Host("h"),))),
        ("redis://us%40er:p%2Fw%3F%23%25@h", DSN("redis", "us@er", "p/w?#%", (Host("h"),))),
        ("redis://:a+b@h", DSN("redis", None, "a+b", (Host("h"),))),
        ("redis://:%C3%A9@h", DSN("redis", None, "é", (Host("h"),))),
        ("redis://[::1]", DSN("redis", hosts=(Host("::1"),))),
        ("redis://[::1]:7", DSN("redis", hosts=(Host("::1", 7),))),
        ("redis://u:p@[fe80::1%25eth0]:7/2", DSN("redis", "u", "p", (Host("fe80::1%eth0", 7),), "/2")),
        ("redis://a:1,b:2", DSN("redis", hosts=(Host("a", 1), Host("b", 2)))),
        ("redis://u:p@a,[::1]:2,c", DSN("redis", "u", "p", (Host("a"), Host("::1", 2), Host("c")))),
        ("redis+sentinel://a:1,b:2/main", DSN("redis+sentinel", hosts=(Host("a", 1), Host("b", 2)), path="/main")),
        ("unix:///tmp/redis.sock", DSN("unix", path="/tmp/redis.sock")),
        ("unix://u:p@/tmp/redis.sock", DSN("unix", "u", "p", path="/tmp/redis.sock")),
        ("pulsards:///data/a@b.aof", DSN("pulsards", path="/data/a@b.aof")),
        ("pulsards:///a%20file?db=1", DSN("pulsards", path="/a file", query=(("db", "1"),))),
        ("redis://?db=3", DSN("redis", query=(("db", "3"),))),
        ("redis://h?a=1&b=", DSN("redis", hosts=(Host("h"),), query=(("a", "1"), ("b", "")))),
        ("redis://h?", DSN("redis", hosts=(Host("h"),))),
        ("redis://h?a=b=c", DSN("redis", hosts=(Host("h"),), query=(("a", "b=c"),))),
        ("redis://h?a=x+y%26z", DSN("redis", hosts=(Host("h"),), query=(("a", "x+y&z"),))),
        ("redis://h?mail=me@example.org", DSN("redis", hosts=(Host("h"),), query=(("mail", "me@example.org"),))),
        (
            "redis://127.0.0.1:6379?db=3&password=bla&namespace=test.&timeout=5",
            DSN(
                "redis",
                hosts=(Host("127.0.0.1", 6379),),
                query=(("db", "3"), ("password", "bla"), ("namespace", "test."), ("timeout", "5")),
            ),
        ),
    ],
)
def test_a_connection_string_means_what_it_says(text, dsn):
    assert DSN.parse(text) == dsn
    assert DSN.parse(str(dsn)) == dsn


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "starts with '<scheme>://'"),
        ("redis", "starts with '<scheme>://'"),
        ("redis:/h", "starts with '<scheme>://'"),
        ("://h", "starts with '<scheme>://'"),
        ("1redis://h", "starts with '<scheme>://'"),
        ("re dis://h", "starts with '<scheme>://'"),
        ("redis_x://h", "starts with '<scheme>://'"),
        ("redis\n://h", "starts with '<scheme>://'"),
        ("redis://h ", "is written %XX"),
        ("redis://h\n", "is written %XX"),
        ("redis://h/\x00", "is written %XX"),
        ("redis://h\x7f", "is written %XX"),
        ("redis://h/\ud800", "surrogate"),
        ("redis://h#x", "'#' is written %23"),
        ("redis://h:", "a port is a number"),
        ("redis://h:port", "a port is a number"),
        ("redis://h:-1", "a port is a number"),
        ("redis://h:65536", "a port is a number"),
        ("redis://h:123456", "a port is a number"),
        ("redis://h:٣", "a port is a number"),
        ("redis://a:1:2", "more than one ':'"),
        ("redis://::1", "more than one ':'"),
        ("redis://[::1", "brackets"),
        ("redis://[::1]x", "brackets"),
        ("redis://[::1]:", "a port is a number"),
        ("redis://[h]", "brackets"),
        ("redis://[]", "brackets"),
        ("redis://a[b", "bracket"),
        ("redis://a]", "bracket"),
        ("redis://[::%5B]", "bracket"),
        ("redis://a,,b", "an empty host"),
        ("redis://a,", "an empty host"),
        ("redis://,", "an empty host"),
        ("redis://%", "in the host"),
        ("redis://%zz@h", "in the username"),
        ("redis://:%1@h", "in the password"),
        ("redis://h/%2", "in the path"),
        ("redis://h?a=%", "in the parameter 'a'"),
        ("redis://h?%=a", "in the parameters"),
        ("redis://:%ff@h", "is not UTF-8"),
        ("redis://h/%ed%a0%80", "is not UTF-8"),
        ("redis://h?a", "written ?name=value"),
        ("redis://h?=a", "written ?name=value"),
        ("redis://h?a=1&&b=2", "written ?name=value"),
        ("redis://h?a=1&a=1", "'a' is given twice"),
        ("redis://user:pa/ss@h", "%2F"),
        ("redis://user:12/34@h", "%2F"),
        ("redis://user:p@ss/word@h", "%2F"),
        ("redis://user:pa?ss@h", "%3F"),
    ],
)
def test_a_malformed_string_is_refused_with_a_hint(text, says):
    with pytest.raises(DSNError, match=r"^[^\n]+$") as caught:
        DSN.parse(text)
    assert says in str(caught.value)


@pytest.mark.parametrize("value", [None, 5, b"redis://h", ["redis://h"]])
def test_what_is_no_text_is_refused(value):
    with pytest.raises(DSNError, match=type(value).__name__):
        DSN.parse(value)


@given(DSNS)
def test_every_dsn_is_read_back_from_its_string(dsn):
    assert DSN.parse(str(dsn)) == dsn


@given(DSNS)
def test_writing_what_was_read_changes_nothing(dsn):
    assert str(DSN.parse(str(dsn))) == str(dsn)


@given(TEXT)
def test_any_text_is_parsed_or_refused_and_never_anything_else(text):
    try:
        dsn = DSN.parse("redis://" + text)
    except DSNError:
        return
    assert DSN.parse(str(dsn)) == dsn


@given(st.text())
def test_any_string_of_python_is_parsed_or_refused(text):
    try:
        DSN.parse(text)
    except DSNError:
        return


@given(DSNS, SECRETS)
def test_no_password_is_in_a_repr_a_pickle_or_a_masked_string(dsn, secret):
    dsn = replace(dsn, password=secret, query=(("api_token", secret), ("x", "1")))
    for shown in (repr(dsn), dsn.masked(), str(dsn.mask()), repr(pickle.loads(pickle.dumps(dsn)))):
        assert "hunter2" not in shown
    assert b"hunter2" not in pickle.dumps(dsn)
    assert pickle.loads(pickle.dumps(dsn)) == dsn.mask() == DSN.parse(dsn.masked())


@given(SECRETS, st.sampled_from(["redis://user:{}@h:x", "redis://:{}@h?a", "redis://:{}@h#", "redis://:{}%@h"]))
def test_no_error_repeats_a_password(secret, form):
    with pytest.raises(DSNError) as caught:
        DSN.parse(form.format(secret))
    assert "hunter2" not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("separator", "/?@#:% ")
def test_a_password_with_an_unescaped_separator_is_never_shown(separator):
    text = f"redis://user:12{separator}hunter2@h"
    try:
        shown = repr(DSN.parse(text))
    except DSNError as error:
        shown = str(error)
    assert "hunter2" not in shown


def test_a_mask_takes_what_the_backend_declares_and_else_what_sounds_secret():
    dsn = DSN.parse("acme://h?api_token=a&colour=b")
    assert dsn.masked() == "acme://h?api_token=***&colour=b"
    assert dsn.masked({"colour"}) == "acme://h?api_token=a&colour=***"
    assert dsn.mask({"colour"}) == DSN.parse("acme://h?api_token=a&colour=***")


def test_a_copy_keeps_the_password_that_a_pickle_drops():
    dsn = DSN.parse("redis://:pw@h?api_token=t")
    assert copy.copy(dsn) == copy.deepcopy(dsn) == dsn
    assert pickle.loads(pickle.dumps(dsn)).password == "***"


def test_parameters_can_be_set_and_taken_away():
    dsn = DSN.parse("redis://h?a=1&b=2")
    assert str(dsn.with_query({"a": None, "c": "3"})) == "redis://h?b=2&c=3"
    assert str(dsn.with_query({"b": "x y"})) == "redis://h?a=1&b=x%20y"
    assert str(dsn) == "redis://h?a=1&b=2"
