# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: nvme-fs
# what: NVMe queues and PRP lists in leases, ext4, 64 MiB of direct I/O; on pcie.0 and behind root ports
# timeout: 120

# shellcheck disable=SC2016 # what is in single quotes is for the guest
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
lib_start nvme-fs

must pool_up 128 <<-'EOF'
	[pool main]
	backing=hugetlb
	size=128M
	chunk=8M
	[vm direct]
	pool=main
	limit=64M
	[vm ported]
	pool=main
	guarantee=16M/16M
	limit=64M
EOF

head -c 64M /dev/urandom >"$run/data"
wanted=$(sha256sum <"$run/data" | cut -d ' ' -f 1)

boot()
{
	local cma=pcie.0 nvme=pcie.0 ports=()

	if [ "$1" = ported ]; then
		cma=rp0 nvme=rp1
		ports=(-device 'pcie-root-port,id=rp0,chassis=1,slot=1'
			-device 'pcie-root-port,id=rp1,chassis=2,slot=2')
	fi
	make_disk "$run/$1.img" 128
	guest_up "$1" --bus "$cma" -- "${ports[@]}" \
		-drive "file=$run/$1.img,if=none,id=fs,format=raw,cache=unsafe" \
		-drive "file=$run/data,if=none,id=data,format=raw,readonly=on" \
		-device "nvme,id=nvme0,serial=1,bus=$nvme" \
		-device nvme-ns,drive=fs,bus=nvme0 -device nvme-ns,drive=data,bus=nvme0
}

attach()
{
	guest "$1" 'vcma_load strict=1 && nvme_up'
}

# The file goes in and comes out by direct I/O, with another mount in between.
transfer()
{
	guest "$1" '
		mount -t ext4 /dev/nvme0n1 /mnt &&
		dd if=/dev/nvme0n2 of=/mnt/file bs=1M iflag=direct oflag=direct status=none &&
		umount /mnt && mount -t ext4 /dev/nvme0n1 /mnt &&
		dd if=/mnt/file bs=1M iflag=direct status=none | digest; umount /mnt'
}

parallel boot direct ported
for name in direct ported; do
	must outcome "$name"
done
parallel attach direct ported
for name in direct ported; do
	must outcome "$name"
	point ok "$name: the NVMe driver starts with memory from vcma alone"
done
parallel transfer direct ported
for name in direct ported; do
	check_eq "$name: 64 MiB through ext4 and back have the same digest" "$(outcome "$name")" "$wanted"
	check_eq "$name: and are the same on the disk" \
		"$(PATH=$PATH:/usr/sbin debugfs -R 'cat file' "$run/$name.img" 2>/dev/null |
			sha256sum | cut -d ' ' -f 1)" "$wanted"
done

proof direct ported >"$run/proof"
code=$?
check_eq "every lease is contiguous in the pagemap, no page frame twice" \
	"$code $(tail -n 1 "$run/proof")" "0 $(grep 'no page frame twice' "$run/proof")"
sed 's/^/# /' "$run/proof"
for name in direct ported; do
	# The controller's own registers: admin submission and completion queue.
	for queue in $(registers "$name" $(($(guest "$name" nvme_bar) + 0x28)) 2); do
		check "$name: the admin queue at $queue is in a lease" leased "$name" "$queue"
	done
	check_eq "$name: no error in the kernel's log" "$(guest "$name" errors)" ''
done
done_testing
