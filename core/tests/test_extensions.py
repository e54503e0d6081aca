"""Extensions: found, ordered, composed around a store; and nothing at all where there is none."""

from __future__ import annotations

import asyncio
import functools

import pytest

from store_core import Connection, ExtensionError, PubSub, create_store, hookimpl, start_store
from store_core.extensions import OPERATIONS
from store_core.hookspecs import HookSpecs

pytestmark = pytest.mark.usefixtures("memory")


class Tracing:
    """Wraps every operation, and writes down what passes."""

    def __init__(self, name="trace", log=None):
        self.name = name
        self.log = [] if log is None else log

    def wrap(self, label, operation):
        @functools.wraps(operation)
        async def traced(*args, **options):
            self.log.append((self.name, label, *args))
            return await operation(*args, **options)

        return traced

    @hookimpl
    def store_connect(self, operation):
        return self.wrap("connect", operation)

    @hookimpl
    def store_execute(self, operation):
        return self.wrap("execute", operation)

    @hookimpl
    def store_transaction(self, operation):
        return self.wrap("transaction", operation)

    @hookimpl
    def store_pubsub(self, operation):
        def traced(*args, **options):
            self.log.append((self.name, "pubsub", *args))
            return operation(*args, **options)

        return traced

    @hookimpl
    def store_created(self, store):
        self.log.append((self.name, "created", store.closed))

    @hookimpl
    def store_closed(self, store):
        self.log.append((self.name, "closed", store.closed))


def only_execute(name, log):
    class Extension:
        @hookimpl
        def store_execute(self, store, operation):
            async def execute(*args, **options):
                log.append(name)
                return await operation(*args, **options)

            return execute

    return Extension()


def returning(value):
    class Extension:
        @hookimpl
        def store_execute(self, store, operation):
            return value

    return Extension()


# None at all.


def test_without_an_extension_execute_is_the_methods_of_the_class(memory):
    store = create_store("memory://")
    assert store.execute.__func__ is memory.execute
    assert not set(OPERATIONS.values()) & set(vars(store))


def test_without_an_extension_pluggy_is_not_imported(run_python):
    program = (
        "import sys, store_core\n"
        "class Acme(store_core.Store): pass\n"
        "store_core.register_store('acme', Acme)\n"
        "store = store_core.create_store('acme://')\n"
        "print('pluggy' in sys.modules, store.execute.__func__ is Acme.execute)"
    )
    assert run_python(program) == "False True"


# Composition.


async def test_each_operation_is_wrapped_and_still_does_what_it_did():
    trace = Tracing()
    async with create_store("memory://", extensions=[trace]) as store:
        connection = await store.connect()
        assert isinstance(connection, Connection)
        assert await store.execute("SET", "a", 1) == "OK"
        async with store.transaction() as transaction:
            transaction.execute("INCR", "a")
        assert transaction.results == [2]
        assert isinstance(store.pubsub("json"), PubSub)
    labels = [entry[1] for entry in trace.log]
    assert labels == ["created", "connect", "execute", "transaction", "execute", "pubsub", "closed"]
    assert trace.log[0] == ("trace", "created", False)
    assert trace.log[2] == ("trace", "execute", "SET", "a", 1)
    assert trace.log[-1] == ("trace", "closed", True)


async def test_an_operation_that_only_looks_need_not_be_a_coroutine_function():
    seen = []

    class Counting:
        @hookimpl
        def store_execute(self, operation):
            def execute(*args, **options):
                seen.append(args[0])
                return operation(*args, **options)

            return execute

    async with create_store("memory://", extensions=[Counting()]) as store:
        assert await store.execute("SET", "a", 1) == "OK"
        assert await asyncio.create_task(store.execute("INCR", "a")) == 2
        async with store.pipeline() as pipeline:
            pipeline.execute("INCR", "a")
        assert pipeline.results == [3]
    assert seen == ["SET", "INCR", "INCR"]


