# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# zones.sh - one guest of an architecture, row for row of zones.table; see there

# shellcheck disable=SC2016 # what is in single quotes is for the guest

rounds=10000		# of each row
proofs=100		# buffers of each row that edu's DMA engine goes to

# rows ARCH: MASK WINDOW MAX HOLD WHY
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
	local arch=$1 n=0 mask args=() windows=normal=1G,dma32=64M@256M,dma=4M@12M

	case $arch in
	arm*)	windows=normal=64M,dma32=64M,dma=16M@0x0f000000 ;;
	esac
	while read -r mask _; do
		mapfile -t -O ${#args[@]} args < <(edus "$(slot $n)" "$(dma_mask "$mask")")
		n=$((n + 1))
	done < <(rows "$arch")
	guest_up "$arch" --arch "$arch" --cma "$windows" --mem 1280 \
		--module "$(modules test-modules "$arch")/vcma_edu.ko" -- "${args[@]}"
}

# script ARCH: for the guest; all rows at once, each with an output file of its own
script()
{
	local n=0 mask window max hold where

	while read -r mask window max hold _; do
		where=$window
		[ "$window" != - ] || where=none max=64 hold=64
		cat <<-END
			{
				e $(slot $n) set mask=$mask
				e $(slot $n) torture rounds=$rounds proofs=$proofs seed=$((mask + 1)) \
					where=$where max=$((max << 10)) hold=$((hold << 10))
			} >/tmp/$mask 2>&1 &
		END
		n=$((n + 1))
	done < <(rows "$1")
	echo wait
}

# served MASK WINDOW: what the row must have come to
served()
{
	guest "$arch" "cat /tmp/$1" >"$run/row"
	grep -q "^rounds=$rounds served=$rounds refused=0 .* $2=$rounds .* proved=$proofs .* errors=0$" \
		"$run/row" || {
		cat "$run/row"
		return 1
	}
}

# refused MASK WHY
refused()
{
	guest "$arch" "cat /tmp/$1; dmesg | grep vcma_edu.*:$2" >"$run/row"
	grep -q -e 'errno=' -e ' served=0 ' "$run/row" && ! grep -q ' served=[1-9]' "$run/row" &&
		grep -q "$3" "$run/row" || {
		cat "$run/row"
		return 1
	}
}

# zones_case ARCH: all of it
zones_case()
{
	local mask window n=0 why first

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
	must guest "$arch" 'vcma_load strict=1 && edu_load'
	point ok "$arch: windows $(guest "$arch" windows | tr ',' ' ')"

	guest_timeout=180 guest "$arch" "$(script "$arch")"
	while read -r mask window _ _ why; do
		if [ "$window" = - ]; then
			check "mask of $mask bits: refused, because of: $why" \
				refused "$mask" "$(slot $n)" "$why"
		else
			check "mask of $mask bits: $rounds rounds, all in $window, $proofs proved by DMA" \
				served "$mask" "$window"
		fi
		n=$((n + 1))
	done < <(rows "$arch")
}
