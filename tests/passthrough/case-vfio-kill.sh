# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: vfio-kill
# what: the inner guest's QEMU is killed in the middle of DMA: leases come back, nothing stays mapped
# timeout: 120

# shellcheck disable=SC2016 # what is in single quotes is for the guests
# shellcheck source=tests/passthrough/lib.sh
. "$(dirname "$0")/lib.sh"
pt_attach

must inner 'vcma_load strict=1 && nvme_up'
must inner '
	(while dd if=/dev/nvme0n1 bs=64k iflag=direct; do echo >>/run/rounds; done) >/dev/null 2>&1 &
	wait_for [ -e /run/rounds ]'
check "the inner guest reads its disk, with leases" test "$(leased_mib inner)" -gt 0
check "the IOMMU has maps" test "$(host 'maps | wc -l')" -gt 0
check "its QEMU is killed" inner_kill
check "its leases are gone" wait_until 50 leases_gone inner
check_eq "the IOMMU maps nothing any more" "$(host 'maps | wc -l')" 0
check_eq "the whole pool is clean, no page is pinned" "$(clean_mib)" "$(mib pool_value size)"
check_eq "no error in the host guest's log" "$(host errors)" ''
done_testing
