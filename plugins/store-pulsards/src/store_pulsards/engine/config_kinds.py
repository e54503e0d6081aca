"""What kinds of values parameters take that nothing here depends on, and which of them may be set all the same.

The kinds are those of Valkey 9.1: a wrong value is refused as there. Two groups:

- ``TUNING``: how Valkey spends its time or memory, or writes files, on what is done otherwise here, or not at all. No
  reply depends on it: a value is checked, kept and shown.
- ``FIXED``: everything else. To accept it would promise what is not done (``appendonly yes``), so that only the value
  that it has anyway may be set. ``immutable`` and ``protected`` ones are so in Valkey, too.
"""

from __future__ import annotations

from typing import Final

TUNING: Final = """\
availability-zone text
active-defrag-cycle-max integer:1:99
active-defrag-cycle-min integer:1:99
active-defrag-cycle-us integer:0:100000
active-defrag-ignore-bytes memory
active-defrag-max-scan-fields integer:1:9223372036854775807
active-defrag-threshold-lower integer:0:1000
active-defrag-threshold-upper integer:0:1000
active-expire-effort integer:1:10
activerehashing switch
aof-load-truncated switch
aof-rewrite-incremental-fsync switch
aof-timestamp-enabled switch
aof-use-rdb-preamble switch
appendfsync one:everysec,always,no
auto-aof-rewrite-min-size memory
auto-aof-rewrite-percentage integer:0:2147483647
crash-log-enabled switch
crash-memcheck-enabled switch
hide-user-data-from-log switch
hz integer:0:2147483647
jemalloc-bg-thread switch
lazyfree-lazy-eviction switch
lazyfree-lazy-expire switch
lazyfree-lazy-server-del switch
lazyfree-lazy-user-del switch
lazyfree-lazy-user-flush switch
list-compress-depth integer:0:2147483647
max-new-connections-per-cycle integer:1:1000
max-new-tls-connections-per-cycle integer:1:1000
no-appendfsync-on-rewrite switch
prefetch-batch-max-size integer:0:128
rdb-del-sync-files switch
rdb-save-incremental-fsync switch
rdbcompression switch
repl-backlog-size memory
repl-backlog-ttl integer:0:9223372036854775807
repl-disable-tcp-nodelay switch
repl-diskless-load one:disabled,on-empty-db,swapdb,flush-before-load
repl-diskless-sync switch
repl-diskless-sync-delay integer:0:2147483647
repl-diskless-sync-max-replicas integer:0:2147483647
repl-timeout integer:1:2147483647
stop-writes-on-bgsave-error switch
"""

