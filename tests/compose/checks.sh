# shellcheck shell=sh
# What the trial looks at; each check prints what it saw.

show_failure() {
    {
        docker compose ps --all
        docker compose logs --no-color --tail 8
        tail -n 8 "$WORK/build.log" "$WORK/up.log" "$WORK/bridge-b.log" 2>/dev/null
    } 2>&1 | tail -n 40 >&2
}

# README.md's own command; it builds the images first.
check_up() {
    run_readme ' up ' >"$WORK/up.log" 2>&1
    [ "$(readme_block '**Docker.**' | wc -l)" -eq 3 ] || { echo 'README.md has Docker commands that this trial does not run' >&2; return 1; }
}

healthy() {
    [ "$(docker ps --filter "label=com.docker.compose.service=$1" --filter health=healthy --quiet | wc -l)" -eq "$2" ]
}

status_says() { docker compose exec api llamaq status | grep -E -e "$1"; }

# The number of workers that `llamaq status` shows.
workers() {
    docker compose exec api llamaq status --json | "$PYTHON" -c 'import json, sys; print(sum(len(model["workers"]) for model in json.load(sys.stdin)))'
}
workers_are() { [ "$(workers)" -eq "$1" ]; }

check_health() {
    wait_for 60 healthy redis 1
    wait_for 60 healthy api 1
    wait_for 60 healthy worker 3
    wait_for 30 on_a curl --fail --silent http://127.0.0.1:8484/ready
    wait_for 30 workers_are 3
    docker compose exec api llamaq status
    echo 'healthy: redis, api and 3 workers; /ready answers 200'
}

# A request for $1 tokens, streamed if $2 is true.
request() {
    printf '{"model": "trial", "max_tokens": %s, "stream": %s, "messages": [{"role": "user", "content": "Hello"}]}' "$1" "${2:-false}"
}
chat() { on_a curl --config "$WORK/curl" --data "$(request "$@")"; }

# What an answer on stdin has: its tokens and the beginning of its text.
summary() {
    "$PYTHON" -c 'import json, sys
answer = json.load(sys.stdin)
print(answer["usage"]["completion_tokens"], "tokens:", answer["choices"][0]["message"]["content"][:40])'
}

check_chat() {
    TOKEN=$(run_readme ' token create ')
    cat >"$WORK/curl" <<END
url = "http://127.0.0.1:8484/v1/chat/completions"
header = "Authorization: Bearer $TOKEN"
header = "Content-Type: application/json"
fail
silent
show-error
no-buffer
max-time = 120
END
    chat 24 | summary | grep '^24 tokens'
    chat 24 true >"$WORK/stream"
    [ "$(grep -c '^data: {' "$WORK/stream")" -ge 24 ]
    [ "$(grep '^data: ' "$WORK/stream" | tail -n 1)" = 'data: [DONE]' ]
    echo "streamed: $(grep -c '^data: {' "$WORK/stream") events, then [DONE]"
}

# Only root and the container's own user can read a process's environment; anybody can read its command line.
check_secrets_hidden() {
    printf '%s' "$PASSWORD" >"$WORK/password" # printf is the shell's own, so this is no command line either
    if { cat /proc/[0-9]*/cmdline 2>/dev/null; docker ps --no-trunc; } | grep --quiet --text --file "$WORK/password"; then
        echo 'the Redis password shows in a command line' >&2
        return 1
    fi
    for service in redis api worker; do
        [ "$(docker compose exec "$service" id -u)" -ne 0 ]
    done
    echo 'no container runs as root; no password in a command line'
}

# README.md's redis-cli commands, while more is asked than there are slots. Who asked then leaves, and all slots are free.
check_redis_cli() {
    crowd=
    for number in $(seq 15); do
        start_on a "crowd-$number" curl --config "$WORK/curl" --data "$(request 3500)"
        crowd="$crowd $!"
    done
    wait_for 30 status_says 'trial: 3 queued[^,]*, 12 of 12 slots busy'
    docker compose exec api llamaq alias set gpt-4o trial
    docker compose exec api llamaq tenant set nobody --rpm 60
    docker compose exec api llamaq token revoke --subject nobody
    readme_block '## Look inside' >"$WORK/commands"
    while read -r line <&3; do look "$line"; done 3<"$WORK/commands"
    docker compose exec api llamaq alias remove gpt-4o
    docker compose exec api llamaq tenant remove nobody
    [ "$(grep -c '^redis-cli ' "$WORK/commands")" -ge 10 ]
    # shellcheck disable=SC2086
    kill $crowd
    wait_for 10 status_says 'trial: 0 queued[^,]*, 0 of 12 slots busy'
    echo "README.md's $(wc -l <"$WORK/commands") redis-cli commands work; 15 clients left, and all slots were free"
}

