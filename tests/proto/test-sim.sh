#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test-sim.sh - pools without memory: a million granules and thousands of VMs are
# configured, started and shown; nothing of them can be leased [B-90]

set -u
# shellcheck source=tests/proto/lib.sh
. "$(dirname "$0")/lib.sh"

ctl() {
	"$build/vcmactl" --run-dir "$dir/run" "$@" 2>&1
}

# Each VM has a listening socket.
vms=10000
[ "$(ulimit -Hn)" -ge 12000 ] || vms=500
ulimit -n "$(ulimit -Hn)"

{
	printf '%s\n' '[pool big]' 'backing=sim' 'size=2T' 'address=4G' 'extents=1G,256M,16G' \
		'[pool small]' 'backing=memfd' 'size=8M' 'chunk=2M' \
		'[vm alpha]' 'pool=small' 'limit=4M' '[bank alpha 1]' 'pool=big' \
		'[vm beta]' 'pool=big' 'guarantee=1G/1G'
} >"$dir/few.conf"
{
	# Descriptors for connections are all that so many VMs leave: no real memory.
	sed '/^.pool small/,/^.vm beta/{/^.vm beta/!d}' "$dir/few.conf"
	for ((i = 1; i < vms; i++)); do
		printf '[vm v%d]\npool=big\nguarantee=%s\nlimit=64G\n' "$i" "$((i % 2 * 256))M"
	done
} >"$dir/sim.conf"

start_vcmad --config "$dir/few.conf" || bail vcmad
log_has "the log says that there is no memory" 'pool big: 2T of sim: .*; no memory, nothing of it can be leased'
is "granules, chunk and extents are as declared" \
	"$(ctl pools | awk '$1 == "big" { print $2, $3, $4, $7, $8, $9; exit }')" 'sim 2T 1048576 256M 357 16G'
rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$vcmad_pid/status")
if [[ $build == */asan ]]; then
	skip "a million granules stay within 128 MiB" "AddressSanitizer has memory of its own"
else
	is "a million granules stay within 128 MiB ($rss KiB for 1048576)" \
		"$((rss * 1000000 / 1048576 <= 128 * 1024))" 1
fi
peer_start beta
is "a VM can connect" "$peer_hello" 'ok*'
is "but has nothing to lease" "$(tell beta lease x 2M)" 'refused UNSUPPORTED'
log_has "and the log says why" 'beta: asked for memory of pool big, which has none (backing=sim)'
peer_start alpha
is "a VM with memory elsewhere gets that" "$(tell alpha lease x 2M)" 'ok *'
is "in another bank it has none" "$(tell alpha lease y 2M 100 1)" 'refused UNSUPPORTED'
peer_stop alpha
peer_stop beta
stop_vcmad
is "exit code" "$vcmad_code" 0

start_vcmad --config "$dir/sim.conf" || bail "vcmad with $vms VMs"
is "$vms VMs are there" "$(ctl status)" "*$vms*"
is "each of them is listed" "$(ctl vms | grep -c '^v[0-9]')" "$((vms - 1))"
is "what is guaranteed is set aside" "$(ctl pools | awk '$1 == "big" { print $10; exit }')" \
	"*[0-9][MGT]"
stop_vcmad
is "exit code" "$vcmad_code" 0

finish
