# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# zones.sh - one guest of an architecture, row for row of zones.table; see there

# shellcheck disable=SC2016 # what is in single quotes is for the guest
# shellcheck disable=SC2154 # lib.sh sets vm, build and run

rounds=10000		# of each row
proofs=100		# buffers of each row that edu's DMA engine goes to

# rows ARCH: MASK NAME MAX HOLD WHY
rows()
{
	sed -n "s/^$1[[:space:]]\{1,\}//p" "$vm/zones.table"
}

# slot N: PCI slot of the devices of the row N
slot()
{
	printf '%x' $((16 + $1))
}

# edus SLOT DMA_MASK: QEMU's arguments for a slot with eight edu
edus()
{
	local function

	for function in 0 1 2 3 4 5 6 7; do
		printf '%s\n' -device "edu,addr=$1.$function,multifunction=on,dma_mask=$2"
	done
}

# dma_mask BITS: as edu wants it
dma_mask()
{
	[ "$1" = 64 ] && echo 0xffffffffffffffff || printf '%#x\n' $(((1 << $1) - 1))
}

# zones_guest ARCH: with devices for each row
zones_guest()
{
	local arch=$1 n=0 mask args=()

	while read -r mask _; do
		mapfile -t -O ${#args[@]} args < <(edus "$(slot $n)" "$(dma_mask "$mask")")
		n=$((n + 1))
	done < <(rows "$arch")
	guest_up "$arch" --arch "$arch" --cma "$(rows "device[[:space:]]*$arch")" --mem 1280 \
		--module "$(modules test-modules "$arch")/vcma_edu.ko" -- "${args[@]}"
}

# named ARCH: the guest's windows, each with its name in the table: NAME:BASE:LENGTH
named()
{
	local zone base length name is range

	while IFS=: read -r zone base length; do
		while read -r name is range; do
			[ $((base)) -lt $((${range%-*})) ] ||
				[ $((base + length - 1)) -gt $((${range#*-})) ] ||
				[ "${is,,}" != "$zone" ] || echo "$name:$base:$length"
		done < <(rows "window[[:space:]]*$1")
	done <"$run/windows"
}

# as_in_table ARCH: every window is where the table has it, and none is missing
as_in_table()
{
	cat "$run/windows"
	[ "$(named "$1" | cut -d : -f 1 | sort)" = \
		"$(rows "window[[:space:]]*$1" | cut -f 1 | sort)" ]
}

# script ARCH: for the guest; all rows at once, each with an output file of its own
script()
{
	local n=0 mask name max hold where

	while read -r mask name max hold _; do
		where=$name
		[ "$name" != - ] || where=none max=64 hold=64
		cat <<-END
			{
				e $(slot $n) set mask=$mask && e $(slot $n) torture rounds=$rounds proofs=$proofs seed=$((mask + 1)) \
					where=$where max=$((max << 10)) hold=$((hold << 10))
			} >/tmp/$mask 2>&1 &
		END
		n=$((n + 1))
	done < <(rows "$1")
	echo wait
}

# served MASK NAME: what the row must have come to
served()
{
	guest "$arch" "cat /tmp/$1" >"$run/row"
	grep -q "^rounds=$rounds served=$rounds refused=0 .* $2=$rounds .* proved=$proofs .* errors=0$" \
		"$run/row" || {
		cat "$run/row"
		return 1
	}
}

# refused MASK SLOT WHY
refused()
{
	guest "$arch" "cat /tmp/$1; dmesg | grep vcma_edu.*:$2" >"$run/row"
	if ! grep -q -e 'errno=' -e ' served=0 ' "$run/row" || grep -q ' served=[1-9]' "$run/row" ||
		! grep -q "$3" "$run/row"; then
		cat "$run/row"
		return 1
	fi
}

# --- the kernel's own zones, as zone_map.c says that it fills them (rules 1 to 5)

# predicted: NAME LOWEST HIGHEST BYTES of each zone, by vcmactl and the guest's own description of itself
predicted()
{
	local source=--iomem name lowest highest bytes

	# A device tree has a megabyte, most of it empty, and the serial port is slow.
	guest "$arch" '[ -e /sys/firmware/fdt ] || exit 1; gzip -c /sys/firmware/fdt | base64' \
		>"$run/fdt.gz" && source=--dtb
	if [ $source = --dtb ]; then
		base64 -d "$run/fdt.gz" | gzip -d >"$run/machine"
	else
		guest "$arch" 'cat /proc/iomem' >"$run/machine"
	fi
	vcmactl_zones $source "$run/machine" | while read -r name; do
		read -r lowest
		read -r highest
		read -r bytes
		echo "$name $lowest $highest $bytes"
	done
}

# vcmactl_zones OPTION FILE: the zones of Debian's kernel, a value a line
vcmactl_zones()
{
	"$build/vcmactl" zones "$1" "$2" --arch "$arch" --json |
		sed -n '/"debian": true/,/"cut_off"/s/^ *"\(name\|lowest\|highest\|bytes\)": "\{0,1\}\([^",]*\).*/\2/p'
}

# zones_are: the guest's zones are those that are predicted; a few pages here and there are nobody's
zones_are()
{
	local name lowest highest bytes first spanned present zones=0

	guest "$arch" 'cat /proc/zoneinfo' | awk '
		/^Node/ { zone = $4 } /^ *spanned/ { spanned = $2 } /^ *present/ { present = $2 }
		/^ *managed/ && !$2 { present = 0 } /start_pfn/ { start[zone] = $2 }
		/^ *managed/ { is[zone] = spanned " " present }
		END { for (zone in is) print zone, start[zone] + 0, is[zone] }' >"$run/zoneinfo"
	cat "$run/zoneinfo" "$run/predicted"
	while read -r name first spanned present; do
		read -r _ lowest highest bytes < <(grep "^$name " "$run/predicted")
		[ "$present" != 0 ] || {
			[ "${bytes:-0}" = 0 ] && continue
			return 1
		}
		zones=$((zones + 1))
		# All ones are no number to bash.
		[ "${#highest}" -lt 19 ] || highest=$((1 << 60))
		[ $((first << 12)) -ge "$lowest" ] && [ $(((first + spanned) << 12)) -le $((highest + 1)) ] &&
			[ $((bytes - (present << 12))) -ge 0 ] && [ $((bytes - (present << 12))) -lt $((1 << 20)) ] ||
			return 1
	done <"$run/zoneinfo"
	[ $zones -gt 0 ]
}

# pages_in ZONE COUNT NAME: who asks the page allocator for it gets all of them in the zone of that name
pages_in()
{
	guest "$arch" "e 10 pages zone=$1 count=$2" >"$run/pages"
	grep "got=$2 .*\<$3=$2\>" "$run/pages" || {
		cat "$run/pages"
		return 1
	}
}

# kernel_zones: GFP_DMA and its like
kernel_zones()
{
	local ordinary

	predicted >"$run/predicted"
	check "the kernel's zones are as zone_map.c fills them" zones_are
	# Rule 4: an ordinary request takes the highest low zone that has memory.
	ordinary=$(grep -v -e '^HighMem ' -e ' 0$' "$run/predicted" | tail -n 1 | cut -d ' ' -f 1)
	check "GFP_DMA: pages of the zone DMA" pages_in dma 64 DMA
	check "ordinary pages: of the zone $ordinary" pages_in normal 256 "$ordinary"
	! grep -q '^HighMem ' "$run/predicted" ||
		check "high memory: of the zone HighMem" pages_in highmem 256 HighMem
	case $arch in
	amd64|i386)
		# Rule 2: a boundary was moved down, so GFP_DMA can fail.
		check "GFP_DMA: fails when 16 MiB are used up, with 1 GiB free" \
			guest "$arch" 'e 10 pages zone=dma count=4096 >/tmp/out; cat /tmp/out
				got=$(field got </tmp/out); [ "$got" -gt 1000 ] && [ "$got" -lt 4096 ] &&
				[ $(($(field highest </tmp/out))) -le 16777215 ] && [ "$(field DMA </tmp/out)" = "$got" ]' ;;
	esac
}

# --- what else a client can ask for

# asked TEXT PATTERN COMMAND: the answer fits
asked()
{
	check "$1" guest "$arch" "e $3 >/tmp/out; cat /tmp/out; grep '$2' /tmp/out"
}

# others WIDE NARROW: with the device of 64 bits and one of few
others()
{
	asked "no kernel mapping: a thousand rounds, the DMA engine and the CPU agree" \
		'^rounds=1000 served=1000 .* normal=1000 .* proved=32 .* errors=0$' \
		"$1 torture rounds=1000 proofs=32 nomap=1 max=1048576 hold=4194304 where=normal"
	asked "atomic context: served from warm leases, or refused at once" \
		'^rounds=1000 served=[1-9][0-9]* refused=0 .* errors=0$' \
		"$1 torture rounds=1000 atomic=100 max=65536 hold=1048576 where=normal"
	guest "$arch" "e $1 set mask=64 boundary=65536" >/dev/null
	asked "a boundary of 64 KiB: nothing crosses it, and what has to is refused" \
		'^rounds=2000 served=1[0-9]* refused=[1-9][0-9]* .* normal=1[0-9]* .* errors=0$' \
		"$1 torture rounds=2000 proofs=16 max=131072 hold=4194304 where=normal"
	guest "$arch" "e $1 set mask=64 boundary=0x100000000" >/dev/null
	asked "dma_mmap_attrs(): user space has the same bytes" '^place=normal$' "$1 map size=300000 where=normal"
	asked "also without a kernel mapping" '^place=normal$' "$1 map size=300000 nomap=1 where=normal"
	asked "and with few address bits" '^place=dma$' "$2 map size=65536 where=dma"
	asked "dma_get_sgtable(): refused, there are no pages" '^place=normal errno=6$' "$1 sgtable"
	asked "streaming maps with 64 bits: as ever" '^served=32 refused=0 bounced=0 .* errors=0$' \
		"$1 stream size=4096 count=32"
	asked "with few address bits: bounced or refused, never wrong" '^served=[0-9]* .* errors=0$' \
		"$2 stream size=4096 count=32"
	sed 's/^/# /' < <(guest "$arch" 'cat /tmp/out')
	check_eq "no error in the kernel's log" "$(guest "$arch" 'errors; dmesg | grep "scheduling while atomic"')" ''
}

# zones_case ARCH: all of it
zones_case()
{
	local mask name n=0 why narrow=

	arch=$1
	must pool_up 192 <<-END
		[pool main]
		backing=hugetlb
		size=192M
		chunk=8M
		[vm $arch]
		pool=main
	END
	must zones_guest "$arch"
	must guest "$arch" 'vcma_load strict=1'
	guest "$arch" windows >"$run/windows"
	check "$arch: $(named "$arch" | tr '\n' ' ')are its windows" as_in_table "$arch"
	must guest "$arch" "edu_load '$(named "$arch")'"

	guest_timeout=180 guest "$arch" "$(script "$arch")"
	while read -r mask name _ _ why; do
		if [ "$name" = - ]; then
			check "mask of $mask bits: refused, because of: $why" \
				refused "$mask" "$(slot $n)" "$why"
		else
			check "mask of $mask bits: $rounds rounds, all in $name, $proofs proved by DMA" \
				served "$mask" "$name"
			: "${narrow:=$n}"
		fi
		n=$((n + 1))
	done < <(rows "$arch")
	kernel_zones
	others "$(slot $((n - 1)))" "$(slot "$narrow")"
}
