# shellcheck shell=sh
# What the trial does with the units of deploy/systemd on its machine.

# The commands of docs/services.md that put a unit in place; $1 is the heading, or the text that begins a line before them.
# Where they name llamaq-up, $2 is another unit.
run_page() {
    page_block "$1" >"$WORK/commands"
    [ -s "$WORK/commands" ] || { echo "docs/services.md has no commands behind '$1'" >&2; return 1; }
    sed "s/^sudo //; s/llamaq-up/${2:-llamaq-up}/g" "$WORK/commands" >"$ROOT/root/commands"
    on_machine sh -euc 'cd /root/llamaq && . /root/commands'
}

page_block() {
    awk -v start="$1" 'index($0, start) == 1 { found = 1 }
        shell && /^```/ { exit }
        shell
        found && /^```sh/ { shell = 1 }' docs/services.md
}

put_files() {
    mkdir -p "$ROOT/root/llamaq" "$ROOT/srv/models"
    cp -r deploy "$ROOT/root/llamaq"
    "$PYTHON" -c 'import sys, pathlib, llamaq.demo_model as m; m.write_demo_model(pathlib.Path(sys.argv[1]), size="small", stop_rate=0)' \
        "$ROOT/srv/models/demo.gguf"
    chmod -R a+rX "$ROOT/srv/models"
    printf '#!/bin/sh\nexec /opt/llamaq/bin/python -m llamaq.demo_server "$@"\n' >"$ROOT/usr/local/bin/llama-server"
    chmod a+x "$ROOT/usr/local/bin/llama-server"
    cat >"$ROOT/etc/systemd/system/llama-server.service" <<END
[Service]
ExecStart=/usr/local/bin/llama-server -m /srv/models/demo.gguf --parallel 2 --port 8080
END
}

# Units without a mistake, and confined: 10 is what a unit without any of it has.
check_units() {
    units='/etc/systemd/system/llamaq-up.service /etc/systemd/system/llamaq-api.service /etc/systemd/system/llamaq-bridge@.service'
    sockets='/etc/systemd/system/llamaq-up.socket /etc/systemd/system/llamaq-api.socket'
    # shellcheck disable=SC2086
    on_machine systemd-analyze verify $units $sockets >"$WORK/verify" 2>&1 || echo 'not valid' >>"$WORK/verify"
    if [ -s "$WORK/verify" ]; then cat "$WORK/verify" >&2; return 1; fi
    # shellcheck disable=SC2086
    on_machine systemd-analyze security --offline=true --threshold=25 $units | grep Overall
}

unit_is() { [ "$(on_machine systemctl show --property "$2" --value "$1")" = "$3" ]; }

# Every process of the unit runs as this user, and what the unit may read is not for others.
runs_as() {
    for pid in $(on_machine systemctl show --property MainPID --value "$1"); do
        [ "$(on_machine ps -o user= -p "$pid" | tr -d ' ')" = "$2" ]
    done
}

