# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: lifecycle
# what: a second driver instance, a machine reset, a killed VM: leases come back each time
# timeout: 120

# shellcheck disable=SC2016 # what is in single quotes is for the guest
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
lib_start lifecycle

must pool_up 128 <<-'EOF'
	[pool main]
	backing=hugetlb
	size=128M
	chunk=8M
	[vm alpha]
	pool=main
	limit=96M
	[vm beta]
	pool=main
EOF
# A second device, behind the first: the driver serves one.
must guest_up alpha --reboot -- -device edu,addr=10 \
	-object "vcma-broker,id=b1,path=$run/beta.sock" \
	-device virtio-cma-pci,broker=b1,normal=64M,addr=12

load='vcma_load && modprobe vcma_test && t mask 64'

must guest alpha "$load"
check "a buffer of 64 MiB" guest alpha 't alloc 0 67108864'
check_eq "which vcmad knows of" "$(leased_mib alpha)" 64

check "a second device is refused, with cause and cure" guest alpha \
	'dmesg | grep "a guest has one virtio-cma device, and .* is it: give that one more windows"'

# --- a second driver instance

# The buffer is in use while the driver goes, so its lease is not given back.
bind='d=$(vcma_dir); cd /sys/bus/virtio/drivers/virtio_cma; echo ${d##*/}'
check "the driver leaves while a buffer is in use" guest alpha "$bind >unbind"
check "the buffer stays usable" guest alpha 't fill 0 3 && t check 0 3'
check "another instance has to wait for it" guest alpha "! ($bind >bind) 2>/dev/null"
check "and says why" guest alpha 'dmesg | grep "clients still use memory that they had from this device"'
check_eq "the lease is held meanwhile" "$(leased_mib alpha)" 64
check "the buffer is freed, and another instance starts" guest alpha \
	't freeall; '"$bind >bind"' && wait_for [ -e $d/driver ]'
check "the leases of the first one are gone" wait_until 100 leases_gone alpha
check "the second instance gets 64 MiB" guest alpha 't alloc 1 67108864 && t zero 1'
check_eq "and vcmad knows of these only" "$(leased_mib alpha)" 64
check "contiguous in the pagemap" proof alpha

# --- a machine reset

check "the machine is reset" guest_ctl alpha --reset
check "all leases came back" wait_until 50 leases_gone alpha
check "after the reset there are 64 MiB again" guest alpha "$load && t alloc 0 67108864 && t zero 0"

# --- a reboot by the guest

boots=$(grep -c 'vcma-guest: ready' "$run/alpha.ctl.console")
booted()
{
	[ "$(grep -c 'vcma-guest: ready' "$run/alpha.ctl.console")" -gt "$boots" ]
}
guest_timeout=5 guest alpha 'sleep 1 && reboot -f & sleep 0.1' >/dev/null 2>&1
check "the guest reboots" wait_until 300 booted
check "all leases came back" wait_until 50 leases_gone alpha
check "after the reboot there are 64 MiB again" guest alpha "$load && t alloc 0 67108864 && t fill 0 5"

# --- a killed VM

clean=$(clean_mib)
guest_kill alpha
check "a killed VM holds nothing" wait_until 100 leases_gone alpha
check_eq "all its granules are clean again" "$(clean_mib)" $((clean + 64))
check_eq "that is the whole pool" "$(clean_mib)" 128

# --- vcmad ends

vcmad_stop
check "vcmad leaves no socket behind" test ! -e "$run/alpha.sock" -a ! -e "$run/vcmad.sock"
check "and says that it stopped" grep -q 'stopped' "$logs/vcmad.log"
done_testing
