"""Secrets: nowhere in a repr, a str, an exception, a log or a pickle."""

from __future__ import annotations

import logging
import pickle
import traceback
from typing import Any
from uuid import uuid4

import pytest

from store_core.dsn import DSN
from store_core.errors import DSNError, StoreError
from store_core.parameters import secret_names
from store_core.store import Store, create_store
from store_core.testing.result import secrets_of
from store_core.testing.section import Section


def _shown(store: Store) -> list[str]:
    """Everything of a store that may end up before somebody's eyes, or in a file."""
    objects = (store, store.params, DSN.parse(store.dsn))
    texts = [text for each in objects for text in (repr(each), str(each)) if each is not objects[2]]
    texts += [repr(objects[2]), repr(vars(store))]
    return texts + [pickle.dumps(each).decode("latin-1") for each in objects]


def _told(error: BaseException) -> list[str]:
    """Everything that an error says: its chain, its notes, and what travels in its pickle."""
    return ["".join(traceback.format_exception(error)), repr(error), pickle.dumps(error).decode("latin-1")]


class SecretTests(Section, section="secrets"):
    """What a backend declares secret."""

    async def test_no_secret_shows_whether_the_store_answers_or_not(
        self, store_url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        declared = self._secret_parameters(store_url)
        texts: list[str] = []
        secret = f"hunter2-{uuid4().hex}"
        with caplog.at_level(logging.DEBUG):
            for name in declared:
                store = create_store(store_url, **{name: secret})
                assert store.params[name] == secret
                texts += _shown(store)
                texts += await self._used(store)
                texts += _shown(store)
        texts += [caplog.text, *(repr(record.args) for record in caplog.records)]
        leaks = [text[:200].replace(secret, "<the secret>") for text in texts if secret in text]
        assert leaks == []

    async def test_the_secrets_of_the_running_store_show_nowhere(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        secrets = secrets_of(store)
        if not secrets:
            pytest.skip("the connection string has no secret")
        with caplog.at_level(logging.DEBUG):
            await store.ping()
            texts = [*_shown(store), caplog.text]
        assert [name for name in range(len(texts)) if any(secret in texts[name] for secret in secrets)] == []

    async def test_a_pickled_store_says_which_secret_is_missing(self, store_url: str) -> None:
        for name in self._secret_parameters(store_url):
            store = create_store(store_url, **{name: "hunter2"})
            with pytest.raises(DSNError, match=name):
                pickle.loads(pickle.dumps(store))  # noqa: S301 - our own

    async def test_a_value_that_does_not_fit_is_not_repeated_where_it_is_secret(self, store_url: str) -> None:
        for name in self._secret_parameters(store_url):
            with pytest.raises(DSNError) as caught:
                create_store(store_url, **dict[str, Any]({name: object()}))
            assert "object" not in str(caught.value)

    def _secret_parameters(self, url: str) -> list[str]:
        parameters = create_store(url).parameters
        secrets = secret_names(parameters)
        found = [each.name for each in parameters if each.name in secrets and each.type is str and not each.choices]
        if not found:
            pytest.skip("the backend declares no secret parameter")
        return found

    async def _used(self, store: Store) -> list[str]:
        try:
            await store.ping()
        except StoreError as error:
            return _told(error)
        finally:
            await store.close()
        return []
