# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: reclaim
# what: memory moves between two running guests, guarantees hold, I/O goes on
# timeout: 120

# shellcheck disable=SC2016 # what is in single quotes is for the guest
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
lib_start reclaim

must pool_up 256 <"$src/tests/demo/vcmad.conf"

boot()
{
	make_disk "$run/$1.img" 64
	guest_up "$1" -- -device edu,addr=10 \
		-drive "file=$run/$1.img,if=none,id=fs,format=raw,cache=unsafe" \
		-device nvme,serial=1,drive=fs
}

parallel boot alpha beta
for name in alpha beta; do
	must outcome "$name"
	must guest "$name" 'vcma_load && modprobe vcma_test && t mask 64'
done

# --- alpha has all it may have, and is idle but for its disk

must guest alpha 'nvme_up && mount -t ext4 /dev/nvme0n1 /mnt'
check "alpha grows to its limit" guest alpha 't many 0 11 16777216 && for i in $(seq 0 10); do t fill $i 77 || exit 1; done'
check "and not beyond" guest alpha '! t alloc 11 16777216 && vcma last_refusal | grep "over limit"'
check_eq "192 MiB are charged" "$(charged_mib alpha)" 192
check "in use, nothing is taken from it" guest beta \
	'echo 1000 >/sys/module/virtio_cma/parameters/deadline_ms; ! t alloc 0 67108864'
check "its patterns are intact" guest alpha 'for i in $(seq 0 10); do t check $i 77 || exit 1; done'
guest beta 'echo 10000 >/sys/module/virtio_cma/parameters/deadline_ms'
check "it goes idle" guest alpha 't freeall'
must guest alpha 'stress() {
		while [ ! -e /run/stop ]; do
			dd if=/dev/urandom of=/tmp/a bs=64k count=16 &&
			dd if=/tmp/a of=/mnt/a bs=64k oflag=direct &&
			dd if=/mnt/a bs=64k iflag=direct of=/tmp/b && cmp /tmp/a /tmp/b || touch /run/io-failed
			echo >>/run/io-rounds
		done
	}
	stress >/dev/null 2>&1 & wait_for [ -e /run/io-rounds ]'

# --- beta wants more than is free

check "beta gets 64 MiB in one piece" guest beta 't alloc 0 67108864'
check "that are zero, byte by byte" guest beta 't zero 0'
check "alpha gave something back" test "$(charged_mib alpha)" -lt 192
check "beta gets all that alpha has no guarantee for" guest beta 't many 1 8 16777216'
check "zero, too" guest beta 'for i in $(seq 1 8); do t zero $i || exit 1; done'
check_eq "192 MiB are charged to beta" "$(charged_mib beta)" 192
check "what is guaranteed to alpha it does not get" guest beta '! t alloc 9 16777216'
check "and is told so" guest beta 'vcma last_refusal | grep -i guarantee'
check_eq "as is the operator" "$(refusal beta)" '16M: guaranteed to alpha'
check "beyond its own limit it is told that" guest beta \
	'! t alloc 9 67108864 && vcma last_refusal | grep "over limit"'

# --- the proof, and alpha

proof alpha beta >"$run/proof"
code=$?
check_eq "every lease is contiguous in the pagemap, no page frame twice" \
	"$code $(tail -n 1 "$run/proof")" "0 $(grep 'no page frame twice' "$run/proof")"
sed 's/^/# /' "$run/proof"
check "alpha takes back its guarantee at once" guest alpha 't many 0 3 16777216'
rounds=$(guest alpha 'wc -l </run/io-rounds')
check "alpha's I/O goes on" guest alpha "wait_for [ \$(wc -l </run/io-rounds) -gt $rounds ]; [ \$(wc -l </run/io-rounds) -gt $rounds ]"
check "and never failed" guest alpha '[ ! -e /run/io-failed ]'
for name in alpha beta; do
	check_eq "$name: no error in the kernel's log" "$(guest "$name" errors)" ''
done

# --- a VM that dies

guest_kill beta
check "nothing is in motion after a while" vcmactl wait-idle
check_eq "a killed VM holds nothing" "$(charged_mib beta) $(leased_mib beta)" '0 0'
check "alpha gets the memory" guest alpha 't many 4 7 16777216 && for i in $(seq 4 10); do t zero $i || exit 1; done'
done_testing
