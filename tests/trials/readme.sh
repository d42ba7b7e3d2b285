# shellcheck shell=sh
# What README.md tells a user to type.

# The lines of the first shell block behind the line of README.md that begins with $1.
readme_block() {
    awk -v start="$1" 'index($0, start) == 1 { found = 1 }
        shell && /^```/ { exit }
        shell
        found && /^```sh/ { shell = 1 }' README.md
}
