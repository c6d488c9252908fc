#!/bin/sh
# Builds the library and shows it at work: examples/ws_client talks to a
# WebSocket server (Python's `websockets`), loses it, and comes back by itself.
#
#   sh examples/quickstart.sh
#
# Installs what is missing, with apt-get as root. Exit status 0 if all went well.
set -u

root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
program=build/quickstart/examples/ws_client
# The tests hand over the program that they have built.
[ $# -eq 0 ] || program=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cd "$root" || exit 1
# shellcheck source=tests/support/packages.sh
. tests/support/packages.sh

work=
server=
client=
stop_all() {
  [ -n "$client" ] && kill "$client" 2>/dev/null
  [ -n "$server" ] && kill "$server" 2>/dev/null
  wait
  [ -n "$work" ] && rm -rf "$work"
}
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP PIPE

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
fail() {
  show
  echo "quickstart failed: $*" >&2
  exit 1
}

# Prints what the client has said since the last time.
shown=0
show() {
  [ -f "$work/client" ] || return 0
  lines=$(wc -l <"$work/client")
  [ "$lines" -gt "$shown" ] && sed -n "$((shown + 1)),${lines}s/^/    /p" "$work/client"
  shown=$lines
}

# wait_for FILE TIMES PATTERN WHAT: until FILE has the pattern on that many lines.
wait_for() {
  deadline=$(($(date +%s) + 20))
  until [ "$(grep -c "$3" "$work/$1" 2>/dev/null)" -ge "$2" ] 2>/dev/null; do
    [ "$(date +%s)" -lt "$deadline" ] || fail "$4 did not happen within 20 seconds"
    [ -z "$client" ] || kill -0 "$client" 2>/dev/null || fail "the client ended before this: $4"
    [ -z "$server" ] || kill -0 "$server" 2>/dev/null || fail "the server ended: $(cat "$work/server")"
    sleep 0.1
  done
}

# start_server PORT: 0 for a free one; sets $port to what it became.
start_server() {
  "$PYTHON" tests/interop/servers/ws_server.py --port "$1" >"$work/server" 2>&1 &
  server=$!
  wait_for server 1 '^port ' 'the start of the server'
  port=$(sed -n 's/^port //p' "$work/server")
}

# -- what is needed, and the build
need python3 have python3
need python3-websockets find_python
if [ $# -eq 0 ]; then need_build_tools; fi
install_missing || exit 1
find_python || fail 'no Python with the module websockets was found'

work=$(mktemp -d) || exit 1
if [ $# -eq 0 ]; then
  say 'Building the library and examples/ws_client.cpp'
  [ -f build/quickstart/build.ninja ] || meson setup build/quickstart -Dtests=disabled >"$work/build" 2>&1
  if ! ninja -C build/quickstart examples/ws_client >>"$work/build" 2>&1; then
    tail -n 40 "$work/build"
    fail 'the build'
  fi
fi

# -- the story -----------------------------------------------------------------
start_server 0
say "A WebSocket server (Python websockets) listens on port $port; the client starts"
SERVER="ws://127.0.0.1:$port/echo" "$program" start >"$work/client" 2>&1 &
client=$!
wait_for client 1 '^tcp connected' 'the TCP connection'
wait_for client 1 '^HTTP/1.1 101' 'the handshake'
wait_for client 1 '^recv: hello' 'the echo'
show

say 'The server stops; the client notices and keeps trying'
kill "$server"
wait "$server"
server=
wait_for client 2 '^error: ' 'a second attempt to reconnect'
show

say 'The server is back on the same port'
start_server "$port"
wait_for client 2 '^recv: hello' 'the echo after the reconnect'
show

say 'The client is asked to stop (SIGTERM)'
kill "$client"
wait "$client"
status=$?
client=
show
[ "$status" -eq 0 ] || fail "the client ended with status $status"

printf '\nquickstart: ok - connected, lost the server, came back by itself, stopped cleanly\n'
