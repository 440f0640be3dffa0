#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test-banks.sh - VMs with shares in two pools: each lease is of the bank that it
# was asked for, and banks share nothing but their VM [B-32] [B-56] [B-66] [B-83]

set -u
# shellcheck source=tests/proto/lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$dir/banks.conf" <<'END'
[pool one]
backing=memfd
size=64M
chunk=4M
[pool two]
backing=memfd
size=32M
chunk=2M

[vm alpha]
pool=one
guarantee=8M
limit=32M
[bank alpha 1]
pool=two
guarantee=4M
limit=16M
[vm beta]
pool=two
[bank beta 5]
pool=one
END
start_vcmad --config "$dir/banks.conf" || bail vcmad
ctl() {
	"$build/vcmactl" --run-dir "$dir/run" "$@" 2>&1
}
leased() {	# granules that are LEASED: of pool one, of pool two
	ctl wait-idle
	ctl pools | awk '/^GRANULES/ { states = 1 } states && /^(one|two) / { printf "%s=%s ", $1, $5 }'
}

is 'no bank column before there are leases of banks' "$(ctl leases)" 'LEASE  VM  POOL *'
peer_start alpha
peer_start beta
is 'alpha has banks 0 and 1' "$(tell alpha info)" '* pool=one *chunk=4194304 * limit=33554432 *banks=3 *'
is 'beta has banks 0 and 5' "$(tell beta info)" '* pool=two *chunk=2097152 *banks=21 *'

is 'a lease of bank 0' "$(tell alpha lease a 16M)" 'ok * 8'
is 'is of its pool' "$(leased)" 'one=8 two=0 '
is 'a lease of bank 1' "$(tell alpha lease b 16M 2000 1)" 'ok * 8'
is 'is of its pool, too' "$(leased)" 'one=8 two=8 '
is 'one is not the other' "$(tell alpha fill a 0x5a)$(tell alpha check b 0)" okok

is 'bank 1 has no more, by its own limit' "$(tell alpha lease c 2M 500 1)" 'refused OVER_LIMIT'
log_has 'which the log explains' 'alpha: 2M of bank 1 refused: beyond its limit of 16M'
is 'bank 0 has' "$(tell alpha lease c 16M)" 'ok * 8'
is 'up to its own' "$(tell alpha lease d 2M)" 'refused OVER_LIMIT'
log_has 'which the log explains, too' 'alpha: 2M refused: beyond its limit of 32M'
is 'a bank that alpha does not have' "$(tell alpha lease d 2M 500 2)" 'refused DENIED'
log_has 'the log says how to add it' 'alpha: 2M of bank 2 refused: .* add \[bank alpha NUMBER\]'
is 'the bank of another VM' "$(tell alpha lease d 2M 500 5)" 'refused DENIED'
is 'no VM has that many' "$(tell alpha lease d 2M 500 32)" 'refused DENIED'

rows=$(ctl vms | awk '{ print $1, $2, $3, $6, $7, $8 }')
is 'vcmactl vms: a row for each bank' "$rows" '*VM BANK POOL LIMIT CHARGED LEASED*
alpha 0 one 32M 32M 32M*
alpha 1 two 16M 16M 16M*
beta 0 two 32M 0 0*
beta 5 one 64M 0 0*'
is 'vcmactl vms --json' "$(ctl vms --json | tr -d '\n ')" '*"name":"beta","bank":5,"pool":"one",*'
is 'vcmactl leases' "$(ctl leases | awk '{ print $2, $3, $4, $5 }')" 'VM BANK POOL SIZE
alpha 0 one 16M
alpha 1 two 16M
alpha 0 one 16M*'
is 'vcmactl leases --json' "$(ctl leases --json | tr -d '\n ')" '*"bank":1,"pool":"two",*'
is 'vcmactl status counts VMs' "$(ctl status --json)" '*"vms": 2,*'

is 'one RELEASE for leases of both' "$(tell alpha release a b)" ok
is 'gives both back' "$(leased)" 'one=8 two=0 '

