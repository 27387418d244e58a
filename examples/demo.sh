#!/bin/sh
# ri at work on a live process: builds the example service, starts it under load, asks it from outside, and ends it.
# The service was built with nothing of ri's; beside each answer stands its own.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null || true; rm -rf "$dir"' EXIT INT TERM
pid=""

(cd examples/target && go build -o "$dir/target" .)
"$dir/target" -objects 2000 -seed 7 -load >"$dir/out" 2>"$dir/err" &
pid=$!
# The service says "ready" as its last line; it must not die before.
until grep -q '^ready' "$dir/out"; do
	kill -0 "$pid" 2>/dev/null || { cat "$dir/err" >&2; exit 1; }
	sleep 0.1
done
http=$(sed -n 's/^listening on //p' "$dir/out")

bold=""; plain=""
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$(printf '\033[1m'); plain=$(printf '\033[0m'); fi
# Standard error carries "stopped ...": in a demonstration it belongs beside the answer.
say() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
ri() {
	printf '%s$ ri' "$bold"
	for word in "$@"; do
		case "$word" in
		*[!A-Za-z0-9_./=:,-]*) printf " '%s'" "$word" ;;
		*) printf ' %s' "$word" ;;
		esac
	done
	printf '%s\n' "$plain"
	bin/ri "$@" 2>&1
}
own() { printf '%sThe program itself says, GET %s:%s\n' "$bold" "$1" "$plain"; go run ./examples/get "$http$1"; }

say "Which Go processes are here? Ours is $pid, an object store under load."
ri ps
say "Which recipes fit it?"
ri recipes -p "$pid"

name=$(go run ./examples/get "$http/o/?limit=1" | sed -n 's/.*"name": "\([^"]*\)".*/\1/p')
say "Map an object's name to its fid: a walk down the b-tree of names."
ri run object-fid -p "$pid" name="$name"
own "/admin/object?name=$name"
say "Its component objects, with the service and device of each."
ri run object-cobs -p "$pid" name="$name"
own "/admin/cobs?name=$name" | grep -E '"(fid|service_name|device)"'
cob=$(bin/ri run object-cobs -p "$pid" name="$name" --ndjson -q | sed -n '1s/.*"fid":"\([^"]*\)".*/\1/p')
say "The device blocks of the first of them."
ri run cob-extents -p "$pid" fid="$cob"

say "A customer calls: requests hang. (We stall its workers.)"
go run ./examples/get -post "$http/admin/trouble/stall" >/dev/null
sleep 1
ri run queued-requests -p "$pid" queue=running
ri exec -p "$pid" -e 'local h = ri.var("main.store").handler; ri.emit{stalled=h.stalled, queued=h.runQueue.length, serving=#h.workers}'
go run ./examples/get -post "$http/admin/trouble/unstall" >/dev/null

say "Worse: it hangs. (We have two goroutines take two devices' locks, each in its own order.) What is wrong, without knowing the program?"
go run ./examples/get -post "$http/admin/trouble/deadlock?hard=1" >/dev/null
sleep 1
ri check -p "$pid" || [ $? = 3 ] # it found something

say "Where are its goroutines?"
ri run goroutines -p "$pid" | head -24
say "What did the program feel? Its heartbeat ticks each millisecond; the longest gap (ri's stops are above; a busy machine adds its own):"
own /admin/heartbeat
