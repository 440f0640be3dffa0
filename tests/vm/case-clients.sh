# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: clients
# what: clients that the host names, behind ports and after hotplug, through rebind, reset, reboot, kexec, sleep; a client that is needed to boot
# timeout: 150

# shellcheck disable=SC2016 # what is in single quotes is for the guest
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
lib_start clients

must pool_up 128 <<-'EOF'
	[pool main]
	backing=hugetlb
	size=96M
	chunk=2M
	[pool bank]
	backing=hugetlb
	size=32M
	chunk=2M
	[vm alpha]
	pool=main
	[bank alpha 1]
	pool=bank
EOF

# For a kernel that starts another one: that one's image.
kernel=$("$vm/guest-cache" kernel)/vmlinuz

# A kernel that QEMU puts into memory itself does not survive its sleep: at wake-up
# QEMU puts it there anew.  So the guest starts by bzImage.
# Slot 10 is in the table with a dead address line, 11 with a bank, 12 is not there.
make_disk "$run/fs.img" 64
truncate -s 16M "$run/late.img"
must guest_up alpha --reboot --boot bzimage --mem 768 --append no_console_suspend --bus rp0 \
	--package kmod --package kexec-tools --file "$kernel:/root/vmlinuz" \
	--file "$src/guest-driver/initramfs/virtio_cma.conf:/etc/modprobe.d/virtio_cma.conf" \
	--cma 'normal=128M+64M:bank=1,clients=edu0:forbid=0x200000+edu1:bank=1+disk+late:hotplug' -- \
	-device 'pcie-root-port,id=rp0,chassis=1,slot=1' \
	-device 'pcie-root-port,id=rp1,chassis=2,slot=2' \
	-device 'pcie-root-port,id=rp2,chassis=3,slot=3' \
	-device edu,id=edu0,addr=10,dma_mask=0xffffffffffffffff \
	-device edu,id=edu1,addr=11,dma_mask=0xffffffffffffffff \
	-device edu,id=edu2,addr=12 \
	-drive "file=$run/fs.img,if=none,id=fs,format=raw,cache=unsafe" \
	-device nvme,id=disk,serial=1,bus=rp1,drive=fs \
	-drive "file=$run/late.img,if=none,id=late,format=raw,cache=unsafe"

# What a client line of the driver has for KEY: of ADDRESS
client='client() { vcma clients | sed -n "s/^0000:$1 //p" | field "$2"; }'
load='modprobe virtio_pci && modprobe virtio_cma && wait_for [ -e $(vcma_dir)/driver ] && modprobe vcma_test'

# kmod's modprobe knows of soft dependencies; busybox's does not.
check "whoever loads the disk's driver loads virtio_cma before it" guest alpha "$client"'
	ln -s /bin/kmod /run/modprobe && /run/modprobe nvme && modprobe ext4 &&
		wait_for [ -b /dev/nvme0n1 ] && [ "$(client 02:00.0 ranges)" -gt 0 ] &&
		[ "$(client 02:00.0 fallbacks)" = 0 ]'
check "without being told, the guest knows its clients" guest alpha 'modprobe vcma_test
	[ "$(vcma client_table | tr "\n" ,)" = \
		"0000:00:10.0 forbid=0x200000,0000:00:11.0 bank=1,0000:02:00.0," ] &&
		[ "$(vcma clients | cut -d " " -f 1 | sort | tr "\n" ,)" = 0000:00:10.0,0000:00:11.0,0000:02:00.0, ]'
check "forbidden bits are kept, by edu's own word" guest alpha 'at 10.0 mask 64 &&
	for slot in 0 1 2 3; do
		at 10.0 alloc $slot 1048576 && dma=$(at 10.0 info $slot | field dma) &&
			[ $((dma >> 21 & 1)) = 0 ] || exit 1
	done && at 10.0 copy 0 3'
check "the bank is: its window, its pool" guest alpha 'at 11.0 mask 64 && at 11.0 alloc 0 1048576 &&
	at 11.0 alloc 1 65536 && at 11.0 copy 0 1 && [ $(vcma window2/leases) = 1 ]'
check_eq "which vcmad counts by itself" "$(vcmactl leases | grep -c ' bank ')" 1
check "who is not in the table is not served" guest alpha \
	'at 12.0 alloc 0 4096 && [ -z "$(vcma clients | grep 00:12.0)" ]'

# --- hotplug

plug='{"execute": "device_add", "arguments": {"driver": "nvme", "id": "late", "serial": "2", "bus": "rp2", "drive": "late"}}'
pull='{"execute": "device_del", "arguments": {"id": "late"}}'

must guest_ctl alpha --qmp "$plug"
check "a client that is plugged in is served from its first buffer on" guest alpha "$client"'
	wait_for [ -b /dev/nvme1n1 ] && [ "$(client 03:00.0 ranges)" -gt 0 ] &&
		[ "$(client 03:00.0 fallbacks)" = 0 ] && vcma client_table | grep 0000:03:00.0'
check "it works" guest alpha 'head -c 4194304 /dev/urandom >/tmp/data &&
	dd if=/tmp/data of=/dev/nvme1n1 bs=1M oflag=direct status=none &&
	[ "$(dd if=/dev/nvme1n1 bs=1M count=4 iflag=direct status=none | digest)" = "$(digest </tmp/data)" ]'
must guest alpha 'at 10.0 freeall; at 11.0 freeall'
must guest_ctl alpha --qmp "$pull"
check "pulled out, it is no client any more" guest alpha '
	gone() { [ ! -e /sys/bus/pci/devices/0000:03:00.0 ] && ! vcma clients | grep 03:00.0; }
	wait_for gone
	dropped() { ! vcma client_table | grep 03:00.0 && [ "$(vcma idle_leases)" = 0 ]; }
	wait_for dropped'
