# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: lease-bad
# what: a device that cannot reach a lease is plugged in: the lease goes out of use, and back when its users are done
# timeout: 60

# shellcheck disable=SC2016 # what is in single quotes is for the guest
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
lib_start lease-bad

must pool_up 64 <<-'EOF'
	[pool main]
	backing=hugetlb
	size=64M
	chunk=2M
	[vm alpha]
	pool=main
EOF

# The tests' QEMU has a device that maps memory as VFIO does, and fails to if told so.
must guest_up alpha --qemu "$build/qtest/qemu-test-system-x86_64" \
	--cma 'normal=64M,clients=edu0+edu1,lease-size=2M' -- \
	-device edu,id=edu0,addr=10,dma_mask=0xffffffffffffffff \
	-device edu,id=edu1,addr=11,dma_mask=0xffffffffffffffff \
	-device vcma-fake-vfio,id=v0,attached=off
must guest alpha 'modprobe virtio_pci && modprobe virtio_cma && wait_for [ -e $(vcma_dir)/driver ] &&
	modprobe vcma_test && at 10.0 mask 64 && at 11.0 mask 64 &&
	at 10.0 alloc 0 65536 && at 11.0 alloc 0 65536 && at 10.0 fill 0 5'

# attach yes|no ERRNO: all maps fail with it
attach()
{
	guest_ctl alpha --qmp '{"execute": "qom-set", "arguments": {"path": "/machine/peripheral/v0", "property": "fail", "value": '"$2"'}}' &&
		guest_ctl alpha --qmp '{"execute": "qom-set", "arguments": {"path": "/machine/peripheral/v0", "property": "attached", "value": '"$1"'}}'
}

# leased_is MIB
leased_is()
{
	[ "$(leased_mib alpha)" = "$1" ]
}

check_eq "both clients have their buffers in one lease" "$(leased_mib alpha)" 2
must attach true 12
check "the driver knows that it is bad" guest alpha 'bad() { [ "$(vcma bad_leases)" = 1 ]; }; wait_for bad'
check "the log says which, once" guest alpha \
	'[ "$(dmesg | grep -c "a device may not reach the lease of 2048 KiB at 0x")" = 1 ]'
check "who has memory there, and what to do" guest alpha 'for a in 10 11; do
	[ "$(dmesg | grep -c "00:$a.0: has 1 DMA buffers in bad memory at .* unbind its driver")" = 1 ] || exit 1
done'
check "what they have stays as it is" guest alpha 'at 10.0 check 0 5'
must attach false 0
must attach true 0
check "but nobody gets more of it" guest alpha '
	page() { echo $(($(at $1.0 info $2 | field dma) >> 21)); }
	at 10.0 alloc 1 4096 && [ $(page 10 1) != $(page 10 0) ] && [ "$(vcma leases)" = 2 ]'
check "while one of two is done, it stays" guest alpha 'at 10.0 free 0 && sleep 0.3 && [ "$(vcma bad_leases)" = 1 ]'
check "when both are, it goes by itself" guest alpha \
	'at 11.0 free 0; gone() { [ "$(vcma leases) $(vcma bad_leases)" = "1 0" ]; }; wait_for gone'
check "and vcmad has it back" wait_until 50 leased_is 2
check "new memory may be had there" guest alpha 'at 11.0 alloc 0 4194304 && at 11.0 fill 0 1 && at 11.0 check 0 1'

# One that nobody uses
must guest alpha 'at 11.0 free 0'
check "an idle lease that is bad goes at once" guest alpha '[ "$(vcma idle_leases)" = 1 ]'
must attach false 0
must attach true 12
check "and the one in use stays" guest alpha \
	'gone() { [ "$(vcma leases) $(vcma bad_leases)" = "1 1" ]; }; wait_for gone'
check_eq "no error in the kernel's log" "$(guest alpha errors)" ''
done_testing