FIXED: Final = """\
acl-pubsub-default one:allchannels,resetchannels
aclfile immutable
activedefrag switch
always-show-logo immutable
aof-rewrite-cpulist immutable
aof_rewrite_cpulist immutable
appenddirname immutable
appendfilename immutable
appendonly switch
bgsave-cpulist immutable
bgsave_cpulist immutable
bind text
bind-source-addr text
bio-cpulist immutable
bio_cpulist immutable
busy-reply-threshold integer:0:9223372036854775807
cluster-allow-pubsubshard-when-down switch
cluster-allow-reads-when-down switch
cluster-allow-replica-migration switch
cluster-announce-bus-port integer:0:65535
cluster-announce-client-ipv4 text
cluster-announce-client-ipv6 text
cluster-announce-client-port integer:0:65535
cluster-announce-client-tls-port integer:0:65535
cluster-announce-hostname text
cluster-announce-human-nodename text
cluster-announce-ip text
cluster-announce-port integer:0:65535
cluster-announce-tls-port integer:0:65535
cluster-blacklist-ttl integer:-9223372036854775808:9223372036854775807
cluster-config-file immutable
cluster-config-save-behavior one:sync,best-effort
cluster-databases immutable
cluster-enabled immutable
cluster-link-sendbuf-limit memory
cluster-manual-failover-timeout integer:1:2147483647
cluster-migration-barrier integer:0:2147483647
cluster-node-timeout integer:0:9223372036854775807
cluster-port immutable
cluster-preferred-endpoint-type one:ip,hostname,unknown-endpoint
cluster-replica-no-failover switch
cluster-replica-validity-factor integer:0:2147483647
cluster-require-full-coverage switch
cluster-slave-no-failover switch
cluster-slave-validity-factor integer:0:2147483647
cluster-slot-migration-log-max-len integer:0:9223372036854775807
cluster-slot-stats-enabled switch
daemonize immutable
databases immutable
dbfilename protected
dir protected
disable-thp immutable
dual-channel-replication-enabled switch
enable-debug-command immutable
enable-module-command immutable
enable-protected-configs immutable
extended-redis-compatibility switch
import-mode switch
io-threads integer:1:256
log-format one:legacy,logfmt,json
log-timestamp-format one:legacy,iso8601,milliseconds
logfile immutable
loglevel one:debug,verbose,notice,warning,nothing
lua-time-limit integer:0:9223372036854775807
masterauth text
masteruser text
maxmemory-clients share
min-replicas-max-lag integer:0:2147483647
min-replicas-to-write integer:0:2147483647
min-slaves-max-lag integer:0:2147483647
min-slaves-to-write integer:0:2147483647
mptcp immutable
oom-score-adj one:no,yes,relative,absolute
oom-score-adj-values text
pidfile immutable
port integer:0:65535
primaryauth text
primaryuser text
proc-title-template text
propagation-error-behavior one:ignore,panic,panic-on-replicas
rdb-version-check one:strict,relaxed
rdbchecksum immutable
rdma-bind text
rdma-completion-vector immutable
rdma-port integer:0:65535
rdma-rx-size immutable
repl-mptcp immutable
repl-ping-replica-period integer:1:2147483647
repl-ping-slave-period integer:1:2147483647
replica-announce-ip text
replica-announce-port integer:0:65535
replica-announced switch
replica-ignore-disk-write-errors switch
replica-ignore-maxmemory switch
replica-lazy-flush switch
replica-priority integer:0:2147483647
replica-read-only switch
replica-serve-stale-data switch
replicaof immutable
save text
server-cpulist immutable
server_cpulist immutable
set-proc-title immutable
shutdown-on-sigint one:default,save,nosave,now,force,safe,failover
shutdown-on-sigterm one:default,save,nosave,now,force,safe,failover
shutdown-timeout integer:0:2147483647
slave-announce-ip text
slave-announce-port integer:0:65535
slave-ignore-maxmemory switch
slave-lazy-flush switch
slave-priority integer:0:2147483647
slave-read-only switch
slave-serve-stale-data switch
slaveof immutable
slot-migration-max-failover-repl-bytes memory:-1:9223372036854775807
socket-mark-id immutable
stream-node-max-bytes memory
stream-node-max-entries integer:0:9223372036854775807
supervised immutable
syslog-enabled immutable
syslog-facility immutable
syslog-ident immutable
tcp-backlog immutable
tls-auth-clients one:no,yes,optional
tls-auth-clients-user one:CN,URI,off
tls-auto-reload-interval integer:0:2147483647
tls-ca-cert-dir text
tls-ca-cert-file text
tls-cert-file text
tls-ciphers text
tls-ciphersuites text
tls-client-cert-file text
tls-client-key-file text
tls-client-key-file-pass text
tls-cluster switch
tls-dh-params-file text
tls-key-file text
tls-key-file-pass text
tls-port integer:0:65535
tls-prefer-server-ciphers switch
tls-protocols text
tls-replication switch
tls-session-cache-size integer:0:2147483647
tls-session-cache-timeout integer:0:2147483647
tls-session-caching switch
unixsocket immutable
unixsocketgroup immutable
unixsocketperm immutable
"""


def _kinds(text: str) -> dict[bytes, str]:
    return {name: kind.decode() for name, kind in (line.split(b" ") for line in text.encode().splitlines())}


TUNING_KINDS: Final = _kinds(TUNING)
FIXED_KINDS: Final = _kinds(FIXED)
