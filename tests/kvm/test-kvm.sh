#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test-kvm.sh - KVM guests on leases of huge pages (I3, I4), and that this test
# fails when revocation is done wrong

set -u
# shellcheck source=tests/proto/lib.sh
. "$(dirname "$0")/../proto/lib.sh"

if ! reason=$("$build/tests/test-kvm" --probe); then
	echo "1..0 # SKIP $reason"
	exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
	echo '1..0 # SKIP needs root, to see page frame numbers'
	exit 0
fi
if ! hugepages_add 128M; then
	echo "1..0 # SKIP $(tail -n 1 "$dir/hugepages-log")"
	exit 0
fi

# One chunk, so that both VMs must get the same pages.
pool='--backing hugetlb --pool 32M --chunk 32M --vm alpha --vm beta'
guests() {
	"$build/tests/test-kvm" "$dir/run/alpha.sock" "$dir/run/beta.sock"
}

# shellcheck disable=SC2086 # words
start_vcmad $pool || {
	if grep -q 'whole chunks' "$dir/log"; then
		echo "1..0 # SKIP no 32M of consecutive huge pages on this machine"
		exit 0
	fi
	bail "vcmad"
}
guests
stop_vcmad
is 'vcmad ends well' "$vcmad_code" 0

# The same with revocation done wrong: the tests have to notice.
vcmad=$build/tests/vcmad-faults
# shellcheck disable=SC2086 # words
if start_vcmad --test-fault punch $pool; then
	guests >"$dir/punch" 2>&1
	is 'a punched file that is used again lets the guest reach what is another VM'\''s' \
		"$(cat "$dir/punch")" '*reached memory [1-9]*not ok*test_revoked_under_a_running_guest*'
	sed 's/^/# punched: /' "$dir/punch"
	stop_vcmad
else
	skip 'revocation by punching' 'no 32M of consecutive huge pages this time'
fi
finish
