# shellcheck shell=sh
# What the trial looks at; each check prints what it saw.

show_failure() { tail -n 15 "$WORK"/*.log >&2 2>/dev/null || true; }

start_servers() {
    "$PYTHON" -c 'import sys, pathlib, llamaq.demo_model as m; m.write_demo_model(pathlib.Path(sys.argv[1]), size="small")' \
        "$WORK/trial.gguf"
    for machine in main worker; do
        start_on "$machine" "server-$machine" "$PYTHON" -m llamaq.demo_server --model "$WORK/trial.gguf" --parallel 2 --ctx-size 8192
        [ "$machine" != main ] || SERVER_MAIN=$!
    done
}

# README.md's line, on a terminal: secrets are printed nowhere else. Then what it printed is picked up.
check_up() {
    line=$(readme_block '**More machines.**')
    as_user_of main nsenter --net=/run/netns/llamaq-main "$PYTHON" -c 'import pty, sys; pty.spawn(["sh", "-c", sys.argv[1]])' "$line" \
        </dev/null >"$WORK/up.log" 2>&1 &
    PIDS="${PIDS:-} $!"
    wait_for 60 printed '^A worker serves trial'
    JOINING=$(printed '^ LLAMAQ_REDIS_URL=' | head -n 1)
    TOKEN=$(printed '^eyJ')
    URL=$(printed '^From other machines: ' | sed 's/^From other machines: \([^ ]*\).*/\1/')
    [ "$URL" = http://10.78.0.1:8484/v1 ]
    echo "$line"
    printed '^(llamaq is up|From other machines)'
    trying=$(printed '^Try it:' -A 1 | tail -n 1)
    type_on main "$trying" 2>/dev/null | tail -n 2 | grep -F 'data: [DONE]'
    echo "its line to try works: $(echo "$trying" | cut -c 1-60)…"
}

printed() { tr -d '\r' <"$WORK/up.log" | grep -E -e "$@"; }

# The printed line is typed on the worker as it is; `llamaq join` prints the same again.
check_join() {
    ! workers_are 2 || return 1
    [ "$(type_on main 'llamaq join' | head -n 1)" = "$JOINING" ]
    as_user_of worker nsenter --net=/run/netns/llamaq-worker sh -c "exec env $JOINING" >"$WORK/bridge.log" 2>&1 &
    PIDS="$PIDS $!"
    wait_for 30 workers_are 2
    echo "$JOINING" | sed 's/:[0-9a-f]*@/:…@/'
    type_on main 'llamaq status'
}

workers_are() { [ "$(type_on main 'llamaq status' | grep -c ' healthy .*slots')" -eq "$1" ]; }

# Any worker may answer, and the other machine's alone does when main's server is gone. The second token is from README.md's line.
check_client() {
    ask "$TOKEN"
    kill "$SERVER_MAIN"
    wait_for 30 workers_are 1
    # shellcheck disable=SC2016
    line=$(grep -o '`llamaq token create ann [^`]*`' README.md | tr -d '`')
    ask "$(type_on main "$line")"
    echo "a token of: $line"
    other=$(sed -n 's/.*joined worker=\([^ ]*\).*/\1/p' "$WORK/bridge.log" | head -n 1)
    [ "$(grep -c " by $other\$" "$WORK/client.log")" -eq 4 ]
    echo "all of these are from the other machine's worker, $other, while main has none"
}

ask() {
    nsenter --net=/run/netns/llamaq-client "$PYTHON" tests/join/client.py "$URL" "$1" >"$WORK/client.log" 2>&1 || {
        cat "$WORK/client.log" >&2
        return 1
    }
    cat "$WORK/client.log"
}
