"""The parameters of a PostgreSQL connection string; names that libpq has are libpq's."""

from __future__ import annotations

from store_core import Parameter

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("db", str, None, "database; also the path of the connection string; the user's name by default"),
    Parameter("namespace", str, "", "schema of every name without one, made if need be, and prefix of every channel"),
    Parameter("username", str, None, "role; also before the '@'; by default PGUSER or the user of this process"),
    Parameter(
        "password", str, None, "password; also before the '@'; by default PGPASSWORD or the file ~/.pgpass", secret=True
    ),
    Parameter("host", str, None, "directory of the server's unix socket, instead of a host in the connection string"),
    Parameter("timeout", float, 5.0, "seconds to connect; 0 never times out", minimum=0),
    Parameter(
        "command_timeout",
        float,
        60.0,
        "seconds to a reply, the wait for a free connection included; 0 never times out",
        minimum=0,
    ),
    Parameter("pool_min", int, 0, "connections opened beforehand; with any, none is closed for being idle", minimum=0),
    Parameter("pool_max", int, 10, "most connections that all callers share; further callers wait", minimum=1),
    Parameter("pool_idle", float, 300.0, "seconds after which an idle connection is closed; 0 never", minimum=0),
    Parameter(
        "isolation",
        str,
        "serializable",
        "isolation level of transactions; below it, others' changes can show within one",
        choices=("serializable", "repeatable read", "read committed"),
    ),
    Parameter("application_name", str, None, "name of the connections in pg_stat_activity"),
    Parameter("statement_cache", int, 100, "prepared statements kept on each connection; 0 for PgBouncer", minimum=0),
    Parameter(
        "target_session_attrs",
        str,
        "any",
        "which of several hosts will do",
        choices=("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    ),
    Parameter(
        "sslmode",
        str,
        "prefer",
        "whether to use TLS, and what to verify",
        choices=("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    ),
    Parameter("sslrootcert", str, None, "PEM file of trusted certificates; the system's own by default"),
    Parameter("sslcert", str, None, "PEM file of the client's certificate"),
    Parameter("sslkey", str, None, "PEM file of the client's key"),
    Parameter("sslpassword", str, None, "password of the client's key", secret=True),
    Parameter("data", str, None, "data directory of a server that start_store starts; a temporary one by default"),
)
