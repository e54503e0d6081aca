"""Parameters: text and keywords become typed values, or an error that says what to do."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store_core import DSNError, Parameter
from store_core.parameters import resolve, secret_names

DB = Parameter("db", int, 0, minimum=0)
TIMEOUT = Parameter("timeout", float, 5.0, minimum=0)
DECODE = Parameter("decode", bool, False)
NAME = Parameter("name", str, None)
PROTOCOL = Parameter("protocol", int, 3, choices=(2, 3))
TOKEN = Parameter("token", str, None, secret=True)
PIN = Parameter("pin", int, None, secret=True, minimum=1000)
CALLBACK = Parameter("callback", object, None, check=lambda value: "" if callable(value) else "not callable")
ALL = (DB, TIMEOUT, DECODE, NAME, PROTOCOL, TOKEN, PIN)


@pytest.mark.parametrize(
    ("parameter", "given", "value"),
    [
        (DB, "3", 3),
        (DB, 3, 3),
        (TIMEOUT, "0.5", 0.5),
        (TIMEOUT, "1e-3", 0.001),
        (TIMEOUT, 2, 2.0),
        (DECODE, "true", True),
        (DECODE, "YES", True),
        (DECODE, "on", True),
        (DECODE, "1", True),
        (DECODE, 1, True),
        (DECODE, True, True),
        (DECODE, "False", False),
        (DECODE, "no", False),
        (DECODE, "off", False),
        (DECODE, 0, False),
        (NAME, "", ""),
        (NAME, "x", "x"),
        (NAME, 7, "7"),
        (PROTOCOL, "2", 2),
    ],
)
def test_a_value_is_converted_to_the_declared_type(parameter, given, value):
    converted = parameter.convert(given, "acme")
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(
    ("parameter", "given", "says"),
    [
        (DB, "three", "'three', which is not a whole number"),
        (DB, "", "not a whole number"),
        (DB, "1.5", "not a whole number"),
        (DB, 1.5, "not a whole number"),
        (DB, True, "not a whole number"),
        (DB, "9" * 5000, "not a whole number"),
        (DB, "-1", "less than 0"),
        (TIMEOUT, "soon", "not a number"),
        (TIMEOUT, "nan", "not a number"),
        (TIMEOUT, "inf", "not a number"),
        (TIMEOUT, False, "not a number"),
        (TIMEOUT, -0.1, "less than 0"),
        (DECODE, "maybe", "not true or false"),
        (DECODE, 2, "not true or false"),
        (DECODE, 1.0, "not true or false"),
        (NAME, b"x", "not text"),
        (NAME, True, "not text"),
        (NAME, "\ud800", "not text"),
        (PROTOCOL, "4", "not one of 2, 3"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(parameter, given, says):
    with pytest.raises(DSNError) as caught:
        parameter.convert(given, "acme")
    assert str(caught.value).startswith(f"acme: the parameter '{parameter.name}' is ")
    assert says in str(caught.value)


@pytest.mark.parametrize(("parameter", "given"), [(TOKEN, b"hunter2"), (PIN, "hunter2"), (PIN, 777)])
def test_a_secret_that_does_not_fit_is_not_repeated(parameter, given):
    with pytest.raises(DSNError) as caught:
        parameter.convert(given, "acme")
    assert "hunter2" not in str(caught.value)
    assert "777" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_defaults_fill_what_is_not_given_and_what_is_none():
    params = resolve(ALL, {"db": "2", "timeout": None}, "acme")
    assert dict(params) == {
        "db": 2,
        "timeout": 5.0,
        "decode": False,
        "name": None,
        "protocol": 3,
        "token": None,
        "pin": None,
    }


def test_an_unknown_name_says_which_known_one_is_near():
    with pytest.raises(DSNError, match=r"^acme has no parameter 'timeot'; did you mean 'timeout'\?$"):
        resolve(ALL, {"timeot": "5"}, "acme")
    with pytest.raises(DSNError, match="did you mean 'timeout'"):
        resolve(ALL, {"TIMEOUT": "5"}, "acme")


def test_an_unknown_name_near_to_none_lists_what_there_is():
    with pytest.raises(DSNError, match="it has: db, timeout, decode"):
        resolve(ALL, {"zzz": "5"}, "acme")
    with pytest.raises(DSNError, match="it has: none"):
        resolve((), {"zzz": "5"}, "acme")


def test_an_unknown_name_does_not_repeat_its_value():
    with pytest.raises(DSNError) as caught:
        resolve(ALL, {"tokn": "hunter2"}, "acme")
    assert "hunter2" not in str(caught.value)


def test_password_is_secret_whatever_a_backend_declares():
    assert secret_names(()) == {"password"}
    assert secret_names(ALL) == {"password", "token", "pin"}
    params = resolve((Parameter("password"),), {"password": "hunter2"}, "acme")
    assert "hunter2" not in repr(params)


@given(st.text(st.characters(codec="utf-8"), min_size=1).map(lambda text: f"hunter2{text}"))
def test_params_show_no_secret_in_a_repr_or_a_pickle(secret):
    params = resolve(ALL, {"token": secret, "name": "me"}, "acme")
    assert params["token"] == secret
    assert "hunter2" not in repr(params)
    assert b"hunter2" not in pickle.dumps(params)
    assert dict(pickle.loads(pickle.dumps(params))) == {**params, "token": "***"}


def test_a_secret_that_is_not_set_is_not_masked():
    assert resolve(ALL, {}, "acme").masked()["token"] is None


def test_a_copy_keeps_the_secrets():
    params = resolve(ALL, {"token": "hunter2"}, "acme")
    assert copy.copy(params)["token"] == copy.deepcopy(params)["token"] == "hunter2"


@pytest.mark.parametrize(
    ("parameter", "value"), [(DB, 7), (TIMEOUT, 0.25), (TIMEOUT, 1e-7), (DECODE, True), (DECODE, False), (NAME, "é&=")]
)
def test_what_is_written_in_a_string_is_read_back(parameter, value):
    assert parameter.convert(parameter.text(value), "acme") == value


def test_an_object_is_given_by_keyword_and_is_what_was_given():
    assert resolve((CALLBACK,), {"callback": print}, "acme")["callback"] is print
    assert resolve((CALLBACK,), {}, "acme")["callback"] is None
    anything = object()
    assert resolve((Parameter("thing", object),), {"thing": anything}, "acme")["thing"] is anything


def test_an_object_cannot_be_written_in_a_connection_string():
    with pytest.raises(
        DSNError, match=r"'callback' cannot stand in a connection string; pass it .*, callback=…"
    ) as caught:
        CALLBACK.convert("hunter2", "acme")
    assert "hunter2" not in str(caught.value)


def test_an_object_that_does_not_fit_is_refused_without_its_repr():
    with pytest.raises(DSNError, match=r"^acme: the parameter 'callback' is of type tuple, not callable$"):
        CALLBACK.convert(("hunter2",), "acme")


def test_an_object_is_masked_and_its_pickle_has_no_trace_of_it():
    params = resolve((CALLBACK,), {"callback": lambda: "hunter2"}, "acme")
    assert repr(params) == "Params({'callback': '***'})"
    assert pickle.loads(pickle.dumps(params))["callback"] == "***"


def test_an_object_has_no_default():
    with pytest.raises(TypeError, match="'thing' is an object, whose default is None"):
        Parameter("thing", object, 7)
