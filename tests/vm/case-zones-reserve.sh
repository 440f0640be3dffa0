# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: zones-reserve
# what: ordinary requests leave low windows alone while higher ones have room, and a part of them then
# timeout: 90

# shellcheck disable=SC2016 # what is in single quotes is for the guest
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/vm/zones.sh
. "$(dirname "$0")/zones.sh"
lib_start zones-reserve

# Three windows, one above the other, whatever their zones are called.
mib=$((1 << 20))
high=$((16 * mib)) middle=$((16 * mib)) low=$((4 * mib))
must pool_up 64 <<-'END'
	[pool main]
	backing=hugetlb
	size=64M
	chunk=2M
	[vm alpha]
	pool=main
END
mapfile -t devices < <(edus 10 "$(dma_mask 64)"; edus 11 "$(dma_mask 30)"; edus 12 "$(dma_mask 24)")
must guest_up alpha --cma normal=16M,dma32=16M@256M,dma=4M@12M \
	--module "$(modules test-modules)/vcma_edu.ko" -- "${devices[@]}"
must guest alpha 'vcma_load strict=1 && edu_load &&
	e 10 set mask=64 && e 11 set mask=30 && e 12 set mask=24'

# window BASE FILE: what the driver shows of the window there
window()
{
	guest alpha "for w in \$(vcma_dir)/window*; do [ \$((\$(cat \$w/base))) != $(($1)) ] || cat \$w/$2; done"
}

# fill SLOT [WORDS]: pieces of 64 KiB; all of it into $run/fill
fill()
{
	guest alpha "e $1 fill size=65536 proofs=8 ${2-}" >"$run/fill"
}

# got: bytes of the latest
got()
{
	sed -n 's/.* bytes=\([0-9]*\).*/\1/p' "$run/fill"
}

# free: of the windows in the middle and below
free()
{
	echo "$(window 256*mib free_bytes) $(window 12*mib free_bytes)"
}

ratio=$(guest alpha 'cat /sys/module/virtio_cma/parameters/lowmem_reserve_ratio')
reserve_middle=$((high / ratio))			# of who reaches the high window, too
reserve_low=$(((high + middle) / ratio))		# likewise
reserve_low_30=$((middle / ratio))			# of who reaches the middle one

# --- an ordinary device, which reaches everything

check "64 bits: as much as the high window has" fill 10 limit=$high
check_eq "is what it gets" "$(got)" $high
check_eq "and the lower windows are untouched" "$(free)" "$middle $low"
check_eq "nobody has allocated there" "$(window 256*mib allocs) $(window 12*mib allocs)" '0 0'
check "it goes on" fill 10 limit=$((high + middle - reserve_middle))
check_eq "in the middle window, and in that one only" "$(free)" "$reserve_middle $low"
check "it goes on until nobody gives it anything" fill 10
check_eq "in the low window" "$(got)" $((low - reserve_low))
check_eq "1/$ratio of what is above was left free in each" "$(free)" "$reserve_middle $reserve_low"
check "which the counters show" test "$(window 256*mib reserve_refused)" -gt 0 -a \
	"$(window 12*mib reserve_refused)" -gt 0
check "and the kernel's log" guest alpha 'dmesg | grep "00:10.0: 64 KiB not from vcma: the rest of the windows is reserved"'

# --- who can go nowhere else

check "30 bits: what was left in the middle" fill 11
check_eq "and the low window but for what it has to leave itself" "$(got)" \
	$((reserve_middle + reserve_low - reserve_low_30))
check_eq "which is less" "$(free)" "0 $reserve_low_30"
check "24 bits: the rest" fill 12
check_eq "to the last byte" "$(got) $(free)" "$reserve_low_30 0 0"
check "where the DMA engine finds every byte" guest alpha 'e 10 empty && e 11 empty && e 12 empty'

# --- without a reserve

guest alpha 'echo 0 >/sys/module/virtio_cma/parameters/lowmem_reserve_ratio'
check "ratio 0: 64 bits get everything" fill 10
check_eq "there is" "$(got) $(free)" "$((high + middle + low)) 0 0"
check "24 bits: nothing" fill 12
check_eq "is left" "$(got)" 0
check_eq "no error in the kernel's log" "$(guest alpha errors)" ''
done_testing
