# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: vfio-basic
# what: NVMe, two network cards and edu with DMA memory in leases; IOMMU maps follow leases; reclaim
# timeout: 300

# shellcheck disable=SC2016 # what is in single quotes is for the guests
# shellcheck source=tests/passthrough/lib.sh
. "$(dirname "$0")/lib.sh"
pt_attach

# follows: the IOMMU maps each lease, all of it in pages of 2 MiB, and no more of the windows
follows()
{
	local first last leased=0 mapped=0 wrong size

	host lease_maps >"$run/lease-maps" || return
	sed 's/^/# lease (first PFN, bytes, bytes that the IOMMU maps, its page sizes): /' \
		"$run/lease-maps" >&3
	wrong=$(awk '$2 != $3 || NF != 4 || $4 != 2097152' "$run/lease-maps")
	[ -z "$wrong" ] || {
		echo "not mapped, or not in pages of 2 MiB: $wrong"
		return 1
	}
	while read -r _ size _; do
		leased=$((leased + size))
	done <"$run/lease-maps"
	while read -r first last; do
		mapped=$((mapped + $(host "mapped_in $first $last")))
	done <"$run/windows"
	[ "$leased" -gt 0 ] && [ "$leased" = "$mapped" ] && return
	echo "$leased bytes are leased, $mapped of the windows are mapped"
	return 1
}
exec 3>&1

check "the driver starts" inner 'vcma_load strict=1'

# --- NVMe

check "the NVMe driver starts with memory from vcma alone" inner nvme_up
must inner 'dd if=/dev/urandom of=/tmp/data bs=64k count=16 2>/dev/null; digest </tmp/data'
wanted=$(cat "$run/must")
check_eq "1 MiB through ext4 by direct I/O has the same digest" "$(inner '
	mount -t ext4 /dev/nvme0n1 /mnt && dd if=/tmp/data of=/mnt/file bs=64k oflag=direct 2>/dev/null &&
	umount /mnt && mount -t ext4 /dev/nvme0n1 /mnt &&
	dd if=/mnt/file bs=64k iflag=direct 2>/dev/null | digest; umount /mnt')" "$wanted"
check_eq "and the same one on the disk, outside of both guests" \
	"$(PATH=$PATH:/usr/sbin debugfs -R 'cat file' "$run/nvme.img" 2>/dev/null |
		sha256sum | cut -d ' ' -f 1)" "$wanted"

# --- network, edu

check "both network cards start" inner net_up
check_eq "what one card sends arrives at the other with the same digest" \
	"$(inner 'net_digest /tmp/data')" "$wanted"
must inner modprobe vcma_test
for window in 64:normal 32:dma32; do
	for edu in $pt_edu0 $pt_edu1; do
		check "edu $edu reads and writes buffers in the window ${window#*:}" inner "
			at $edu.0 mask ${window%:*} && at $edu.0 alloc 0 65536 && at $edu.0 alloc 1 65536 &&
			at $edu.0 fill 0 7 && at $edu.0 fill 1 9 && at $edu.0 copy 0 1 && at $edu.0 freeall"
	done
done

# --- where it all is

proof inner >"$run/proof"
code=$?
check_eq "every lease is contiguous in the host guest's pagemap" \
	"$code $(tail -n 1 "$run/proof")" "0 $(grep 'no page frame twice' "$run/proof")"
sed 's/^/# /' "$run/proof"
for queue in $(registers inner $(($(inner nvme_bar) + 0x28)) 2); do
	check "the NVMe admin queue at $queue is in a lease" leased inner "$queue"
done
inner windows >"$run/windows"
check "the IOMMU maps each lease, all of it in pages of 2 MiB, and nothing else in the windows" follows

# --- reclaim

must inner 't mask 64 && t alloc 0 16777216'
before=$(leased_mib inner)
check "what is in use does not come back" eval "! vcmactl reclaim inner --bytes=64M --deadline=2s"
check "it stays mapped" follows
check "and intact: edu's DMA reaches it" inner 't alloc 1 4096; t fill 0 3 && t copy 0 1 && t freeall'
check "what is idle does" vcmactl reclaim inner --bytes=16M
check "there are 16 MiB less" test "$(leased_mib inner)" -le $((before - 16))
check "the IOMMU maps the leases that are left, and nothing else in the windows" follows
check_eq "no error in the inner kernel's log" "$(inner errors)" ''
check_eq "nor in the host guest's" "$(host errors)" ''
done_testing
