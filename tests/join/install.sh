# shellcheck shell=sh
# Types the install lines of README.md, each in a home folder of its own.

# How this machine reaches a package index; a user has no need of it.
INDEX=$(env | grep -E '^(PIP|UV|SSL)_[A-Z_]*=' | grep -v ' ' || true)

# What git has or would add, as a user's clone has it; and the two installers under their names.
make_checkout() {
    mkdir -p "$WORK/checkout" "$WORK/tools"
    git ls-files --cached --others --exclude-standard | while read -r file; do
        [ ! -e "$file" ] || echo "$file"
    done | tar --create --files-from - | tar --extract --directory "$WORK/checkout"
    python3 -m venv "$WORK/pipx"
    "$WORK/pipx/bin/pip" install --quiet --disable-pip-version-check pipx 2>"$WORK/pipx.log"
    ln -s "$WORK/pipx/bin/pipx" "$PWD/.venv/bin/uv" "$WORK/tools"
}

# The line of README.md that installs by $2 on the machine $1, which is `main` or another one.
install_line() {
    if [ "$1" = main ]; then start='## Install'; else start='**On each other machine**'; fi
    readme_block "$start" | grep "^$2 " || { echo "README.md has no line to install by $2 on $1" >&2; return 1; }
}

# main and worker are the machines that go on; the others' homes only show that the lines work.
check_install_lines() {
    install_by uv main main
    install_by pipx main main-pipx
    install_by python3 main main-venv
    install_by python3 worker worker
    install_by pipx worker worker-pipx
    install_by uv worker worker-uv
    [ "$(readme_block '## Install' | wc -l)" -eq 3 ] && [ "$(readme_block '**On each other machine**' | wc -l)" -eq 3 ]
}

install_by() {
    mkdir "$WORK/$3"
    line=$(install_line "$2" "$1")
    as_user_of "$3" sh -c "$line" >"$WORK/install.log" 2>&1 || { tail -n 20 "$WORK/install.log" >&2; return 1; }
    printf '%s: %s\n' "$(as_user_of "$3" llamaq --version)" "$line"
}

check_uninstall() {
    as_user_of main-pipx sh -c "$(uninstall_line pipx)"
    as_user_of worker-uv sh -c "$(uninstall_line uv)"
    as_user_of main-venv sh -c "$(uninstall_line rm)"
    for home in main-pipx worker-uv main-venv; do
        ! as_user_of "$home" sh -c 'command -v llamaq' || return 1
    done
}

uninstall_line() { grep '^- To uninstall' README.md | grep -o "\`$1 [^\`]*\`" | tr -d '`'; }

# scripts/release twice, then the line of README.md for its files, in a home folder of its own.
check_release() {
    for folder in release again; do scripts/release "$WORK/$folder" >"$WORK/release.log" 2>&1; done
    diff "$WORK/release/SHA256SUMS" "$WORK/again/SHA256SUMS"
    mkdir "$WORK/released"
    line=$(readme_block '**Without the repository**')
    (cd "$WORK/release" && sha256sum --quiet --check SHA256SUMS)
    as_user_of released sh -c "cd $WORK/release && $line" >"$WORK/install.log" 2>&1
    printf '%s: %s\n' "$(as_user_of released llamaq --version)" "$line"
}
