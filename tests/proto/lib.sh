# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# lib.sh - a live vcmad and peers for the scripts here; TAP on standard output
#
#	start_vcmad ARGS...	in $dir/run, its log in $dir/log; waits until ready
#	stop_vcmad		SIGTERM, waits, sets $vcmad_code
#	peer_start NAME		a peer on $dir/run/NAME.sock: tell NAME COMMAND...
#	tell NAME COMMAND...	prints its answer
#	is TEXT ACTUAL WANTED	a test point; WANTED is a glob pattern
#	log_has TEXT PATTERN	a test point: the log has, or comes to have, a line that matches
#	finish			the plan

build=${VCMA_BUILD:-build}
src=${VCMA_SRC:-.}
dir=$(mktemp -d "${TMPDIR:-/tmp}/vcma-proto.XXXXXX") || exit 1
points=0
vcmad=${VCMAD:-$build/vcmad}
vcmad_pid='' vcmad_code=''
declare -A peer_in peer_out peer_pid

cleanup() {
	local p
	for p in "${peer_pid[@]}"; do
		kill -KILL "$p" 2>/dev/null
	done
	[ -z "$vcmad_pid" ] || kill -TERM "$vcmad_pid" 2>/dev/null
	wait
	hugepages_restore
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

is() {	# text, actual, wanted pattern
	points=$((points + 1))
	# shellcheck disable=SC2053 # a pattern is wanted
	if [[ $2 == $3 ]]; then
		echo "ok $points - $1"
	else
		echo "not ok $points - $1"
		echo "# wanted: $3"
		echo "# got:    $2"
		sed 's/^/# log: /' "$dir/log" 2>/dev/null | tail -n 15
	fi
}

skip() {	# text, reason
	points=$((points + 1))
	echo "ok $points - $1 # SKIP $2"
}

finish() {
	echo "1..$points"
}

bail() {
	echo "Bail out! $1"
	sed 's/^/# log: /' "$dir/log" 2>/dev/null
	exit 1
}

log_has() {	# text, pattern
	local i
	for i in $(seq 50); do
		if grep -q -- "$2" "$dir/log"; then
			is "$1" yes yes
			return
		fi
		sleep 0.1
	done
	is "$1" "$(tail -n 5 "$dir/log")" "a line with $2 ($i tries)"
}

start_vcmad() {
	local i
	: >"$dir/log"
	"$vcmad" --run-dir "$dir/run" "$@" 2>>"$dir/log" &
	vcmad_pid=$!
	for i in $(seq 100); do
		grep -q '^vcmad: ready' "$dir/log" && return 0
		kill -0 "$vcmad_pid" 2>/dev/null || break
		sleep 0.1
	done
	wait "$vcmad_pid"
	vcmad_code=$?
	vcmad_pid=''
	echo "# vcmad did not start ($i tries)"
	return 1
}

stop_vcmad() {
	kill -TERM "$vcmad_pid"
	wait "$vcmad_pid"
	# shellcheck disable=SC2034 # for the scripts
	vcmad_code=$?
	vcmad_pid=''
}

answer() {	# peer: its next line
	local text
	if read -r -t 90 -u "${peer_out[$1]}" text; then
		echo "$text"
	else
		echo "no answer from peer $1"
	fi
}

peer_start() {	# name, socket's VM (default: the name)
	local in out
	mkfifo "$dir/$1.in" "$dir/$1.out"
	"$build/tests/peer" "$dir/run/${2:-$1}.sock" <"$dir/$1.in" >"$dir/$1.out" 2>>"$dir/peer-log" &
	peer_pid[$1]=$!
	exec {in}>"$dir/$1.in" {out}<"$dir/$1.out"
	rm "$dir/$1.in" "$dir/$1.out"
	peer_in[$1]=$in
	peer_out[$1]=$out
	# shellcheck disable=SC2034 # for the scripts
	peer_hello=$(answer "$1")
}

tell() {	# peer, command
	local name=$1
	shift
	echo "$*" >&"${peer_in[$name]}"
	answer "$name"
}

peer_kill() {	# peer, signal
	local p=${peer_pid[$1]}
	kill "-${2:-KILL}" "$p"
	wait "$p" 2>/dev/null
	peer_close "$1"
}

peer_stop() {
	echo quit >&"${peer_in[$1]}"
	wait "${peer_pid[$1]}"
	peer_close "$1"
}

peer_close() {
	local in=${peer_in[$1]} out=${peer_out[$1]}
	exec {in}>&- {out}<&-
	unset "peer_pid[$1]" "peer_in[$1]" "peer_out[$1]"
}

# Huge pages are the machine's: reserved for this process, given back at the end.
hugepages_reserved=''
hugepages_add() {	# size; false: not to be had
	hugepages_reserved=yes
	"$src/scripts/hugepages" --owner $$ reserve "$1" 2>>"$dir/hugepages-log"
}
hugepages_restore() {
	[ -z "$hugepages_reserved" ] || "$src/scripts/hugepages" --owner $$ restore
}