ready() { on_machine curl --fail --silent http://127.0.0.1:8484/ready; }

# A streamed answer of $1 tokens, by the token in $TOKEN.
chat() {
    on_machine curl --fail --silent --show-error --no-buffer --max-time 120 -H "Authorization: Bearer $TOKEN" \
        -H 'Content-Type: application/json' --data \
        "{\"model\": \"demo\", \"max_tokens\": $1, \"stream\": true, \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}" \
        http://127.0.0.1:8484/v1/chat/completions
}
is_whole() { grep --quiet '"finish_reason":"length"' "$1" && [ "$(grep '^data: ' "$1" | tail -n 1)" = 'data: [DONE]' ]; }

check_up_unit() {
    on_machine systemctl start llama-server
    run_page '### All of it'
    wait_for 60 ready
    runs_as llamaq-up llamaq
    TOKEN=$(run_page 'Commands beside it' | tail -n 1)
    chat 24 >"$WORK/stream"
    is_whole "$WORK/stream"
    ! on_machine journalctl --unit llamaq-up --output cat | grep --quiet -F "$TOKEN" || return 1
    on_machine systemctl stop llamaq-up
    unit_is llamaq-up Result success
    on_machine systemctl disable --quiet llamaq-up
    echo 'llamaq-up served a chat as its own user, and ended in order'
}

# With its socket the unit $1 restarts in the middle of an answer, while new connections come all the time.
check_socket() {
    run_page '### Restarts that refuse no connection' "$1"
    wait_for 60 ready
    knocking=
    for number in 1 2 3 4; do
        on_machine sh -c 'until [ -e /tmp/enough ]; do
            curl --silent --max-time 60 --output /dev/null --write-out "%{http_code} %{exitcode}\n" http://127.0.0.1:8484/health
        done' >"$WORK/knocks.$number" &
        knocking="$knocking $!"
    done
    chat 800 >"$WORK/stream" &
    asking=$!
    wait_for 30 grep --quiet '^data: {' "$WORK/stream"
    on_machine systemctl restart "$1"
    wait "$asking"
    is_whole "$WORK/stream"
    wait_for 60 chat 24
    on_machine touch /tmp/enough
    for pid in $knocking; do wait "$pid"; done
    on_machine rm /tmp/enough
    cat "$WORK"/knocks.? >"$WORK/knocks"
    [ "$(sort -u "$WORK/knocks")" = '200 0' ] || { sort "$WORK/knocks" | uniq -c >&2; return 1; }
    echo "$1 restarted in the middle of an answer, and $(wc -l <"$WORK/knocks") new connections were all answered"
}

# A unit that fails again and again takes its socket with it, until it is restarted as the page says.
check_socket_of_failing_unit() {
    echo 'LLAMAQ_DRAIN_S=soon' >>"$ROOT/etc/llamaq/up.env"
    on_machine systemctl restart llamaq-up || true
    wait_for 60 socket_failed llamaq-up
    sed -i '$d' "$ROOT/etc/llamaq/up.env"
    on_machine systemctl reset-failed llamaq-up
    on_machine systemctl restart llamaq-up.socket llamaq-up
    wait_for 60 ready
    on_machine systemctl disable --quiet --now llamaq-up.socket llamaq-up
    echo 'the socket of a unit that fails again and again fails too, and comes back'
}
socket_failed() {
    on_machine curl --silent --max-time 1 http://127.0.0.1:8484/health || true
    unit_is "$1.socket" ActiveState failed
}

# Redis as the trial needs it: with a password, on loopback.
start_redis() {
    server=$(on_machine find /opt/llamaq/lib -name valkey-server)
    on_machine systemd-run --quiet --unit redis "$server" --requirepass trial --save '' --port 6379
}

check_api_and_bridge() {
    start_redis
    run_page '### The API alone'
    run_page '### A bridge for each'
    wait_for 60 ready
    TOKEN=$(on_machine systemd-run --quiet --pipe --property EnvironmentFile=/etc/llamaq/api.env /opt/llamaq/bin/llamaq token create me)
    runs_as llamaq-api llamaq
    runs_as llamaq-bridge@qwen llamaq
    [ "$(on_machine stat -c %a:%U /etc/llamaq/api.env /etc/llamaq/redis-password | sort -u)" = 600:root ]
    # The password comes by a credential: no environment and no command line of the bridge has it.
    bridge=$(on_machine systemctl show --property MainPID --value llamaq-bridge@qwen)
    ! on_machine cat "/proc/$bridge/environ" "/proc/$bridge/cmdline" | grep --quiet --text trial || return 1
    chat 24 >"$WORK/stream"
    is_whole "$WORK/stream"
    echo 'llamaq-api and llamaq-bridge@qwen served a chat; the password of Redis came as a credential'
}

# The bridge and the llama-server that it has started: stopped in the middle of an answer.
check_drain() {
    chat 800 >"$WORK/stream" &
    asking=$!
    wait_for 30 grep --quiet '^data: {' "$WORK/stream"
    on_machine systemctl stop llamaq-bridge@qwen
    wait "$asking"
    is_whole "$WORK/stream"
    unit_is llamaq-bridge@qwen Result success
    ! on_machine pgrep -f 'llama-server|demo_server.*--parallel 4' || return 1
    echo 'systemctl stop let the answer end, then llama-server'
}

# A bridge that is killed is started again; its llama-server ends with it.
check_restart() {
    on_machine systemctl start llamaq-bridge@qwen
    wait_for 60 ready
    on_machine systemctl kill --kill-whom=main --signal=KILL llamaq-bridge@qwen
    wait_for 60 unit_is llamaq-bridge@qwen NRestarts 1
    wait_for 60 chat 24
    [ "$(on_machine pgrep -f -c 'demo_server.*--parallel 4')" -eq 1 ]
    echo 'a killed bridge came back by itself, with one llama-server'
}

log_has() { on_machine journalctl --unit "$1" --output cat | grep --quiet -e "$2"; }

# What stays wrong is not tried again and again.
check_mistakes() {
    echo 'LLAMAQ_DRAIN_S=soon' >"$ROOT/etc/llamaq/bridge-wrong.env"
    on_machine systemctl start llamaq-bridge@wrong || true
    wait_for 20 unit_is llamaq-bridge@wrong ActiveState failed
    unit_is llamaq-bridge@wrong NRestarts 0
    wait_for 20 log_has llamaq-bridge@wrong LLAMAQ_DRAIN_S
    ! on_machine systemctl start llamaq-bridge@nobody 2>/dev/null || return 1
    wait_for 20 unit_is llamaq-bridge@nobody Result resources
    echo 'a wrong setting ends it at once with a sentence, and a missing file keeps it from starting'
}

# A user without root: its own unit, beside its own llamaq.
check_user_unit() {
    on_machine systemctl stop llamaq-api.socket llamaq-api llamaq-bridge@qwen redis
    on_machine useradd --create-home --shell /bin/sh ann
    mkdir -p "$ROOT/home/ann/.local/bin"
    ln -s /opt/llamaq/bin/llamaq "$ROOT/home/ann/.local/bin/llamaq"
    cp -r deploy "$ROOT/home/ann"
    on_machine loginctl enable-linger ann
    page_block '### For one user' | grep -v linger >"$ROOT/home/ann/commands"
    on_machine chown -R ann /home/ann
    wait_for 20 test -S "/proc/$INIT/root/run/user/$(on_machine id -u ann)/systemd/private"
    as_ann systemd-analyze --user verify ./deploy/systemd/user/llamaq-up.service
    as_ann sh -eu ./commands
    wait_for 60 ready
    TOKEN=$(as_ann .local/bin/llamaq token create me | tail -n 1)
    chat 24 >"$WORK/stream"
    is_whole "$WORK/stream"
    as_ann systemctl --user stop llamaq-up
    as_ann cp deploy/systemd/llamaq-up.socket .config/systemd/user
    as_ann systemctl --user daemon-reload
    as_ann systemctl --user start llamaq-up.socket llamaq-up
    wait_for 60 ready
    as_ann systemctl --user stop llamaq-up.socket llamaq-up
    echo 'a user runs it without root, with its socket too'
}

as_ann() {
    on_machine runuser --user ann -- env --chdir=/home/ann HOME=/home/ann "XDG_RUNTIME_DIR=/run/user/$(on_machine id -u ann)" "$@"
}

show_failure() {
    {
        on_machine systemctl --failed --no-legend
        on_machine journalctl --no-pager --output cat --lines 40
    } 2>&1 | tail -n 50 >&2
}
