#!/bin/sh
# usage: stack.sh BUILD_DIR [COMMAND ARG...]
# Starts a private Redis, one server and one worker on free loopback ports, in a private directory,
# then runs COMMAND with MISORA_URL set, or waits for Ctrl-C. Stops only what it started.
set -eu
cd "$(dirname "$0")/.."
b=$PWD/$1
shift
dir=$(mktemp -d "${TMPDIR:-/tmp}/misora.XXXXXX")
redis_pid= server_pid= worker_pid= command_pid=

stop() {
    code=$?
    trap - EXIT INT TERM
    for pid in $command_pid $worker_pid $server_pid; do kill "$pid" 2>/dev/null || true; done
    for pid in $command_pid $worker_pid $server_pid; do wait "$pid" 2>/dev/null || true; done
    [ -z "$redis_pid" ] || { kill "$redis_pid" 2>/dev/null || true; wait "$redis_pid" 2>/dev/null || true; }
    [ -n "${MISORA_KEEP:-}" ] && echo "kept $dir" || rm -rf "$dir"
    exit $code
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
    echo "$1" >&2
    for f in "$dir"/*.log; do [ -f "$f" ] && { echo "--- $f"; tail -n 20 "$f"; } >&2; done
    exit 1
}
# Waits until a command succeeds, at most 20 s.
wait_for() {
    n=0
    until "$@" >/dev/null 2>&1; do
        n=$((n + 1))
        [ $n -lt 200 ] || return 1
        sleep 0.1
    done
}
free_port() { "$b/misora" port; }

mkdir -p "$dir/redis" "$dir/store" "$dir/spool"
redis_port=$(free_port)
redis-server deploy/redis.conf --port "$redis_port" --dir "$dir/redis" >"$dir/redis.log" 2>&1 &
redis_pid=$!
wait_for redis-cli -p "$redis_port" ping || fail "Redis did not start"
export MISORA_REDIS_URL="redis://127.0.0.1:$redis_port"
"$b/misora" admin migrate >"$dir/migrate.log" 2>&1 || fail "the migration failed"

port=${MISORA_PORT:-$(free_port)}
"$b/misora-server" --no-auth --bind 127.0.0.1 --port "$port" --store-dir "$dir/store" \
    --models-dir models >"$dir/server.log" 2>&1 &
server_pid=$!
"$b/misora-worker" --store-dir "$dir/store" --spool-dir "$dir/spool" \
    --model-dir "${MISORA_MODEL:-models/tiny}" >"$dir/worker.log" 2>&1 &
worker_pid=$!
export MISORA_URL="http://127.0.0.1:$port"
wait_for curl -fsS "$MISORA_URL/readyz" || fail "the server did not start"
kill -0 "$worker_pid" 2>/dev/null || fail "the worker did not start"

if [ $# -gt 0 ]; then
    "$@" &
    command_pid=$!
    # A job waits for a worker for ever; here there is only one.
    while kill -0 "$command_pid" 2>/dev/null; do
        kill -0 "$worker_pid" 2>/dev/null || fail "the worker stopped"
        sleep 0.1
    done
    wait "$command_pid" || fail "failed: $*"
else
    echo "Misora is up at $MISORA_URL (logs in $dir, Ctrl-C stops)"
    wait "$worker_pid" "$server_pid" || fail "a program stopped"
fi
