# shellcheck shell=sh
# Three machines made of network namespaces, and a switch between them.

MACHINES='main worker client'

start_machines() {
    ip netns add llamaq-switch
    ip -n llamaq-switch link add switch type bridge
    ip -n llamaq-switch link set switch up
    number=0
    for machine in $MACHINES; do
        number=$((number + 1))
        ip netns add "llamaq-$machine"
        ip -n "llamaq-$machine" link set lo up
        ip link add "veth-$machine" netns llamaq-switch type veth peer name lan0 netns "llamaq-$machine"
        ip -n llamaq-switch link set "veth-$machine" master switch up
        ip -n "llamaq-$machine" address add "10.78.0.$number/24" dev lan0
        ip -n "llamaq-$machine" link set lan0 up
    done
}

stop_machines() {
    stop_started
    for machine in $MACHINES switch; do
        # shellcheck disable=SC2046
        kill $(ip netns pids "llamaq-$machine" 2>/dev/null) 2>/dev/null || true
        ip netns delete "llamaq-$machine" 2>/dev/null || true
    done
    rm -rf --one-file-system "$WORK"
    ! grep --files-with-matches "$WORK" /proc/[0-9]*/cmdline 2>/dev/null || echo 'left behind: these processes' >&2
}

# Run a command as the user of machine $1, in the checkout and with nothing else set; outside of the machine's network.
as_user_of() {
    home=$WORK/$1
    shift
    (cd "$WORK/checkout" && env -i HOME="$home" TERM=dumb \
        PATH="$home/.local/bin:$home/.llamaq/bin:$WORK/tools:/usr/local/bin:/usr/bin:/bin" $INDEX "$@")
}

# Type the line $2 on machine $1.
type_on() { as_user_of "$1" nsenter --net="/run/netns/llamaq-$1" sh -c "$2"; }