check_eq "and nothing is left but what the first disk uses" "$(leased_mib alpha)" \
	"$(($(guest alpha 'vcma window1/lease_bytes') >> 20))"

# --- unbind, rebind, function level reset

check "five times unbound and bound again, it uses no more than before" guest alpha "$client"'
	ranges=$(client 02:00.0 ranges) leases=$(vcma leases) i=5
	cd /sys/bus/pci/drivers/nvme
	while [ $i -gt 0 ]; do
		i=$((i - 1))
		echo 0000:02:00.0 >unbind && [ -z "$(vcma clients | grep 02:00.0)" ] &&
			[ "$(vcma idle_leases)" = "$(vcma leases)" ] &&
			echo 0000:02:00.0 >bind && wait_for [ -b /dev/nvme0n1 ] || exit 1
	done
	[ "$(client 02:00.0 ranges) $(vcma leases)" = "$ranges $leases" ]'
# admin_queues: where the first disk has them, by its own registers
admin_queues()
{
	registers alpha $(($(guest alpha 'cut -d " " -f 1 /sys/bus/pci/devices/0000:02:00.0/resource | head -n 1') + 0x28)) 2
}

before=$(admin_queues)
check "a function level reset leaves its leases alone" guest alpha '
	echo flr >/sys/bus/pci/devices/0000:02:00.0/reset_method && leases=$(vcma leases) &&
		echo 1 >/sys/bus/pci/devices/0000:02:00.0/reset &&
		dd if=/tmp/data of=/dev/nvme0n1 bs=1M oflag=direct status=none &&
		[ "$(dd if=/dev/nvme0n1 bs=1M count=4 iflag=direct status=none | digest)" = "$(digest </tmp/data)" ] &&
		[ "$(vcma leases)" = "$leases" ]'
check_eq "its queues are where they were" "$(admin_queues)" "$before"

# --- suspend to RAM

check "with leases in use the guest does not sleep, and says why" guest alpha '
	! echo mem >/sys/power/state && dmesg | grep "cannot sleep: .* leases are in use"'
check "and goes on" guest alpha '[ "$(digest </tmp/data)" = \
	"$(dd if=/dev/nvme0n1 bs=1M count=4 iflag=direct status=none | digest)" ]'
must guest alpha 'rmmod vcma_test nvme; (sleep 1; echo mem >/sys/power/state; echo slept >/run/slept) >/dev/null 2>&1 &'
asleep()
{
	guest_ctl alpha --qmp '{"execute": "query-status"}' | grep -q '"suspended"'
}
check "without them it sleeps" wait_until 100 asleep
check_eq "and holds nothing" "$(leased_mib alpha)" 0
must guest_ctl alpha --qmp '{"execute": "system_wakeup"}'
check "it wakes up, and clients are served again" guest alpha "$client"'
	wait_for [ -e /run/slept ] && modprobe vcma_test && nvme_up && at 10.0 mask 64 &&
		at 10.0 alloc 0 1048576 && at 10.0 alloc 1 65536 && at 10.0 copy 0 1 &&
		[ "$(client 02:00.0 fallbacks)" = 0 ] && at 11.0 mask 64 && at 11.0 alloc 0 1048576'
check_eq "no error in the kernel's log" "$(guest alpha errors)" ''

# --- another kernel

# booted: it has, once more
boots=$(grep -c 'vcma-guest: ready' "$run/alpha.ctl.console")
booted()
{
	[ "$(grep -c 'vcma-guest: ready' "$run/alpha.ctl.console")" -gt "$boots" ]
}

# lease_ids: of alpha
lease_ids()
{
	vcmactl leases | awk '$2 == "alpha" { print $1 }' | sort -n | paste -s -d ' '
}

# from_scratch: a new driver, and none of the leases $before
from_scratch()
{
	local id ids

	guest alpha "$load"' && nvme_up && [ "$(vcma clients | wc -l)" = 3 ] &&
		at 10.0 mask 64 && at 10.0 alloc 0 1048576 && at 10.0 zero 0 && at 10.0 alloc 1 65536 && at 10.0 copy 0 1' || return
	wait_until 50 vcmactl wait-idle || return
	ids=" $(lease_ids) "
	echo "leases before: $before; now:$ids"
	for id in $before; do
		[ "${ids/ $id /}" = "$ids" ] || return
	done
	[ "$(leased_mib alpha)" = "$(($(guest alpha 'vcma window1/lease_bytes') >> 20))" ]
}

before=$(lease_ids)
must guest alpha 'find / -xdev | grep -v -e ^/root/vmlinuz -e ^/run/ -e ^/tmp/ |
	cpio -o -H newc >/tmp/initrd 2>/dev/null &&
	kexec -s -l /root/vmlinuz --initrd=/tmp/initrd --reuse-cmdline'
guest_timeout=5 guest alpha 'at 10.0 fill 0 9; (sleep 1; kexec -e) >/dev/null 2>&1 &' >/dev/null 2>&1
check "the guest starts another kernel (kexec)" wait_until 300 booted
check_eq "that knows nothing of its leases, so they stay" "$(lease_ids)" "$before"
check "until its driver starts: then they are gone, and it gets its own" from_scratch

before=$(lease_ids)
boots=$((boots + 1))
guest_timeout=5 guest alpha '(sleep 1; reboot -f) >/dev/null 2>&1 &' >/dev/null 2>&1
check "the guest reboots" wait_until 300 booted
check "and has none of its leases" wait_until 50 leases_gone alpha
check "and gets new ones" from_scratch
check_eq "no error in the kernel's log, either" "$(guest alpha errors)" ''
done_testing
