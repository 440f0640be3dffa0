#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test-policy.sh - the demo's two VMs as peers: guarantees, limits, reclaim, and
# what vcmactl shows of it

set -u
# shellcheck source=tests/proto/lib.sh
. "$(dirname "$0")/lib.sh"

sed 's/^backing=.*/backing=memfd/' "$src/tests/demo/vcmad.conf" >"$dir/demo.conf"
start_vcmad --config "$dir/demo.conf" || bail vcmad
ctl() {
	"$build/vcmactl" --run-dir "$dir/run" "$@" 2>&1
}

peer_start alpha
peer_start beta
is 'alpha knows its share' "$(tell alpha info)" '* guarantee=67108864 limit=201326592 *'
is 'alpha has 64M in one run' "$(tell alpha lease a 64M)" 'ok * 32'
is 'and as much as its limit' "$(tell alpha lease b 64M)$(tell alpha lease c 64M)" 'ok * 32ok * 32'
is 'no more' "$(tell alpha lease d 16M)" 'refused OVER_LIMIT'
log_has 'which the log explains' 'alpha: 16M refused: beyond its limit of 192M'
is 'alpha writes' "$(tell alpha fill b 0x5a)$(tell alpha fill c 0x5a)" okok
is 'vcmactl vms' "$(ctl vms)" '*alpha*64M/64M*192M*'
is 'vcmactl leases' "$(ctl leases)" '*alpha*64M*'
is 'vcmactl pools says what memfd is' "$(ctl pools)" '*contiguity not guaranteed*'

is 'beta has its guarantee at once' "$(tell beta lease e 32M)" 'ok * 16'
echo 'lease f 64M 5000' >&"${peer_in[beta]}"
tell alpha wait 500 >/dev/null
is 'and 64M of what alpha has beyond its guarantee' "$(answer beta)" 'ok * 32'
is 'clean' "$(tell beta check f 0)" ok
is 'alpha gave one lease back' "$(tell alpha reclaimed)" 'ok 1'
is 'of those that are not guaranteed' "$(tell alpha check a 0)" ok

echo 'lease g 128M 2000' >&"${peer_in[beta]}"
tell alpha wait 500 >/dev/null
is 'what only the guarantee of alpha could give' "$(answer beta)" 'refused GUARANTEED'
log_has 'is called so' 'beta: 128M refused: guaranteed to alpha'
is 'vcmactl vms knows it' "$(ctl vms)" '*guaranteed to alpha*'
is 'alpha still has it' "$(tell alpha check a 0)" ok

is 'vcmactl wait-idle' "$(ctl wait-idle; echo $?)" '*0'
echo 'wait 1000' >&"${peer_in[beta]}"
is 'vcmactl reclaim' "$(ctl reclaim beta --bytes 16M; echo $?)" '*64M*0'
answer beta >/dev/null
is 'which took a whole lease' "$(tell beta reclaimed)" 'ok 1'
is 'vcmactl reclaim of a VM that is not there' "$(ctl reclaim nobody --bytes 16M; echo $?)" '*nobody*1'
is 'vcmactl status --json' "$(ctl status --json)" '*"pid": '"$vcmad_pid"'*'

peer_kill alpha
is 'a VM is killed' "$(ctl wait-idle; echo $?)" '*0'
is 'all that it had is clean' "$(ctl pools --json)" '*"clean": 112,*'
peer_stop beta
stop_vcmad
is 'a clean end' "$vcmad_code" 0
is 'nothing is left behind' "$(ls -A "$dir/run" 2>&1)" '*No such file*'
finish
