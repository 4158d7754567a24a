#!/bin/sh
# Reads its configuration from seedcar's volume, again whenever it gets HUP:
#   seedcar exec --on-change HUP -- ./app.sh
set -eu

load() {
    # Written by seedcar run --file app.sh: GREETING=..., in quotes that a shell understands.
    . "${SEEDCAR_DIR:-/seedcar/live}/app.sh"
    echo "greeting: $GREETING"
}

trap load HUP
load
while :; do
    # In the background: a shell runs its traps when it waits, not while a command does.
    sleep 60 &
    wait $! || :
done
