# shellcheck shell=sh
# Two machines made of network namespaces, and a container engine on the first.

on_a() { nsenter --net=/run/netns/llamaq-a "$@"; }
on_b() { nsenter --net=/run/netns/llamaq-b "$@"; }

start_machines() {
    for machine in a b; do
        ip netns add "llamaq-$machine"
        ip -n "llamaq-$machine" link set lo up
    done
    ip link add veth-a netns llamaq-a type veth peer name veth-b netns llamaq-b
    ip -n llamaq-a address add 10.77.0.1/24 dev veth-a
    ip -n llamaq-b address add 10.77.0.2/24 dev veth-b
    ip -n llamaq-a link set veth-a up
    ip -n llamaq-b link set veth-b up
    # The engine writes to these two folders; it gets its own, so that its traces go with it.
    mkdir -p /etc/docker
    start_on a dockerd unshare --mount \
        sh -c 'mount -t tmpfs none /opt && mount -t tmpfs none /etc/docker && exec "$@"' sh \
        dockerd --host "unix://$WORK/docker.sock" --data-root "$WORK/data" --exec-root "$WORK/exec" --pidfile "$WORK/docker.pid" \
        --log-level warn
    export DOCKER_HOST="unix://$WORK/docker.sock"
    wait_for 30 docker version
}

stop_machines() {
    docker compose --profile cpu --profile bridge down --volumes --timeout 5 >/dev/null 2>&1 || true
    stop_started
    # shellcheck disable=SC2046
    kill $(ip netns pids llamaq-b 2>/dev/null) 2>/dev/null || true
    for machine in a b; do ip netns delete "llamaq-$machine" 2>/dev/null || true; done
    rm -rf --one-file-system "$WORK"
    ! grep --files-with-matches "$WORK" /proc/[0-9]*/cmdline 2>/dev/null || echo 'left behind: these processes' >&2
}
