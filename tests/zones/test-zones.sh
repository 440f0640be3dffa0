#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test-zones - vcmactl zones on the trees and listings that lie here, on broken
# ones, and what docs/zones.md quotes; prints TAP
#
# usage: tests/zones/test-zones.sh [--update]
#
# --update writes what is printed today to expected/ and to docs/zones.md; look at the
# difference before you commit it.  Needs no QEMU, no network and no root.

# shellcheck disable=SC2016,SC2317 # commands for check()
set -u
cd "${VCMA_SRC:-$(dirname -- "$0")/../..}" || exit 1
# shellcheck source=tests/zones/lib.sh
. tests/zones/lib.sh
update=
[ "${1-}" != --update ] || update=1

if ! command -v dtc >/dev/null; then
	echo "1..0 # SKIP dtc is missing (Debian package device-tree-compiler)"
	exit 0
fi
for dts in tests/zones/*.dts tests/zones/broken/*.dts; do
	# Forced: dtc knows what is wrong with some of the broken ones.
	dtc -q -f -I dts -O dtb -o "$work/$(basename "$dts" .dts).dtb" "$dts" 2>/dev/null ||
		{ echo "Bail out! $dts does not compile"; exit 1; }
done

# --- what it prints

# The source's option: --dtb for a tree, else that for listings.
run_case() {	# source, options
	local source=tests/zones/$1 how=--e820

	case $1 in
	*.dts)	how=--dtb source=$work/${1%.dts}.dtb ;;
	*-iomem.txt) how=--iomem ;;
	esac
	# shellcheck disable=SC2086 # a list of options
	"$vcmactl" zones $how "$source" $2
}

number_of_cases=0
while IFS='|' read -r name source options; do
	name=${name%%[[:blank:]]*}
	case $name in '' | '#'*) continue ;; esac
	source=${source//[[:blank:]]/}
	number_of_cases=$((number_of_cases + 1))
	run_case "$source" "$options" >"$work/got" 2>&1
	[ -z "$update" ] || cp "$work/got" "tests/zones/expected/$name.txt"
	same "$name" "tests/zones/expected/$name.txt" "$work/got"
	run_case "$source" "$options --json" >"$work/got" 2>&1
	check "$name: JSON" 'json_ok "$work/got"'
done <tests/zones/cases
check "every expected output has a case" '[ "$(ls tests/zones/expected | wc -l)" = $number_of_cases ]'

# --- broken trees

broken() {	# name, file, error
	"$vcmactl" zones --dtb "$2" >"$work/out" 2>"$work/got"
	local status=$?
	printf 'vcmactl: %s: %s\n' "$2" "$3" >"$work/want"
	check "broken: $1" '[ '$status' = 1 ] && [ ! -s "$work/out" ]'
	same "broken: $1: the message" "$work/want" "$work/got"
}
for dts in tests/zones/broken/*.dts; do
	broken "$(basename "$dts" .dts)" "$work/$(basename "$dts" .dts).dtb" \
		"$(sed -n 's|^/\* error: \(.*\) \*/$|\1|p' "$dts")"
done

tree=$work/nested.dtb
half=$(($(stat -c %s "$tree") / 2))
head -c $half "$tree" >"$work/truncated"
broken truncated "$work/truncated" "the device tree is broken: it ends too soon"
head -c 20 "$tree" >"$work/header"
broken "half a header" "$work/header" "the device tree is broken: it ends too soon"
: >"$work/empty"
broken "an empty file" "$work/empty" "the device tree is broken: it ends too soon"
{
	printf '\320\015\376\356'
	tail -c +5 "$tree"
} >"$work/magic"
broken "bad magic" "$work/magic" \
	"the device tree is broken: it is no device tree (it does not begin with d00dfeed)"
# Of version 12, with a root that has a name but no slash: libfdt 1.6.1 reads address 0.
{
	head -c 20 "$tree"
	printf '\0\0\0\014\0\0\0\001'
	tail -c +29 "$tree"
} >"$work/version"
structs=$(od -An -t u1 -j 8 -N 4 "$tree" | awk '{ print (($1 * 256 + $2) * 256 + $3) * 256 + $4 }')
printf 'x\0\0\0' | dd of="$work/version" bs=1 seek=$((structs + 4)) conv=notrunc status=none
broken "an old version" "$work/version" \
	"the device tree is broken: it is of a version that is not understood; 16 and 17 are"
broken "a text file" README.md \
	"the device tree is broken: it is no device tree (it does not begin with d00dfeed)"
head -c 3000000 /dev/zero >"$work/large"
broken "too large" "$work/large" "it is larger than 2M, Linux's limit"
{
	echo '/dts-v1/; / { #address-cells = <1>; #size-cells = <1>;'
	for _ in {1..70}; do echo 'n {'; done
	for _ in {1..70}; do echo '};'; done
	echo '};'
} | dtc -q -I dts -O dtb -o "$work/deep" -
broken "deep nesting" "$work/deep" "nodes are nested more than 64 deep"

# --- listings that are none