# Run one line of README.md in Redis' container; it must show something. Remember the names that the next ones need.
look() {
    line=$(echo "$1" | sed "s/{demo}/{trial}/; s/:WORKER'/:${WORKER:-}'/; s/:JOB'/:${JOB:-}'/; s/:API'/:${API_NAME:-}'/")
    shown=$(eval "docker compose exec redis $line" </dev/null)
    if [ -z "$shown" ] || echo "$shown" | grep -E '^(ERR|NOAUTH|WRONG)'; then
        echo "shows nothing or an error: $line" >&2
        return 1
    fi
    first=$(echo "$shown" | head -n 1)
    printf '%-56.56s %s\n' "${line%% #*}" "$(echo "$shown" | head -n 4 | tr '\n' ' ' | cut -c 1-60)"
    case $line in
        *':workers'*) WORKER=$first ;;
        *':running:'*) JOB=${first%:*} ;;
        *':job:'*) API_NAME=$(echo "$shown" | grep -A 1 -x api | tail -n 1) ;;
    esac
}

# Workers that are stopped finish the answers that they have begun.
check_drain() {
    asking=
    for number in $(seq 12); do
        chat 800 >"$WORK/answer-$number" &
        asking="$asking $!"
    done
    wait_for 30 status_says 'trial: 0 queued[^,]*, 12 of 12 slots busy'
    [ -z "$(cat "$WORK"/answer-*)" ]
    stopped=$(date +%s)
    docker compose stop worker
    echo "stopping all workers took $(($(date +%s) - stopped)) s"
    for pid in $asking; do wait "$pid"; done
    [ "$(for answer in "$WORK"/answer-*; do summary <"$answer"; done | grep -c '^800 tokens')" -eq 12 ]
    wait_for 30 workers_are 0
    echo 'all workers were stopped during 12 answers and finished them first'
}

# What Redis has acknowledged outlives its process.
check_redis_keeps() {
    docker compose exec redis redis-cli set llamaq-trial kept >/dev/null
    sleep 1.1 # appendfsync everysec
    redis=$(docker compose ps --quiet redis)
    kill -KILL "$(docker inspect --format '{{.State.Pid}}' "$redis")"
    wait_for 30 redis_has_it
    [ "$(docker inspect --format '{{.RestartCount}}' "$redis")" -eq 1 ]
    echo 'Redis was killed, came back by itself and still had its data'
}

redis_has_it() { docker compose exec redis redis-cli get llamaq-trial | grep kept; }

# The first line that `llamaq join` prints on A is run on B as it is.
check_other_machine() {
    ! on_b curl --silent --max-time 3 http://10.77.0.1:8484/health || return 1
    start_on b server-b "$PYTHON" -m llamaq.demo_server --parallel 2 --alias trial --model "$WORK/models/model.gguf"
    joining=$(run_readme ' join ' | head -n 1)
    start_on b bridge-b env PATH="$PWD/.venv/bin:$PATH" sh -c "$joining"
    wait_for 30 workers_are 1
    check_chat
    echo 'B cannot reach the API, joined by the printed line, and answered while no worker ran on A'
}

check_host_bridge() {
    start_on a server-a "$PYTHON" -m llamaq.demo_server --parallel 2 --model "$WORK/models/model.gguf"
    # shellcheck disable=SC2016
    line=$(grep -o '`docker compose up [a-z ]*bridge`' README.md | tr -d '`')
    eval "$(echo "$line" | sed 's/ up / up --detach /')"
    wait_for 30 workers_are 2
    echo "the bridge in the host network joined by: $line"
}

check_stop() {
    docker compose --profile cpu --profile bridge stop --timeout 60
    ! docker ps --all --format '{{.Names}}: {{.Status}}' | grep --invert-match 'Exited (0)' || return 1
    echo 'every container ended with status 0'
}