# Pool two: 4M are alpha's, 28M are shared.
is 'alpha has its guarantee in bank 1' "$(tell alpha lease f 4M 500 1)" 'ok * 2'
is 'and 8M that are not' "$(tell alpha lease g 8M 500 1)" 'ok * 4'
is 'and something to remember in bank 0' "$(tell alpha fill c 0x5a)" ok
is 'beta has 16M in the same pool' "$(tell beta lease h 16M)" 'ok * 8'
echo 'lease i 8M 5000' >&"${peer_in[beta]}"
tell alpha wait 500 >/dev/null
is 'and 8M more, of what alpha has beyond its guarantee there' "$(answer beta)" 'ok * 4'
is 'alpha gave that back' "$(tell alpha reclaimed)$(tell alpha check f 0)" 'ok 1ok'
is 'and nothing of its other bank' "$(tell alpha check c 0x5a)" ok
is 'what only the guarantee of bank 1 could give' "$(tell beta lease j 8M 500)" 'refused GUARANTEED'
log_has 'is called so' 'beta: 8M refused: guaranteed to alpha'
is 'pool one is another matter' "$(tell beta lease j 8M 500 5)" 'ok * 4'
is 'with a guarantee of its own' "$(tell beta lease k 64M 500 5)" 'refused OVER_LIMIT'
is 'before vcmactl reclaim' "$(leased)" 'one=12 two=14 '
echo 'wait 1000' >&"${peer_in[beta]}"
is 'vcmactl reclaim asks in all banks' "$(ctl reclaim beta)" 'reclaimed 32M from beta'
answer beta >/dev/null
is 'two leases of one, one of the other' "$(tell beta reclaimed)" 'ok 3'
is 'after it' "$(leased)" 'one=8 two=2 '

# Leases stay with the process, in whatever bank they are.
is 'alpha closes its connection' "$(tell alpha close)" ok
log_has 'and still holds both' 'alpha: connection ended, process [0-9]* still holds 2 leases (20M)'
is 'orphaned, in both banks' "$(ctl vms | awk '{ print $1, $4 }')" '*alpha orphaned
alpha orphaned*'
is 'it comes back' "$(tell alpha connect same)" 'ok resumed'
is 'and gives back what is of bank 1' "$(tell alpha release f)" ok
is 'and gets it again' "$(tell alpha lease f 4M 500 1)" 'ok * 2'
peer_kill alpha
is 'a VM is killed' "$(ctl wait-idle; echo $?)" '*0'
is 'all that it had is clean, in both pools' "$(leased)" 'one=0 two=0 '
peer_stop beta
stop_vcmad
is 'a clean end' "$vcmad_code" 0

# A flag of HELLO is true of all banks.
if [ "$(id -u)" -eq 0 ] && hugepages_add 32M; then
	sed -i '0,/memfd/s//hugetlb/' "$dir/banks.conf"
	printf '[pool three]\nbacking=hugetlb\nsize=4M\nchunk=2M\n' >>"$dir/banks.conf"
	printf '[vm gamma]\npool=one\nlimit=8M\n[bank gamma 1]\npool=three\n' >>"$dir/banks.conf"
	sed -i '0,/64M/s//16M/; s/^limit=32M/limit=16M/' "$dir/banks.conf"
	start_vcmad --config "$dir/banks.conf" || bail 'vcmad with huge pages'
	peer_start alpha
	is 'one bank of huge pages and one not' "$(tell alpha info)" '* contiguous=0 *'
	is 'what is of huge pages is contiguous all the same' \
		"$(tell alpha lease a 8M)$(tell alpha pfn a)" 'ok * 4ok 0x*'
	peer_stop alpha
	peer_start gamma
	is 'two of huge pages' "$(tell gamma info)" '* contiguous=1 banks=3 *'
	one=$(tell gamma lease a 4M)$(tell gamma pfn a)
	two=$(tell gamma lease b 4M 2000 1)$(tell gamma pfn b)
	is 'A in one' "$one" 'ok * 2ok 0x*'
	is 'and B in the other' "$two" 'ok * 2ok 0x*'
	for lease in a b; do
		pfn=$(tell gamma pfn $lease)
		is "$lease is where vcmactl says" "$(ctl leases | awk '{ print $4, $6 }')" \
			"*$([ $lease = a ] && echo one || echo three) ${pfn#ok }*"
	done
	peer_stop gamma
	stop_vcmad
	is 'a clean end with huge pages' "$vcmad_code" 0
else
	skip 'banks of huge pages' 'needs root and 32M of huge pages'
fi
finish
