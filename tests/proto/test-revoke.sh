#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test-revoke.sh - revocation on real huge pages (I2, I3, I4), and that this test
# fails when revocation is done wrong

set -u
# shellcheck source=tests/proto/lib.sh
. "$(dirname "$0")/lib.sh"

if [ "$(id -u)" -ne 0 ]; then
	echo '1..0 # SKIP needs root, to see page frame numbers'
	exit 0
fi
if ! hugepages_add 256M; then
	echo "1..0 # SKIP $(tail -n 1 "$dir/hugepages-log")"
	exit 0
fi

# alpha keeps descriptors and mapping of what it gives back, and has sent copies
# to a third process; all touch it in a loop.  beta gets the same pages.  Prints
# what they then reach.
keep_and_hand_on() {
	local answer pfn_alpha pfn_beta
	peer_start alpha
	answer=$(tell alpha lease a 64M)
	pfn_alpha=$(tell alpha pfn a)
	tell alpha fill a 0x5a >/dev/null
	tell alpha haunt a >/dev/null
	sleep 0.2
	echo "before $(tell alpha haunted)"
	tell alpha keep a >/dev/null
	peer_start beta
	answer=$(tell beta lease b 64M 3000)
	pfn_beta=$(tell beta pfn b)
	echo "lease ${answer%% *}"
	[ "$pfn_alpha" = "$pfn_beta" ] && echo "same-page" || echo "pages $pfn_alpha $pfn_beta"
	tell alpha haunted >/dev/null
	echo "beta-sees $(tell beta check b 0)"
	tell beta fill b 0x33 >/dev/null
	sleep 0.5
	echo "read $(tell alpha peek a 0x5a)"
	echo "write $(tell alpha poke a 0x77)"
	echo "map $(tell alpha remap a)"
	echo "beta-keeps $(tell beta check b 0x33)"
	echo "haunted $(tell alpha haunted)"
	peer_kill beta
	peer_kill alpha
}

# One chunk of 64M, so that both must get the same pages.
start_vcmad --backing hugetlb --pool 64M --chunk 64M --vm alpha --vm beta || {
	if grep -q 'whole chunks' "$dir/log"; then
		echo "1..0 # SKIP no 64M of consecutive huge pages on this machine"
		exit 0
	fi
	bail "vcmad"
}
log_has 'the pool is one extent' 'pool main: 64M of hugetlb: 32 granules of 2M in 1 extent, the longest 64M'
for attempt in 1 2 3; do
	good=$(keep_and_hand_on)
	# Another user of huge pages may have been faster.
	[[ $good == *lease\ refused* ]] || break
	echo "# attempt $attempt: $(tail -n 1 "$dir/log")"
	sleep 5
done
is 'beta gets a lease' "$good" '*lease ok*'
is 'of the very same pages' "$good" '*same-page*'
is 'all zero' "$good" '*beta-sees ok*'
is 'what alpha kept faults on reading' "$good" '*read ok fault*'
is 'and on writing' "$good" '*write ok fault*'
is 'and cannot be mapped anew' "$good" '*map ok refused*'
is 'no byte of beta changed' "$good" '*beta-keeps ok*'
# TRIED REACHED of alpha's thread, and of the process that was sent the descriptors
busy='[1-9][0-9][0-9]*'
is 'both touched it in a loop while it was alpha'\''s' "$good" "*before ok $busy $busy $busy $busy*"
is 'they went on and reached nothing any more' "$good" "*haunted ok $busy 0 $busy 0*"

# A VM that obstructs pays for it, and nobody sees its memory.
peer_start alpha
is 'alpha forbids to revoke' "$(tell alpha lease o 64M)$(tell alpha fill o 0x5a)$(tell alpha obstruct o)" 'ok*okok'
is 'and gives back' "$(tell alpha keep o)" ok
log_has 'it is charged' 'is quarantined, charged to alpha: its process forbade'
peer_start beta
is 'beta cannot have these pages' "$(tell beta lease b 64M 300)" 'refused *'
peer_kill alpha
is 'once alpha is gone it can' "$(tell beta lease b 64M 20000)" 'ok * 32'
is 'and they are zero' "$(tell beta check b 0)" ok
is 'nothing is quarantined any more' "$("$build/vcmactl" --run-dir "$dir/run" pools --json)" '*"quarantined": 0,*'
is 'beta gives them back' "$(tell beta release b)" ok
peer_stop beta
stop_vcmad
is 'a clean end' "$vcmad_code" 0

# The same with revocation done wrong: the test above has to notice.
vcmad=$build/tests/vcmad-faults
if start_vcmad --test-fault punch --backing hugetlb --pool 64M --chunk 64M --vm alpha --vm beta; then
	bad=$(keep_and_hand_on)
	is 'a punched file that is used again lets alpha read what beta wrote' "$bad" '*read bad 0x33*'
	is 'and overwrite it' "$bad" '*beta-keeps bad 0x77*'
	is 'and the third process, too' "$bad" "*haunted ok $busy $busy $busy $busy*"
	stop_vcmad
else
	skip 'revocation by punching' 'no 64M of consecutive huge pages this time'
	skip 'it can overwrite' 'likewise'
	skip 'and the third process, too' 'likewise'
fi
if start_vcmad --test-fault no-truncate --backing hugetlb --pool 64M --chunk 64M --vm alpha --vm beta; then
	bad=$(keep_and_hand_on)
	is 'pages that are not taken away are missing, not given twice' "$bad" '*lease refused*'
	stop_vcmad
else
	skip 'revocation by closing' 'no 64M of consecutive huge pages this time'
fi
finish
