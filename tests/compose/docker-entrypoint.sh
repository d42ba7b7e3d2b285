#!/bin/sh
# Started by the valkey user, the image's own entry point does no more than this.
set -eu
umask 0077
exec "$@"
