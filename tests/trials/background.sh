# shellcheck shell=sh
# Programs that run on a machine, which is the network namespace llamaq-NAME, while a trial looks at them.

# Run a command in the background on machine $1 until the trial ends; its output goes to $WORK/$2.log.
start_on() {
    machine=$1 name=$2
    shift 2
    (exec nsenter --net="/run/netns/llamaq-$machine" "$@") >"$WORK/$name.log" 2>&1 &
    PIDS="${PIDS:-} $!"
}

stop_started() {
    for pid in ${PIDS:-}; do kill "$pid" 2>/dev/null || true; done
    for pid in ${PIDS:-}; do wait "$pid" 2>/dev/null || true; done
}

# Repeat a command until it succeeds, for at most $1 seconds.
wait_for() {
    deadline=$(($(date +%s) + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ "$(date +%s)" -ge $deadline ]; then
            echo "still fails: $*" >&2
            "$@" >&2 || return 1
        fi
        sleep 0.2
    done
}

step() { printf '== %4ss  %s\n' "$(($(date +%s) - STARTED))" "$1"; }
STARTED=$(date +%s)
