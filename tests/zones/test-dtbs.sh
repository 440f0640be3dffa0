#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test-dtbs - vcmactl zones on the device trees of QEMU's virt machine and on
# all that Debian's kernels for ARM ship; prints TAP
#
# What is expected are facts about machines, not texts, so that a new kernel package
# changes nothing.  The packages come to the cache through tests/vm/guest-cache.

# shellcheck disable=SC2016,SC2317 # commands for check()
set -u
cd "${VCMA_SRC:-$(dirname -- "$0")/../..}" || exit 1
# shellcheck source=tests/zones/lib.sh
. tests/zones/lib.sh

# The first words of each line that begins with a letter of a class, and the
# sentence about the DMA zone: "A 32 0x00000000-0xbfffffff the same".
facts() {	# option...
	"$vcmactl" zones "$@" >"$work/out" 2>&1 || { cat "$work/out"; return 1; }
	sed -n '/^REACH  *BITS/,/^24 bits/p' "$work/out" | awk '
		/^[A-Z]  / { print $2, $3, $4 == "the" ? "the same" : $4 }
		/^   / && /0x/ { print "-", $1, $2 == "the" ? "the same" : $2 }'
	sed -n 's/^The lowest limit of all dma-ranges is \([^,]*\), .*= \(.*\)\.$/limit \1: \2/p' "$work/out"
}

# --- QEMU's virt

qemu=$build/qemu-system-aarch64
virt() {	# name, CPU
	"$qemu" -machine "virt,dumpdtb=$work/$1.dtb" -cpu "$2" -m 2G -display none >"$work/log" 2>&1
}
if [ ! -x "$qemu" ]; then
	skip "virt" "no qemu-system-aarch64 (make qemu)"
else
	check "virt, arm64: its tree" 'virt arm64 cortex-a57'
	check "virt, arm64" '"$vcmactl" zones --dtb "$work/arm64.dtb" >"$work/out" &&
		grep -q "^linux,dummy-virt: arm64" "$work/out" &&
		grep -q "^0x40000000  0xbfffffff    2G .* DMA " "$work/out" &&
		grep -q "^/pcie@10000000  *A  *1 .* all PCI devices" "$work/out" &&
		grep -q "^-device virtio-cma-pci,broker=b0,normal=4G,dma32=256M$" "$work/out"'
	check "virt, armhf: its tree" 'virt armhf cortex-a15'
	check "virt, armhf: as its kernel says, \"Zone ranges\"" \
		'"$vcmactl" zones --dtb "$work/armhf.dtb" >"$work/out" &&
		grep -q "^linux,dummy-virt: arm," "$work/out" &&
		grep -q "^0x40000000  0x6fffffff .* DMA " "$work/out" &&
		grep -q "^0x70000000  0xbfffffff .* HighMem " "$work/out"'
fi

# --- what is advised is what QEMU takes, without a guest and a vcmad

takes() {	# QEMU, memory, machine options in one word, vcmactl zones' option...
	local option log

	option=$("$vcmactl" zones "${@:4}" | grep '^-device ') || return 1
	echo "$option"
	# shellcheck disable=SC2086 # lists of options
	log=$(echo quit | timeout 60 "$build/$1" -m "$2" $3 -display none -S -monitor stdio \
		-object vcma-broker,id=b0,path="$work/no-vcmad",wait=off $option 2>&1) &&
		! grep -q "property '" <<<"$log" && return
	echo "$log"
	return 1
}
for dts in pi4-like cells two-banks; do
	dtc -q -I dts -O dtb -o "$work/$dts.dtb" "tests/zones/$dts.dts" 2>"$work/err"
done
if [ ! -x "$build/qemu-system-x86_64" ] || [ ! -x "$qemu" ]; then
	skip "QEMU takes the option" "no QEMU with the device in it (make qemu)"
elif [ ! -e "$work/two-banks.dtb" ]; then
	skip "QEMU takes the option" "dtc is missing (Debian package device-tree-compiler)"
else
	check "q35 takes the option" \
		'takes qemu-system-x86_64 2G "-machine q35" --e820 tests/zones/q35-2g-log.txt'
	check "pc takes the option, for 30 bits" \
		'takes qemu-system-x86_64 2G "-machine pc" --e820 tests/zones/q35-2g-log.txt --device x:bits=30'
	check "q35 takes the option, 8 GiB" \
		'takes qemu-system-x86_64 8G "-machine q35" --iomem tests/zones/q35-8g-iomem.txt'
	check "virt takes the option: a high bus" \
		'takes qemu-system-aarch64 2304M "-machine virt -cpu cortex-a57" --dtb "$work/pi4-like.dtb"'
	check "and needs the memory that is said to be needed" \
		'! takes qemu-system-aarch64 2048M "-machine virt -cpu cortex-a57" --dtb "$work/pi4-like.dtb"'
	check "virt takes the option: PCI buses" \
		'takes qemu-system-aarch64 1280M "-machine virt -cpu cortex-a57" --dtb "$work/cells.dtb"'
	check "q35 takes no window where no memory is" \
		'! takes qemu-system-x86_64 1G "-machine q35" --e820 tests/zones/q35-2g-log.txt'