async def test_the_commands_of_a_pipeline_pass_through_a_wrapped_execute():
    log = []
    store = create_store("memory://", extensions=[only_execute("x", log)])
    async with store, store.pipeline() as pipeline:
        pipeline.execute("INCR", "a")
        pipeline.execute("INCR", "a")
    assert log == ["x", "x"]


async def test_an_operation_that_no_extension_wraps_stays_the_methods_of_the_class(memory):
    store = create_store("memory://", extensions=[only_execute("x", [])])
    assert store.connect.__func__ is memory.connect
    assert store.pubsub.__func__ is memory.pubsub


async def test_the_last_one_registered_is_nearest_to_the_data_store():
    log = []
    extensions = [only_execute("first", log), only_execute("second", log)]
    async with create_store("memory://", extensions=extensions) as store:
        await store.execute("GET", "a")
    assert log == ["first", "second"]


async def test_tryfirst_is_nearest_to_the_data_store_and_trylast_meets_the_caller_first():
    log = []

    def ordered(name, **options):
        extension = only_execute(name, log)
        hookimpl(**options)(type(extension).store_execute)
        return extension

    extensions = [ordered("near", tryfirst=True), ordered("middle"), ordered("far", trylast=True)]
    async with create_store("memory://", extensions=extensions) as store:
        await store.execute("GET", "a")
    assert log == ["far", "middle", "near"]


async def test_none_leaves_the_operation_as_it_is(memory):
    store = create_store("memory://", extensions=[returning(None)])
    assert store.execute.__func__ is memory.execute


async def test_an_extension_can_answer_in_the_data_stores_place():
    async def refuse(*args, **options):
        return "cached"

    async with create_store("memory://", extensions=[returning(refuse)]) as store:
        assert await store.execute("GET", "a") == "cached"


async def test_a_class_is_instantiated_for_each_store():
    seen = []

    class Extension:
        @hookimpl
        def store_created(self, store):
            seen.append((self, store))

    first = create_store("memory://", extensions=[Extension])
    second = create_store("memory://", extensions=[Extension])
    assert [store for _, store in seen] == [first, second]
    assert seen[0][0] is not seen[1][0]


async def test_extensions_of_one_store_do_not_touch_another():
    log = []
    async with create_store("memory://", extensions=[only_execute("x", log)]), create_store("memory://") as other:
        await other.execute("GET", "a")
    assert log == []


# What is refused.


@pytest.mark.parametrize("value", [5, "execute", [], object()])
def test_a_replacement_that_cannot_be_called_is_refused(value):
    with pytest.raises(ExtensionError, match=r"store_execute returned .*, not a callable"):
        create_store("memory://", extensions=[returning(value)])


@pytest.mark.parametrize("option", ["wrapper", "hookwrapper"])
def test_a_wrapper_of_pluggys_own_is_refused(option):
    class Extension:
        @hookimpl(**{option: True})
        def store_execute(self, store, operation):
            yield

    with pytest.raises(ExtensionError, match="store_execute cannot be a pluggy wrapper"):
        create_store("memory://", extensions=[Extension()])


def test_a_hook_that_does_not_exist_is_refused():
    class Extension:
        @hookimpl
        def store_exceute(self, store):
            pass

    with pytest.raises(ExtensionError, match="store_exceute"):
        create_store("memory://", extensions=[Extension()])


def test_an_argument_that_no_hook_has_is_refused():
    class Extension:
        @hookimpl
        def store_execute(self, store, command):
            pass

    with pytest.raises(ExtensionError, match="command"):
        create_store("memory://", extensions=[Extension()])


@pytest.mark.parametrize("extension", [object(), dict, "text"])
def test_an_extension_without_a_hook_is_refused(extension):
    with pytest.raises(ExtensionError, match=r"implements no hook; decorate one with store_core\.hookimpl"):
        create_store("memory://", extensions=[extension])


def test_the_same_extension_twice_is_refused():
    trace = Tracing()
    with pytest.raises(ExtensionError, match="not valid"):
        create_store("memory://", extensions=[trace, trace])


