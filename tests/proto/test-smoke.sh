#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test-smoke.sh - a live vcmad on ordinary memory, from the first lease to the
# clean shutdown; needs no root and no huge pages

set -u
# shellcheck source=tests/proto/lib.sh
. "$(dirname "$0")/lib.sh"

start_vcmad --backing memfd --pool 64M --chunk 4M --vm alpha --vm beta || bail "vcmad"
log_has 'the log says what memfd cannot promise' 'contiguity not guaranteed'

peer_start alpha
is 'HELLO' "$peer_hello" ok
is 'the broker says who we are' "$(tell alpha info)" \
	'ok vm=alpha pool=main granule=2097152 chunk=4194304 max=67108864 guarantee=0 limit=67108864 contiguous=0 *'
is 'a lease of 8M' "$(tell alpha lease a 8M)" 'ok * 4'
is 'it is zero' "$(tell alpha check a 0)" ok
is 'it can be written' "$(tell alpha fill a 0x5a)" ok
is 'and read' "$(tell alpha check a 0x5a)" ok
is 'a size that is no power of two' "$(tell alpha lease x 6M)" 'error: Invalid argument'
is 'a size below a granule' "$(tell alpha lease x 4K)" 'refused INVALID'
is 'a size of 2^63' "$(tell alpha lease x 8388608T 100)" 'refused *'

peer_start second alpha
is 'a second connection for a VM' "$peer_hello" 'refused EXISTS'
log_has 'and says what to do' 'alpha: process [0-9]* refused: process [0-9]* is connected; end that one first'
peer_stop second

is 'what goes back must fault for the one who kept it' "$(tell alpha keep a)" ok
# While some of it is dirty, 32M in the middle of the rest may leave no such run.
is 'it is made clean' "$("$build/vcmactl" --run-dir "$dir/run" wait-idle >/dev/null; echo $?)" 0
peer_start beta
is 'all memory for the other VM' "$(tell beta lease b 32M)" 'ok * 16'
is 'and the rest' "$(tell beta lease c 32M)" 'ok * 16'
is 'it is zero' "$(tell beta check b 0)$(tell beta check c 0)" okok
is 'the old mapping faults on writing' "$(tell alpha poke a 0x66)" 'ok fault'
is 'and on reading' "$(tell alpha peek a 0x5a)" 'ok fault'
is 'the old file cannot be mapped anew' "$(tell alpha remap a)" 'ok refused'
is 'nothing was changed' "$(tell beta check b 0)$(tell beta check c 0)" okok

is 'beta gives back what it can when asked' "$(tell beta on-reclaim release)" ok
echo 'lease d 8M 5000' >&"${peer_in[alpha]}"
is 'reclaim' "$(tell beta wait 500)" ok
is 'alpha gets a lease by reclaim' "$(answer alpha)" 'ok * 4'
is 'beta gave one back' "$(tell beta reclaimed)" 'ok 1'
log_has 'the reclaim is in the log' 'beta: asked to give back 1 leases (32M)'

is 'one that holds on' "$(tell beta on-reclaim busy)" ok
is 'the other half' "$(tell alpha lease e 16M)" 'ok *'
echo 'lease f 32M 500' >&"${peer_in[alpha]}"
tell beta wait 300 >/dev/null
is 'a refusal says why' "$(answer alpha)" 'refused TRY_LATER'
log_has 'and so does the log' 'alpha: 32M refused: '

peer_kill beta
log_has 'a dead VM gives all back' 'beta: process [0-9]* has exited: 1 leases (32M) come back'
is 'its memory is there for the other' "$(tell alpha lease g 32M)" 'ok *'
is 'and is zero' "$(tell alpha check g 0)" ok

is 'a connection ends, the process lives' "$(tell alpha close)" ok
log_has 'its leases stay' 'alpha: connection ended, process [0-9]* still holds 3 leases'
peer_start third alpha
is 'another process in between' "$peer_hello" 'refused EXISTS'
peer_stop third
is 'the same process comes back' "$(tell alpha connect same)" 'ok resumed'
is 'with its memory' "$(tell alpha check g 0)" ok
is 'and may give it back' "$(tell alpha release g)" ok

is 'the run record names the holder' "$(cat "$dir/run/vcmad.state")" "*alpha ${peer_pid[alpha]} *"
for name in d e; do
	is "release of $name" "$(tell alpha release $name)" ok
done
tell alpha wait 300 >/dev/null
is 'and nobody who holds nothing' "$(ls "$dir/run/vcmad.state" 2>&1)" '*No such file*'

stop_vcmad
is 'a clean end' "$vcmad_code" 0
is 'nothing is left behind' "$(ls -A "$dir/run" 2>&1)" '*No such file*'
is 'the peer was told' "$(tell alpha info)" 'refused SHUTDOWN'
peer_stop alpha

# I2: where the pages are is read at hand-out.
vcmad=$build/tests/vcmad-faults
start_vcmad --test-fault moved --backing memfd --pool 16M --chunk 2M --vm alpha || bail vcmad
peer_start alpha
is 'pages that have moved are not handed out' "$(tell alpha lease a 8M)" 'refused INTERNAL'
log_has 'and the log says so' 'alpha: granule of PFN 0x[0-9a-f]* is at 0x[0-9a-f]* now: lease withdrawn'
peer_stop alpha
stop_vcmad
is 'a clean end' "$vcmad_code" 0
finish
