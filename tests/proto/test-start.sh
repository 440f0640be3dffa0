#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test-start.sh - what vcmad refuses at its start, and whom it refuses: each
# with a message that names cause and cure

set -u
# shellcheck source=tests/proto/lib.sh
. "$(dirname "$0")/lib.sh"

refused() {	# text, exit code, wanted in the log, arguments...
	local text=$1 code=$2 wanted=$3
	shift 3
	timeout 20 "$vcmad" --run-dir "$dir/run" "$@" >"$dir/out" 2>&1
	is "$text: exit code" $? "$code"
	is "$text: message" "$(cat "$dir/out")" "$wanted"
	is "$text: nothing is left" "$(ls -A "$dir/run" 2>/dev/null)" ''
}

refused 'no configuration' 2 '*--pool: is missing: say --config FILE, or --pool SIZE --vm NAME*'
refused 'an unknown option' 2 '*--speed*' --speed
refused 'a missing file' 2 '*/none.conf*No such file*' --config /none.conf
cat >"$dir/bad.conf" <<END
[pool main]
backing=memfd
size=64M
chunk=4M
colour=red
[vm alpha]
guarantee=40M
limit=32M
[vm beta]
guarantee=32M
END
refused 'a bad file, all mistakes at once' 2 '*bad.conf: \[pool main\] colour: unknown key*bad.conf: \[vm alpha\] limit: 32M is below the guarantee of 40M*bad.conf: \[pool main\] size: the guarantees*72M, beyond the pool*64M*' \
	--config "$dir/bad.conf"
is '--check-config says the same' "$("$vcmad" --check-config --config "$dir/bad.conf" 2>&1; echo $?)" '*colour*2'
few=$(ulimit -n 310; for i in {1..12}; do set -- "$@" --vm "vm$i"; done
	timeout 20 "$vcmad" --run-dir "$dir/run" --backing memfd --pool 64M "$@" 2>&1)
is 'a pool that leaves too few descriptors for the VMs' "$few" '*32 granules need a descriptor each, * are left beside those that the VMs? connections may need: raise *LimitNOFILE*'

# Two VMs whose promised runs fill the pool, and one that has none.
cat >"$dir/runs.conf" <<END
[pool main]
backing=memfd
size=64M
chunk=4M
[vm alpha]
guarantee=40M/40M
[vm beta]
guarantee=24M/24M
[vm gamma]
END
start_vcmad --config "$dir/runs.conf" || bail vcmad
is 'guarantees that fit just so' "$(tail -n 1 "$dir/log")" '*ready*'

# Who is refused at a running one.
refused_by_running=$("$vcmad" --run-dir "$dir/run" --backing memfd --pool 4M --chunk 2M --vm x 2>&1)
is 'a second vcmad in the same directory' "$refused_by_running" '*another vcmad runs in *: stop it, or give this one a --run-dir*'
mkdir "$dir/other"
cat >"$dir/steal.conf" <<END
[pool main]
backing=memfd
size=4M
chunk=2M
[vm alpha]
socket=$dir/run/alpha.sock
END
stolen=$("$vcmad" --run-dir "$dir/other" --config "$dir/steal.conf" 2>&1)
is 'a socket in use' "$stolen" '*alpha.sock is in use by a running program*'
peer_start alpha
is 'which goes on working' "$peer_hello" ok
peer_start nobody gamma
is 'another VM' "$peer_hello" ok
peer_stop nobody
peer_start delta delta
is 'a VM that is not configured' "$peer_hello" '*No such file*'
peer_close delta

if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	chmod 0755 "$dir" "$dir/run"
	chmod 0666 "$dir/run/gamma.sock" "$dir/run/vcmad.sock"
	in=$(echo info | setpriv --reuid 65534 --regid 65534 --clear-groups "$build/tests/peer" "$dir/run/gamma.sock" 2>&1)
	is 'a process of another user, even if the file lets it in' "$in" 'refused DENIED*'
	log_has 'is in the log' 'gamma: process [0-9]* of uid 65534 refused: the socket.s owner is uid 0; run it as that user, or change owner='
	in=$(echo info | setpriv --reuid 65534 --regid 65534 --clear-groups "$build/tests/peer" "$dir/run/vcmad.sock" 2>&1)
	is 'on the operator socket, too' "$in" 'refused DENIED*'
else
	skip 'a process of another user' 'needs root and setpriv (util-linux)'
	skip 'its log' likewise
	skip 'on the operator socket' likewise
fi

# A vcmad that was killed: the next one does not start while holders live.
is 'a lease' "$(tell alpha lease a 8M)" 'ok *'
is 'filled' "$(tell alpha fill a 0x77)" ok
kill -KILL "$vcmad_pid"
wait "$vcmad_pid" 2>/dev/null
vcmad_pid=''
is 'the VM runs on' "$(tell alpha check a 0x77)" ok
timeout 20 "$vcmad" --run-dir "$dir/run" --config "$dir/runs.conf" >"$dir/out" 2>&1
is 'a new vcmad refuses to start: exit code' $? 1
is 'and names the process' "$(cat "$dir/out")" "*alive: ${peer_pid[alpha]} (peer) of VM alpha*end these VMs*"
peer_kill alpha
start_vcmad --config "$dir/runs.conf"
is 'once it has gone, over the stale sockets' "$(tail -n 1 "$dir/log")" '*ready*'

# A clean end with a VM that holds on.
peer_start alpha
is 'a lease' "$(tell alpha lease a 8M)" 'ok *'
stop_vcmad
is 'a clean end' "$vcmad_code" 0
is 'says who keeps memory' "$(cat "$dir/log")" '*alpha: process * keeps 8M until it exits*'
is 'and keeps the run record alone' "$(ls -A "$dir/run")" vcmad.state
is 'the memory is still there' "$(tell alpha check a 0)" ok
peer_stop alpha

if [ "$(id -u)" -eq 0 ]; then
	: >"$dir/notasocket"
	printf '[pool p]\nbacking=memfd\nsize=4M\nchunk=2M\n[vm a]\nsocket=%s\n' "$dir/notasocket" >"$dir/s.conf"
	rm "$dir/run/vcmad.state"
	refused 'a file in the way of a socket' 1 '*exists and is not a socket: choose another path*' --config "$dir/s.conf"
	pages=$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages)
	size=$((pages * 2 + 64))
	refused 'too few huge pages' 1 "*vm.nr_hugepages: * huge pages free, * needed for ${size}M: echo * > /proc/sys/vm/nr_hugepages" \
		--backing hugetlb --pool "${size}M" --chunk 2M --vm a
fi
finish
