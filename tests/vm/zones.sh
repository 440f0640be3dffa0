# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# zones.sh - one guest of an architecture, row for row of zones.table; see there

# shellcheck disable=SC2016 # what is in single quotes is for the guest

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
	grep -q -e 'errno=' -e ' served=0 ' "$run/row" && ! grep -q ' served=[1-9]' "$run/row" &&
		grep -q "$3" "$run/row" || {
		cat "$run/row"
		return 1
	}
}

# zones_case ARCH: all of it
zones_case()
{
	local mask name n=0 why

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
		fi
		n=$((n + 1))
	done < <(rows "$arch")
}
