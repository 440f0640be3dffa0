# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: big-buffer
# what: 64 MiB coherent buffers, zones and masks, fallback and strict, unloading, leaks
# timeout: 150

# shellcheck disable=SC2016 # what is in single quotes is for the guest
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
lib_start big-buffer

must pool_up 256 <<-'EOF'
	[pool main]
	backing=hugetlb
	size=256M
	chunk=16M
	[vm alpha]
	pool=main
	limit=192M
EOF
must guest_up alpha -- -device edu,addr=10,dma_mask=0xffffffffffffffff

# t TEXT COMMAND: vcma_test.ko does it
t()
{
	check "$1" guest alpha "t $2"
}

# refused TEXT COMMAND: it does not
refused()
{
	check "$1" guest alpha "! t $2"
}

# between TEXT VALUE LOW HIGH
between()
{
	check "$1 ($2)" test "$(($2))" -ge "$(($3))" -a "$(($2))" -le "$(($4))"
}

# --- without vcma

must guest alpha 'modprobe vcma_test && t mask 64'
refused "the kernel's own allocator has no 64 MiB" 'alloc 0 67108864'
check "and with vcma it has" guest alpha \
	'rmmod vcma_test && vcma_load && modprobe vcma_test && t mask 64 && t alloc 0 67108864'

# --- zones and masks

normal_base=$(guest alpha 'vcma window1/base')
dma32_base=$(guest alpha 'vcma window2/base')
dma=$(guest alpha 't info 0' | sed -n 's/.*dma=\([^ ]*\).*/\1/p')
between "a mask of 64 bits: in the NORMAL window" "$dma" "$normal_base" "$((normal_base + (1 << 30) - 1))"
between "which is above 4 GiB" "$normal_base" 0x100000000 0xffffffffffff
t "it is zero" 'zero 0'
t "it keeps a pattern" 'fill 0 7'
t "byte by byte" 'check 0 7'

proof alpha >"$run/proof"
check "its pages are consecutive in the pagemap" grep 'all contiguous, no page frame twice' "$run/proof"
check "its address is in a lease" leased alpha "$dma"
check "that lease has 64 MiB" grep -E '^alpha .* 64 MiB  yes' "$run/proof"

t "a mask of 32 bits: works as well" 'alloc 1 16777216 32'
dma=$(guest alpha 't info 1' | sed -n 's/.*dma=\([^ ]*\).*/\1/p')
between "in the DMA32 window" "$dma" "$dma32_base" "$((dma32_base + (128 << 20) - 1))"
between "below 4 GiB" "$((dma + 16777215))" 0 0xffffffff
t "the device itself copies from one window to the other" 'copy 0 1'
guest alpha 't free 1' >/dev/null
t "NORMAL comes first, even with room in DMA32" 'alloc 1 16777216 64'
dma=$(guest alpha 't info 1' | sed -n 's/.*dma=\([^ ]*\).*/\1/p')
between "as its address shows" "$dma" "$normal_base" "$((normal_base + (1 << 30) - 1))"

# --- a lease that is used again

plugs=$(guest alpha 'vcma plugs')
t "a buffer with a pattern is freed, and taken again" 'fill 1 9 && t free 1 && t alloc 1 16777216 64'
t "it is zero" 'zero 1'
check_eq "in a lease that was there" "$(guest alpha 'vcma plugs')" "$plugs"

# --- fallback, strict

fallbacks=$(guest alpha 'vcma fallbacks')
t "a mask of 24 bits: the kernel's allocator serves it" 'alloc 2 4096 24'
check_eq "which is counted" "$(guest alpha 'vcma fallbacks')" $((fallbacks + 1))
guest alpha 't free 2; echo 1 >/sys/module/virtio_cma/parameters/strict' >/dev/null
refused "strict: it is refused" 'alloc 2 4096 24'
guest alpha 'echo 0 >/sys/module/virtio_cma/parameters/strict'
refused "beyond the VM's limit there is nothing" 'alloc 3 134217728 64'
check "and the guest knows why" guest alpha 'vcma last_refusal | grep "over limit"'

# --- unloading

check "unloading is refused while a client is bound" guest alpha '! rmmod virtio_cma'
t "and the buffer is untouched by that" 'check 0 7'
guest alpha 't freeall' >/dev/null

# --- leaks

# counts: what must be the same before and after
counts()
{
	local qemu

	guest alpha 'echo 1 >$(vcma_dir)/release_idle'
	wait_until 100 leases_gone alpha
	qemu=$(guest_ctl alpha --pid)
	printf 'qemu: %s descriptors, %s granules mapped, %s files mapped; vcmad: %s descriptors, %s mappings, %s huge pages\n' \
		"$(find "/proc/$qemu/fd" -mindepth 1 | wc -l)" \
		"$(grep -c memfd:vcma "/proc/$qemu/maps")" \
		"$(awk '$6 ~ /^\//' "/proc/$qemu/maps" | wc -l)" \
		"$(find "/proc/$vcmad_pid/fd" -mindepth 1 | wc -l)" "$(wc -l <"/proc/$vcmad_pid/maps")" \
		"$(find "/proc/$vcmad_pid/fd" -lname '/memfd:vcma*' -exec stat -L -c %b {} + |
			awk '{ blocks += $1 } END { print blocks / 4096 }')"
	vcmactl pools --json | grep -v -e scrubbed -e reclaimed -e refused
}

rounds()
{
	guest_timeout=90 guest alpha "
		for i in \$(seq $1); do
			t mask 64 && t many 0 4 4194304 && t alloc 5 2097152 32 && t freeall &&
				echo 1 >\$(vcma_dir)/release_idle || exit 1
		done" | tail -n 3
	return "${PIPESTATUS[0]}"
}

check "warming up" rounds 3
before=$(counts)
check "100 rounds of taking and giving back" rounds 100
check_eq "leave nothing behind" "$(counts)" "$before"
check "unloading works when nobody uses it" guest alpha 'rmmod vcma_test && rmmod virtio_cma'
check_eq "no error in the kernel's log" "$(guest alpha errors)" ''
done_testing
