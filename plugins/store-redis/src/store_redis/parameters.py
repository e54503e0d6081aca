"""The parameters of a Redis connection string."""

from __future__ import annotations

from store_core import Parameter
from store_redis.credentials import what_is_wrong

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("db", int, 0, "database number; also the path of the connection string", minimum=0),
    Parameter("namespace", str, "", "prefix before every key and channel"),
    Parameter("username", str, None, "ACL user; also before the '@' of the connection string"),
    Parameter("password", str, None, "password; also before the '@' of the connection string", secret=True),
    Parameter(
        "credentials",
        object,
        None,
        "callable asked at each connect; returns (username, password) or a password",
        check=what_is_wrong,
    ),
    Parameter("timeout", float, 5.0, "seconds to connect, and seconds to a reply; 0 never times out", minimum=0),
    Parameter("connect_timeout", float, None, "seconds to connect; as timeout by default; 0 for none", minimum=0),
    Parameter("encoding", str, "utf-8", "how text is encoded"),
    Parameter("decode_responses", bool, False, "replies are str instead of bytes"),
    Parameter("connections", int, 1, "connections that all callers share", minimum=1),
    Parameter(
        "dedicated", int, 64, "most connections for blocking commands and WATCH; further callers wait", minimum=1
    ),
    Parameter(
        "busy_poll", float, 0.0001, "seconds to look for a reply before the loop sleeps; 0 sleeps at once", minimum=0
    ),
    Parameter("retry", str, "never", "what is sent again although it may have run", choices=("never", "reads", "all")),
    Parameter("retries", int, 5, "attempts after the first, where retry allows them", minimum=0),
    Parameter("max_in_flight", int, 0, "most commands under way per connection; 0 for no bound", minimum=0),
    Parameter(
        "health_check", float, 30.0, "seconds of silence after which a connection is checked; 0 never", minimum=0
    ),
    Parameter("cache", int, 0, "replies kept in memory until the server tells of a change; 0 keeps none", minimum=0),
    Parameter("client_name", str, None, "name of the connections in CLIENT LIST"),
    Parameter("protocol", int, 3, "RESP version", choices=(2, 3)),
    Parameter("tls", bool, False, "TLS on redis:// and valkey://; rediss:// and valkeys:// have it on"),
    Parameter("tls_ca_file", str, None, "PEM file of trusted certificates; the system's own by default"),
    Parameter("tls_cert_file", str, None, "PEM file of the client's certificate"),
    Parameter("tls_key_file", str, None, "PEM file of the client's key"),
    Parameter("tls_key_password", str, None, "password of the client's key", secret=True),
    Parameter("tls_server_name", str, None, "name that the server's certificate must carry; the host by default"),
    Parameter("tls_verify", bool, True, "verify the server's certificate and its name"),
)
