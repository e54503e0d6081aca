from __future__ import annotations

from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import Push


def test_a_client_gets_a_message_for_each_subscription_that_matches(engine: Engine) -> None:
    heard: list[Push] = []
    listener, speaker = engine.session(heard.append), engine.session()
    engine.execute(listener, [b"SUBSCRIBE", b"news"])
    engine.execute(listener, [b"PSUBSCRIBE", b"n*", b"x*"])
    assert engine.execute(speaker, [b"PUBLISH", b"news", b"hello"]) == 2
    assert heard == [[b"message", b"news", b"hello"], [b"pmessage", b"n*", b"news", b"hello"]]


def test_a_receiver_that_is_closed_by_the_message_does_not_disturb_the_others(engine: Engine) -> None:
    heard: list[Push] = []
    weak = engine.session(lambda message: engine.close_session(weak))
    strong = engine.session(heard.append)
    for session in (weak, strong):
        engine.execute(session, [b"SUBSCRIBE", b"news"])
    assert engine.pubsub.publish(b"news", b"1") == 2
    assert engine.pubsub.publish(b"news", b"2") == 1
    assert [message[2] for message in heard] == [b"1", b"2"]


def test_a_subscriber_of_resp3_may_do_anything(engine: Engine) -> None:
    session = engine.session()
    engine.execute(session, [b"SUBSCRIBE", b"news"])
    assert session.gate
    engine.execute(session, [b"RESET"])
    engine.execute(session, [b"HELLO", b"3"])
    engine.execute(session, [b"SUBSCRIBE", b"news"])
    assert not session.gate
    assert engine.execute(session, [b"GET", b"a"]) is None