# Life.


async def test_store_closed_is_told_once_and_a_failure_there_is_only_logged(caplog):
    class Extension:
        @hookimpl
        def store_closed(self, store):
            raise ZeroDivisionError

    store = create_store("memory://", extensions=[Extension()])
    await store.close()
    await store.close()
    assert caplog.text.count("an extension failed in store_closed") == 1


async def test_every_store_that_start_store_makes_is_told_of_and_closed():
    trace = Tracing()
    async with await start_store("memory://localhost:0", extensions=(each for each in [trace])) as store:
        await store.execute("GET", "a")
    labels = [entry[1] for entry in trace.log]
    assert labels == ["created", "closed", "created", "execute", "closed"]


@pytest.mark.parametrize("hook", [name for name in vars(HookSpecs) if name.startswith("store_")])
def test_every_hook_is_documented(hook):
    assert getattr(HookSpecs, hook).__doc__
    assert hook in {*OPERATIONS, "store_created", "store_closed"}


# Installed ones.

EXTENSION = """
from store_core import hookimpl

class Shout:
    @hookimpl
    def store_execute(self, operation):
        async def execute(*args, **options):
            return "%s " + str(await operation(*args, **options))
        return execute
"""
PROGRAM = """
import asyncio, sys, store_core

class Acme(store_core.Store):
    async def execute(self, *args, **options):
        return "reply"

store_core.register_store("acme", Acme)
print(asyncio.run(store_core.create_store("acme://").execute("GET")))
"""


def install(path, name, target, module="", source=""):
    info = path / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[store_core.extensions]\nshout = {target}\n")
    if module:
        (path / f"{module}.py").write_text(source)


def test_an_installed_extension_is_applied_to_every_store(run_python, tmp_path):
    install(tmp_path, "loud-ext", "loud_ext:Shout", "loud_ext", EXTENSION % "LOUD")
    assert run_python(PROGRAM, tmp_path) == "LOUD reply"
    assert run_python(PROGRAM, tmp_path, STORE_BLOCK="loud-ext") == "reply"


def test_two_distributions_may_give_their_extensions_one_name(run_python, tmp_path):
    install(tmp_path, "loud-ext", "loud_ext:Shout", "loud_ext", EXTENSION % "LOUD")
    install(tmp_path, "brash-ext", "brash_ext:Shout", "brash_ext", EXTENSION % "BRASH")
    assert set(run_python(PROGRAM, tmp_path).split()) == {"LOUD", "BRASH", "reply"}


def test_an_installed_module_or_an_object_in_it_is_an_extension_too(run_python, tmp_path):
    source = EXTENSION % "LOUD" + "\nclass Holder:\n    shout = Shout()\n"
    install(tmp_path, "loud-ext", "loud_ext:Holder.shout", "loud_ext", source)
    source = "from store_core import hookimpl\n@hookimpl\ndef store_created(store):\n    print('created')\n"
    install(tmp_path, "plain-ext", "plain_ext", "plain_ext", source)
    assert run_python(PROGRAM, tmp_path).split() == ["created", "LOUD", "reply"]


def test_an_installed_extension_that_is_broken_says_whose_it_is_and_how_to_go_on(run_python, tmp_path):
    install(tmp_path, "loud-ext", "loud_ext:Shout", "loud_ext", "1 / 0")
    program = PROGRAM.replace("print(", "try:\n    print(") + (
        "except store_core.ExtensionError as error:\n    print(error, type(error.__cause__).__name__, sep='|')"
    )
    told = run_python(program, tmp_path)
    assert "loud_ext:Shout of loud-ext 1.0 cannot be loaded (ZeroDivisionError: division by zero)" in told
    assert told.endswith("STORE_BLOCK=loud-ext|ZeroDivisionError")
    assert run_python(PROGRAM, tmp_path, STORE_BLOCK="loud-ext") == "reply"