listing() {	# name, text, error
	printf '%b' "$2" >"$work/listing"
	"$vcmactl" zones --e820 "$work/listing" >"$work/out" 2>"$work/got"
	local status=$?
	printf 'vcmactl: %s: %s\n' "$work/listing" "$3" >"$work/want"
	check "listing: $1" '[ '$status' = 1 ] && [ ! -s "$work/out" ]'
	same "listing: $1: the message" "$work/want" "$work/got"
}
form='expected "START-END TYPE", a line of /proc/iomem or of Linux'"'"'s log (BIOS-e820)'
listing "empty" '' 'there is no memory in it ("usable" or "System RAM")'
listing "no memory" '0x0-0xfff reserved\n' 'there is no memory in it ("usable" or "System RAM")'
listing "no listing" 'hello\n' "line 1: \"hello\" is not understood; $form"
listing "a type is missing" '0x0-0xfff usable\n0x1000-0x1fff\n' \
	"line 2: \"0x1000-0x1fff\" is not understood; $form"
listing "too many digits" '0x0-0x1ffffffffffffffff usable\n' \
	"line 1: \"0x0-0x1ffffffffffffffff usable\" is not understood; $form"
listing "backwards" '0x2000-0x1000 usable\n' 'line 1: 0x2000-0x1000 ends before it begins, or is everything'
listing "everything" '0-ffffffffffffffff usable\n' \
	'line 1: 0x0-0xffffffffffffffff ends before it begins, or is everything'
listing "overlap" '0x0-0x1fff usable\n0x1000-0x2fff usable\n' \
	'memory overlaps: usable has 0x1000, which usable has, too'
listing "both" '0x0-0x1fff usable\n0x1000-0x1fff reserved\n' \
	'0x1000-0x1fff is memory and "reserved" at once'
listing "hidden" '00000000-00000000 : System RAM\n00000000-00000000 : Reserved\n' \
	'all addresses are 0: Linux shows them to root only'
listing "binary" '0x0-0xfff usable\n\0' 'it is no text'

# --- the command line

usage() {	# name, error, option...
	local name=$1 error=$2

	shift 2
	"$vcmactl" zones "$@" >"$work/out" 2>"$work/got"
	local status=$?
	printf 'vcmactl: %s\n' "$error" >"$work/want"
	check "usage: $name" '[ '$status' = 2 ] && [ ! -s "$work/out" ]'
	same "usage: $name: the message" "$work/want" "$work/got"
}
usage "two sources" "zones takes one of --dtb, --e820, --iomem and --live" --live --dtb x
usage "unknown architecture" \
	'--arch=arn64: there are x86 (or amd64), i386, arm64 and arm (or armhf); did you mean "arm64"?' \
	--dtb "$tree" --arch arn64
usage "a tree of a PC" \
	"--arch=amd64: only ARM's device trees are understood; for a PC give --e820 or --iomem" \
	--dtb "$tree" --arch x86
usage "unknown device" '--device=camra: the tree has no device "camra"; did you mean "camera"?' \
	--dtb "$tree" --device camra
usage "limits" "--device=x:bits=65: write NAME, or NAME:LIMITS, where LIMITS are bits=1 to 64, forbid=MASK and boundary=SIZE (a power of two), separated by commas" \
	--e820 tests/zones/small-e820.txt --device x:bits=65
usage "memory" "--memory=1G: write START+SIZE, such as 0x40000000+2G" --dtb "$tree" --memory 1G
usage "memory that overlaps" "--memory: memory overlaps: memory has 0x1000, which memory has, too" \
	--dtb "$tree" --memory 0+1G --memory 4K+1G
usage "forbidden bits" "--forbid=bit20 is no mask of address bits; write one such as 0x100000" \
	--dtb "$tree" --forbid bit20
usage "an argument" 'zones takes no argument, such as "x.dtb"; see "vcmactl zones --help"' x.dtb
check "--help" '"$vcmactl" zones --help | grep -q -e "--dtb=FILE"'
check "no file: its name and the reason" \
	'! "$vcmactl" zones --dtb "$work/none" 2>"$work/got" &&
	 grep -q "^vcmactl: $work/none: No such file or directory$" "$work/got"'
check "vcmactl zonse: did you mean" '"$vcmactl" zonse 2>&1 | grep -q "did you mean \"zones\""'

# --- this machine

check "--live prints the memory of this machine" '"$vcmactl" zones >"$work/got" && grep -q "^KERNEL WITH" "$work/got"'
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && [ -d /sys/firmware/memmap ]; then
	check "--live, not as root: firmware's memory map" \
		'setpriv --reuid 65534 --clear-groups "$vcmactl" zones --live | grep -q "^KERNEL WITH"'
fi

# --- what docs/zones.md quotes

requote docs/zones.md >"$work/zones.md"
[ -z "$update" ] || cp "$work/zones.md" docs/zones.md
same "docs/zones.md is what is printed today" docs/zones.md "$work/zones.md"

# Its table of masks is that of the VM cases: the window's name, or why there is none.
table_cell() {	# architecture, bits
	awk -F' *[|] *' -v arch="$1" -v bits="$2 bits" '
		$2 == "mask" { for (i = 3; i < NF; i++) if ($i == arch) column = i }
		$2 == bits && column { print $column }' docs/zones.md
}
masks=0
while read -r arch bits window _ _ why; do
	case $arch in '#'* | '' | device | window) continue ;; esac
	masks=$((masks + 1))
	[ "$window" != - ] || window="refused: .*$why"
	table_cell "$arch" "$bits" | grep -q -x -- "$window" ||
		echo "$arch, $bits bits: $window, not $(table_cell "$arch" "$bits")"
done <tests/vm/zones.table >"$work/got"
check "docs/zones.md and the VM cases have the same table of masks" '[ ! -s "$work/got" ] && [ $masks = 24 ]'
check "docs/zones.md quotes the tool" '[ "$(grep -c "^\$ vcmactl zones" docs/zones.md)" -ge 4 ]'

finish
