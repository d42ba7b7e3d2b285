# shellcheck shell=sh
# Profiles, and the files of deploy/compose/.

# Today's Compose reads all files as they are meant. The engine's may be the older one, which knows less of them.
check_files() {
    debian_package docker-compose
    newest="$WORK/docker-compose/usr/libexec/docker/cli-plugins/docker-compose"
    services_are '' 'api model redis worker'
    services_are '--profile cuda' 'api model redis worker-cuda'
    services_are '--profile rocm' 'api model redis worker-rocm'
    services_are '--profile vulkan' 'api model redis worker-vulkan'
    services_are '--profile bridge' 'api bridge redis'
    for file in deploy/compose/*.yml; do
        LLAMAQ_HF_REPO=a/b LLAMAQ_WEBUI_TOKEN=t services_are "--file docker-compose.yml --file $file --profile cpu" ''
    done
    [ "$(grep -c . "$WORK/examples")" -eq "$(find deploy/compose -name '*.yml' | wc -l)" ]
    grep -v COMPOSE_PROFILES "$WORK/env" >"$WORK/old-env"
    says 'COMPOSE_PROFILES.*see .env.example' "$newest" --env-file "$WORK/old-env" config --quiet
    says 'LLAMAQ_HF_REPO.*set it in .env' compose_with hugging-face config --quiet
    says 'LLAMAQ_WEBUI_TOKEN.*token create' "$newest" --env-file "$WORK/env" -f docker-compose.yml -f deploy/compose/open-webui.yml config
    "$newest" version
}

# The services that Compose starts with the options $1 are $2; '' for any.
services_are() {
    # shellcheck disable=SC2086
    found=$("$newest" --env-file "$WORK/env" $1 config --services | sort | paste -s -d ' ')
    echo "${1:-no option}: $found"
    if [ -z "$2" ]; then
        [ -n "$found" ] && echo "$found" >>"$WORK/examples"
        return
    fi
    [ "$found" = "$2" ]
}

# A command must fail and say $1.
says() {
    wanted=$1
    shift
    if "$@" >"$WORK/said" 2>&1 || ! grep -E -e "$wanted" "$WORK/said"; then
        echo "does not fail with '$wanted': $*" >&2
        tail -n 20 "$WORK/said" >&2
        return 1
    fi
}

# A worker without its model is never started, so nothing tries again and again.
check_missing_model() {
    missing missing.gguf 'missing.gguf: there is no such file'
    missing page.gguf 'page.gguf: this is no GGUF file'
}

missing() {
    ! LLAMAQ_MODEL_FILE=$1 docker compose up --detach worker >"$WORK/up.log" 2>&1 || return 1
    docker compose logs --no-color model | grep -o -e "[^ ]*$2.*"
    [ -z "$(docker ps --all --quiet --filter label=com.docker.compose.service=worker --filter status=running --filter status=restarting)" ]
}

# Without such a device the engine says which one the profile asks for.
check_gpu_profiles() {
    says 'nvidia.*capabilities.*gpu' docker compose --profile cuda up --detach worker-cuda
    says '/dev/kfd' docker compose --profile rocm up --detach worker-rocm
    says '/dev/dri' docker compose --profile vulkan up --detach worker-vulkan
    docker compose --profile cuda --profile rocm --profile vulkan rm --force worker-cuda worker-rocm worker-vulkan >/dev/null 2>&1
}

check_second_model() {
    compose_with second-model up --detach second-model >"$WORK/up.log" 2>&1
    wait_for 60 healthy second-model 1
    wait_for 30 status_says '^second .*: 0 queued'
    compose_with second-model stop second-model
    compose_with second-model rm --force second-model look-for-second-model >/dev/null 2>&1
    echo 'a second model was served beside the first'
}

# Through real TLS, with tokens as they come.
check_caddy() {
    compose_with caddy up --detach caddy >"$WORK/up.log" 2>&1
    root=/data/caddy/pki/authorities/local/root.crt
    wait_for 60 compose_with caddy exec caddy test -s "$root"
    compose_with caddy exec caddy cat "$root" >"$WORK/root.crt"
    sed 's|http://127.0.0.1:8484|https://llm.test|' "$WORK/curl" >"$WORK/curl-tls"
    printf 'cacert = "%s"\nresolve = "llm.test:443:127.0.0.1"\n' "$WORK/root.crt" >>"$WORK/curl-tls"
    wait_for 30 on_a curl --config "$WORK/curl-tls" --data "$(request 24 true)"
    on_a curl --config "$WORK/curl-tls" --data "$(request 2000 true)" >"$WORK/stream" &
    asking=$!
    wait_for 30 grep --quiet '^data: {' "$WORK/stream"
    ! grep --quiet '\[DONE\]' "$WORK/stream" || return 1
    wait "$asking"
    [ "$(grep '^data: ' "$WORK/stream" | tail -n 1)" = 'data: [DONE]' ]
    compose_with caddy stop caddy
    compose_with caddy rm --force caddy >/dev/null 2>&1
    docker compose up --detach --scale worker=3 >"$WORK/up.log" 2>&1
    wait_for 60 healthy api 1
    echo 'Caddy passed a stream on while it grew, under a certificate of its own'
}
