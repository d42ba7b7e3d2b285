#!/bin/sh
# Says what is wrong with the model's file, /models/$1, which is in the host's folder $2.
set -eu
file=/models/$1
fail() {
    echo "$2/$1: $3" >&2
    exit 1
}
[ -e "$file" ] || fail "$1" "$2" 'there is no such file. Put the model there, or set LLAMAQ_MODEL_FILE and LLAMAQ_MODEL_DIR in .env'
[ -f "$file" ] || fail "$1" "$2" 'this is a folder. Set LLAMAQ_MODEL_FILE in .env to a file in it'
[ -r "$file" ] || fail "$1" "$2" 'the container may not read it. Make it readable: chmod a+r'
[ "$(head -c 4 "$file")" = GGUF ] || fail "$1" "$2" 'this is no GGUF file. llama-server reads no other form; an interrupted download looks like this, too'
