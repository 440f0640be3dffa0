# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: viommu
# what: clients behind an IOMMU in the guest, strict and lazy: DMA works, and nothing that goes back to the host is mapped
# timeout: 90

# shellcheck disable=SC2016 # what is in single quotes is for the guest
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
lib_start viommu

must pool_up 128 <<-'EOF'
	[pool main]
	backing=hugetlb
	size=128M
	chunk=2M
	[vm strict]
	pool=main
	limit=64M
	[vm lazy]
	pool=main
	limit=64M
EOF

# With caching mode, which passthrough needs, the kernel flushes strictly; else lazily.
boot()
{
	local caching=off

	[ "$1" = lazy ] || caching=on
	make_disk "$run/$1.img" 64
	guest_up "$1" --append intel_iommu=on --cma 'normal=128M,clients=edu0+disk,lease-size=2M' -- \
		-device "intel-iommu,caching-mode=$caching" \
		-trace 'vtd_inv_desc_iotlb*' -trace virtio_cma_request \
		-device edu,id=edu0,addr=10,dma_mask=0xffffffffffffffff \
		-drive "file=$run/$1.img,if=none,id=fs,format=raw,cache=unsafe" \
		-device nvme,id=disk,serial=1,drive=fs
}

attach()
{
	guest "$1" 'modprobe virtio_pci && modprobe virtio_cma strict=1 && wait_for [ -e $(vcma_dir)/driver ] &&
		modprobe vcma_test && nvme_up'
}

rounds=30

# give_back NAME LEFT: leases, as soon as they are idle; LEFT stay
give_back()
{
	guest "$1" '
		while [ ! -e /run/enough ]; do echo 1 >$(vcma_dir)/release_idle; done &
		i='$rounds'
		while [ $i -gt 0 ]; do
			i=$((i - 1))
			t alloc 9 2097152 >/dev/null && t free 9 >/dev/null || exit 1
			is_idle() { [ "$(vcma leases)" = '"$2"' ]; }
			wait_for is_idle || exit 1
		done
		touch /run/enough'
}

# flushed_first NAME LINE: from that line of the trace on, whatever was freed is out of the IOTLB when it is unplugged
flushed_first()
{
	sed -n "$2,\$p" "$logs/$1/qemu.log" | awk '
		/virtio_cma_request type 1,/ { flushed = 0; plugged = 1 }
		/vtd_inv_desc_iotlb/ { flushed = 1 }
		/virtio_cma_request type 2,/ && plugged {
			n++; bad += !flushed; plugged = 0
		}
		END { print n " leases given back, " bad + 0 " of them before the IOTLB was flushed"
			exit !(n == '"$rounds"' && !bad) }'
}

parallel boot strict lazy
for name in strict lazy; do
	must outcome "$name"
done
parallel attach strict lazy
for name in strict lazy; do
	must outcome "$name"
	type=DMA
	[ $name = strict ] || type=DMA-FQ
	check_eq "$name: so the kernel says" \
		"$(guest $name 'cat /sys/bus/pci/devices/0000:00:10.0/iommu_group/type')" $type
	check "$name: both clients are served, through the IOMMU" guest $name '
		[ "$(dmesg | grep -c "comes from vcma, as the host wants, through the IOMMU")" = 2 ]'
	check "$name: edu reaches its buffers by addresses that are not theirs" guest $name 't mask 64 &&
		t alloc 0 4194304 && t alloc 1 65536 && t copy 0 1 &&
		at=$(($(t info 0 | field dma) - $(vcma window1/base))) &&
		{ [ $at -lt 0 ] || [ $at -ge $(vcma window1/length) ]; }'
	check "$name: the disk gives back what it was given" guest $name '
		head -c 16777216 /dev/urandom >/tmp/data && mount /dev/nvme0n1 /mnt &&
		dd if=/tmp/data of=/mnt/file bs=1M oflag=direct status=none && umount /mnt &&
		mount /dev/nvme0n1 /mnt &&
		[ "$(dd if=/mnt/file bs=1M iflag=direct status=none | digest)" = "$(digest </tmp/data)" ] && umount /mnt'
	must guest $name 't freeall; echo 1 >$(vcma_dir)/release_idle'
	left=$(guest $name 'vcma leases')
	line=$(($(wc -l <"$logs/$name/qemu.log") + 1))
	check "$name: leases are given back as fast as they are freed" give_back $name "$left"
	check "$name: none before the IOTLB has forgotten it" flushed_first $name $line
	flushed_first $name $line | sed "s/^/# $name: /"
	check "$name: and none is left" guest $name 'rmmod vcma_test nvme && echo 1 >$(vcma_dir)/release_idle &&
		[ "$(vcma leases) $(vcma ranges)" = "0 0" ]'
	check_eq "$name: the IOMMU has found no fault" "$(guest $name 'dmesg | grep -i "dmar.*fault"')" ''
	check_eq "$name: no error in the kernel's log" "$(guest $name errors)" ''
done
done_testing
