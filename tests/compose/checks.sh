# shellcheck shell=sh
# What the trial looks at; each check prints what it saw.

API=http://127.0.0.1:8484

show_failure() {
    echo '== failed; the last lines of every log:' >&2
    compose ps >&2 || true
    compose logs --tail 30 >&2 || true
    tail -n 15 "$WORK"/*.log >&2 || true
}

healthy() {
    [ "$(docker ps --filter "label=com.docker.compose.service=$1" --filter health=healthy --quiet | wc -l)" -eq "$2" ]
}

# The number of workers that `llamaq status` shows.
workers() {
    compose exec -T api llamaq status --json | "$PYTHON" -c 'import json, sys; print(sum(len(model["workers"]) for model in json.load(sys.stdin)))'
}
workers_are() { [ "$(workers)" -eq "$1" ]; }

check_health() {
    wait_for 60 healthy redis 1
    wait_for 60 healthy api 1
    wait_for 60 healthy worker 3
    wait_for 30 on_a curl --fail --silent "$API/ready"
    wait_for 30 workers_are 3
    echo 'healthy: redis, api and 3 workers; /ready answers 200'
}

# One answer of $1 tokens.
chat() {
    on_a curl --fail --silent --show-error --max-time 100 "$API/v1/chat/completions" \
        -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
        -d '{"model": "trial", "max_tokens": '"$1"', "messages": [{"role": "user", "content": "Hello"}]}'
}

# What an answer on stdin has: its tokens and the beginning of its text.
summary() {
    "$PYTHON" -c 'import json, sys
answer = json.load(sys.stdin)
print(answer["usage"]["completion_tokens"], "tokens:", answer["choices"][0]["message"]["content"][:40])'
}

check_chat() {
    TOKEN=$(compose exec -T api llamaq token create me)
    chat 24 | summary | grep '^24 tokens'
}

# Only root and the container's own user can read a process's environment; anybody can read its command line.
check_secrets_hidden() {
    printf '%s' "$PASSWORD" >"$WORK/password" # printf is the shell's own, so this is no command line either
    if { cat /proc/[0-9]*/cmdline 2>/dev/null; docker ps --no-trunc; } | grep --quiet --text --file "$WORK/password"; then
        echo 'the Redis password shows in a command line' >&2
        return 1
    fi
    for service in redis api worker; do
        [ "$(compose exec -T "$service" id -u | tr -d '\r')" -ne 0 ]
    done
    echo 'no container runs as root; no password in a command line'
}

check_visible() {
    compose exec -T redis redis-cli --scan --pattern 'llamaq:*' | sort | head -n 20
    compose exec -T api llamaq status
}

# A worker that is stopped finishes the answer that it has begun.
check_drain() {
    chat 600 >"$WORK/answer" &
    asking=$!
    wait_for 20 worker_is_busy
    compose stop worker
    wait "$asking"
    summary <"$WORK/answer" | grep '^600 tokens'
    wait_for 30 workers_are 0
    echo 'the last worker was stopped during an answer and finished it first'
}

worker_is_busy() {
    for container in $(docker ps --quiet --filter label=com.docker.compose.service=worker); do
        docker exec "$container" curl --silent http://127.0.0.1:8080/slots | grep '"is_processing": *true' && return
    done
    return 1
}

# What Redis has acknowledged outlives its process.
check_redis_keeps() {
    compose exec -T redis redis-cli set llamaq-trial kept >/dev/null
    sleep 1.1 # appendfsync everysec
    redis=$(compose ps --quiet redis)
    kill -KILL "$(docker inspect --format '{{.State.Pid}}' "$redis")"
    wait_for 30 redis_has_it
    [ "$(docker inspect --format '{{.RestartCount}}' "$redis")" -eq 1 ]
    echo 'Redis was killed, came back by itself and still had its data'
}

redis_has_it() { compose exec -T redis redis-cli get llamaq-trial | grep kept; }

check_other_machine() {
    ! on_b curl --silent --max-time 3 http://10.77.0.1:8484/health || return 1
    start_on b server-b "$PYTHON" -m llamaq.demo_server --parallel 2 --model "$WORK/models/trial.gguf"
    start_on b bridge-b env LLAMAQ_REDIS_URL="redis://:$PASSWORD@10.77.0.1:6379/0" \
        "$PYTHON" -m llamaq bridge --server http://127.0.0.1:8080
    wait_for 30 workers_are 1
    check_chat
    echo 'B cannot reach the API, joined through Redis, and answered while no worker ran on A'
}

check_host_bridge() {
    start_on a server-a "$PYTHON" -m llamaq.demo_server --parallel 2 --model "$WORK/models/trial.gguf"
    compose up --detach bridge
    wait_for 30 workers_are 2
    echo 'the bridge in the host network joined'
}

check_stop() {
    compose --profile bridge stop --timeout 60
    ! docker ps --all --format '{{.Names}}: {{.Status}}' | grep --invert-match 'Exited (0)' || return 1
    echo 'every container ended with status 0'
}
