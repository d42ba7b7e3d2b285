# shellcheck shell=sh
# The commands that a user types: `docker compose` on the trial's project, and the lines of README.md.

if command docker compose version >/dev/null 2>&1; then COMPOSE='docker compose'; else COMPOSE=docker-compose; fi

# Like the real one, but on the trial's settings, and without a terminal, which `exec` asks for.
docker() {
    if [ "$1" != compose ]; then
        command docker "$@"
        return
    fi
    shift
    if [ "$1" = exec ]; then
        shift
        set -- exec -T "$@"
    fi
    command $COMPOSE --project-name llamaq-trial --env-file "$WORK/env" "$@"
}

# Run the one Docker command of README.md that has $1 in it, with machine A's address.
run_readme() {
    found=$(readme_block '**Docker.**' | sed 's/192\.168\.1\.5/10.77.0.1/' | grep -F -e "$1") || found=
    if [ "$(printf '%s' "$found" | grep -c '^docker compose')" -ne 1 ]; then
        echo "README.md has no single Docker command with '$1'" >&2
        return 1
    fi
    eval "$found"
}

# `docker compose` with one file of deploy/compose/ beside docker-compose.yml, as .env can name it.
compose_with() (
    export COMPOSE_FILE="docker-compose.yml:deploy/compose/$1.yml"
    shift
    docker compose "$@"
)