fi

# --- Debian's trees

# machine | architecture of the package | facts, one a line
machines() {
	cat <<-'END'
	broadcom/bcm2711-rpi-4-b|arm64|32 0x00000000-0xbfffffff the same;32 0xc0000000-0xffffffff 0x00000000-0x3fffffff;64 all the same;limit 0x3fffffff: 30 bits
	broadcom/bcm2837-rpi-3-b|arm64|32 0xc0000000-0xfeffffff 0x00000000-0x3effffff;limit 0x3effffff: 30 bits
	allwinner/sun50i-a64-pine64|arm64|32 0x00000000-0xbfffffff 0x40000000-0xffffffff;64 all the same;limit 0xffffffff: 32 bits
	arm/juno-r1|arm64|36 0x80000000-0xffffffff the same;- 0x800000000-0x9ffffffff the same;64 all the same;limit 0x9ffffffff: 32 bits
	apm/apm-mustang|arm64|40 0x00000000-0x807fffffff the same;42 0x00000000-0x3ffffffffff the same;64 all the same;limit 0x807fffffff: 32 bits
	freescale/fsl-ls2088a-rdb|arm64|40 0x00000000-0xffffffffff the same;48 0x00000000-0xffffffffffff the same;64 all the same;limit 0xffffffffff: 32 bits
	freescale/imx8mq-evk|arm64|32 0x40000000-0xffffffff the same;64 all the same;limit 0xffffffff: 32 bits
	hisilicon/hi3798cv200-poplar|arm64|30 0x00000000-0x3fffffff the same;limit 0x3fffffff: 30 bits
	marvell/ac5-98dx35xx-rd|arm64|32 0x00000000-0xffffffff 0x200000000-0x2ffffffff;64 all the same;limit 0x2ffffffff: 32 bits
	renesas/r8a774a1-hihope-rzg2m-ex|arm64|32 0x40000000-0xbfffffff the same;64 all the same;limit 0xbfffffff: 32 bits
	qcom/sm8150-hdk|arm64|36 0x00000000-0xfffffffff the same;limit 0xfffffffff: 32 bits
	bcm2836-rpi-2-b|armhf|32 0xc0000000-0xfeffffff 0x00000000-0x3effffff
	dra7-evm|armhf|32 0x80000000-0xffffffff the same;64 all the same
	stm32mp157c-dk2|armhf|30 0x00000000-0x0000ffff 0x38000000-0x3800ffff;- 0x10000000-0x1005ffff the same;- 0x30000000-0x3005ffff the same;64 all the same
	sun8i-r40-bananapi-m2-ultra|armhf|31 0x00000000-0x7fffffff 0x40000000-0xbfffffff;64 all the same
	END
}

declare -A trees
for arch in arm64 armhf; do
	dir=$(tests/vm/guest-cache kernel --arch $arch 2>"$work/err") || {
		skip "Debian's trees, $arch" "$(tail -n 1 "$work/err")"
		continue
	}
	trees[$arch]=$(echo "$dir"/lib/linux-image-*)
done

while IFS='|' read -r machine arch expected; do
	[ -n "${trees[$arch]-}" ] || continue
	facts --dtb "${trees[$arch]}/$machine.dtb" >"$work/got"
	tr ';' '\n' <<<"$expected" >"$work/want"
	same "$arch: ${machine##*/}" "$work/want" "$work/got"
done < <(machines)

pi=${trees[arm64]-}/broadcom/bcm2711-rpi-4-b.dtb
if [ -e "$pi" ]; then
	check "a Raspberry Pi 4's memory is its firmware's to fill in" \
		'"$vcmactl" zones --dtb "$pi" | grep -q "^No memory is told of: firmware fills it in"'
	check "with it, the DMA zone is the first GiB" \
		'"$vcmactl" zones --dtb "$pi" --memory 0+948M --memory 1G+3008M --memory 4G+4G |
			grep -q "^DMA, DMA32 (Debian.s)  *948M  *3008M  *4G$"'
fi

# Every tree is read; of a few the processor does not tell the architecture.
for arch in "${!trees[@]}"; do
	total=0
	: >"$work/failed"
	while IFS= read -r dtb; do
		total=$((total + 1))
		timeout 10 "$vcmactl" zones --dtb "$dtb" >"$work/out" 2>&1 ||
			timeout 10 "$vcmactl" zones --dtb "$dtb" --arch arm >"$work/out" 2>&1 ||
			{ echo "$dtb"; tail -n 3 "$work/out"; } >>"$work/failed"
	done < <(find "${trees[$arch]}" -name '*.dtb')
	check "$arch: each of $total trees is read" '[ ! -s "$work/failed" ] && [ $total -gt 100 ] || ! cat "$work/failed"'
done

finish
