# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: zones-even
# what: a device that reaches even megabytes only: what plain Linux has for it, and what vcma has
# timeout: 120

# shellcheck disable=SC2016 # what is in single quotes is for the guest
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/vm/zones.sh
. "$(dirname "$0")/zones.sh"
lib_start zones-even

bit=0x100000			# the address line that is missing
mib=$((1 << 20))

must pool_up 96 <<-'END'
	[pool main]
	backing=hugetlb
	size=96M
	chunk=4M
	[vm plain]
	pool=main
	[vm even]
	pool=main
END
mapfile -t devices < <(edus 10 0xffefffff; edus 11 0xffefffff)

boot()
{
	local options=()

	case $1 in
	# All that is below 16 MiB and usable is one even megabyte: the DMA zone.
	plain)	options=(--cma normal=64M --append 'memmap=1M$1M,13M$3M') ;;
	even)	options=(--cma 'normal=1G,dma32=64M@256M,dma=4M@12M') ;;
	esac
	guest_up "$1" "${options[@]}" --module "$(modules test-modules)/vcma_edu.ko" -- "${devices[@]}"
}
parallel boot plain even
for name in plain even; do
	must outcome "$name"
done

# fill NAME COMMAND: the answer is in $run/NAME
fill()
{
	guest_timeout=90 guest "$1" "e 10 empty >/dev/null && $2" >"$run/$1" || {
		cat "$run/$1"
		return 1
	}
}

# figure NAME KEY
figure()
{
	sed -n "s/.*\<$2=\([^ ]*\).*/\1/p" "$run/$1" | tail -n 1
}

# --- plain Linux, with a zone that the device reaches all of

must guest plain "modprobe vcma_edu && e 10 set mask=24 forbid=$bit"
guest plain 'e 10 pages zone=dma count=100000' >"$run/plain"
check "plain Linux: its DMA zone has one megabyte" \
	test $(($(figure plain lowest))) -ge $((0x200000)) -a $(($(figure plain highest))) = $((0x2fffff))
check "whatever the device gets there is right, says its DMA engine" \
	fill plain 'e 10 fill size=1048576 min=4096 where=ram proofs=100'
plain=$(figure plain bytes)
check "less than a megabyte ($plain bytes)" test "$plain" -gt 0 -a "$plain" -le $mib
plain_row="$((plain >> 10)) KiB in $(figure plain pieces) pieces, the largest of $(($(figure plain largest) >> 10)) KiB"
guest_ctl plain --stop

# --- vcma, which knows the missing line

must guest even "clients=0000:00:10.0/forbid=$bit,0000:00:11.0
	vcma_load && edu_load && e 10 set mask=32 forbid=$bit && e 11 set mask=24
	echo 0 >/sys/module/virtio_cma/parameters/lowmem_reserve_ratio"

# evens FIRST LAST: the even megabytes from megabyte FIRST to LAST, as fill tells them
evens()
{
	local m

	for ((m = $1; m <= $2; m += 2)); do
		printf '%#x-%#x\n' $((m * mib)) $((m * mib + mib - 1))
	done
}

check "vcma: pieces of a megabyte until there are no more, all proved" \
	fill even 'e 10 fill size=1048576 min=4096 where=dma+dma32 proofs=1000'
check_eq "are every even megabyte of both windows, and nothing else" \
	"$(figure even spans | tr ',' '\n')" "$(evens 12 15; evens 256 319)"
check_eq "no error" "$(figure even errors)" 0
even=$(figure even bytes)
even_row="$((even >> 10)) KiB in $(figure even pieces) pieces, the largest of $(($(figure even largest) >> 10)) KiB"
check "ten thousand buffers of any size up to a megabyte, a hundred proved" fill even \
	'e 10 torture rounds=10000 proofs=100 max=1048576 hold=12582912 where=dma+dma32 >/tmp/out; cat /tmp/out; grep "served=10000 refused=0 .* proved=100 .* errors=0" /tmp/out'
check "a buffer that is larger than any run of good addresses is refused, and not by luck" \
	fill even 'e 10 fill size=1048577 >/tmp/out; cat /tmp/out; grep "served=0 refused=1 .* ram=0" /tmp/out'
check_eq "the kernel's own memory was never asked" "$(guest even 'vcma fallbacks')" 0
check "ordinary memory is bounced, or refused" fill even \
	'e 10 stream size=4096 count=64 && e 10 stream size=32768 count=16'
sed 's/^/# stream: /' "$run/even"

# --- and would one notice?

check "without forbid= the DMA engine notices" guest even \
	'! e 11 fill size=1048576 limit=4194304 where=dma proofs=4 >/tmp/out; cat /tmp/out; grep "gone elsewhere" /tmp/out'
check_eq "no error in the kernel's log" "$(guest even errors)" ''

cat <<-END
	# | for a device without address line 20 | bytes that the device reaches |
	# |---|---|
	# | plain Linux, DMA zone of one even megabyte | $plain_row |
	# | vcma, dma=4M@12M and dma32=64M@256M | $even_row |
	# vcma serves $((even / plain)) times as much
END
check "that is every even megabyte: 34 MiB" test "$even" = $((34 * mib))
done_testing
