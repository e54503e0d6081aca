"""The error tree: what the docstring draws is what the classes are."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

import store_core
from store_core import BackendLoadError, ReplyError, UnknownBackend, Unsupported, errors

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, Exception) and kind.__module__ == errors.__name__
}
BUILTINS = {kind.__name__: kind for kind in (ValueError, LookupError, NotImplementedError, TypeError, ConnectionError)}
BUILTINS["TimeoutError"] = TimeoutError


def drawn() -> dict[str, tuple[str, str]]:
    """Class to (parent, built-in class), as the docstring draws them."""
    tree, path = {}, ["StoreError"]
    for line in errors.__doc__.splitlines():
        branch = re.match(r"    ((?:│   )*)[├└]── (\w+)", line)
        if branch:
            depth = len(branch[1]) // 4 + 1
            also = re.search(r"\(also (\w+)\)", line)
            path[depth:] = [branch[2]]
            tree[branch[2]] = (path[depth - 1], also[1] if also else "")
    return tree


def test_the_docstring_draws_the_tree_of_classes():
    assert drawn().keys() == CLASSES.keys() - {"StoreError"}
    for name, (parent, _) in drawn().items():
        assert CLASSES[name].__bases__[0] is CLASSES[parent], name


def test_the_docstring_says_which_built_in_class_an_error_also_is():
    for name, (parent, also) in drawn().items():
        inherited = [kind for kind in BUILTINS.values() if issubclass(CLASSES[parent], kind)]
        own = {title for title, kind in BUILTINS.items() if issubclass(CLASSES[name], kind) and kind not in inherited}
        assert own == ({also} if also else set()), name


def test_every_error_is_public():
    assert CLASSES.keys() <= set(store_core.__all__)


def examples() -> list[Exception]:
    return [
        Unsupported("acme", "watch", "use a lock") if kind is Unsupported else kind("what was wrong")
        for kind in CLASSES.values()
    ]


@pytest.mark.parametrize("error", examples(), ids=lambda error: type(error).__name__)
def test_an_error_survives_a_pickle_and_a_copy(error):
    error.add_note("in command 1 of 2 (SET)")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert again.__notes__ == ["in command 1 of 2 (SET)"]


def test_a_backend_error_keeps_its_provenance_in_a_pickle():
    error = BackendLoadError(
        "it broke", scheme="acme", target="a:B", distribution="acme-store", version="1.2", remedy="reinstall it"
    )
    assert vars(pickle.loads(pickle.dumps(error))) == {
        "scheme": "acme",
        "target": "a:B",
        "distribution": "acme-store",
        "version": "1.2",
        "remedy": "reinstall it",
    }


def test_unsupported_names_the_store_the_capability_and_the_way_out():
    error = Unsupported("acme", "watch", "use a lock")
    assert str(error) == "acme does not support watch: use a lock"
    assert (error.store, error.capability, error.detail) == ("acme", "watch", "use a lock")
    assert str(Unsupported("acme", "watch")) == "acme does not support watch"


def test_an_unknown_backend_reads_as_a_sentence_although_it_is_a_key_error():
    assert str(UnknownBackend("no backend for 'x'")) == "no backend for 'x'"


@pytest.mark.parametrize(("message", "code"), [("WRONGTYPE Operation", "WRONGTYPE"), ("ERR", "ERR"), ("", "")])
def test_the_code_of_a_reply_error_is_its_first_word(message, code):
    assert ReplyError(message).code == code


def test_a_reply_error_has_the_data_stores_own_code_or_its_first_word():
    assert ReplyError("WRONGTYPE Operation against a key").code == "WRONGTYPE"
    assert ReplyError().code == ""
    error = ReplyError("division by zero", code="22012")
    for each in (error, pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (str(each), each.code) == ("division by zero", "22012")
