# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# lib.sh - what the tests of vcmactl zones share; sourced from the top of the tree

build=${VCMA_BUILD:-$PWD/build}
# shellcheck disable=SC2034 # for those who source this
vcmactl=$build/vcmactl
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
unset VCMA_RUN_DIR

number=0 bad=0
result() {	# 0: ok; name; file with what was wrong
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number - $2"
		return
	fi
	bad=1
	echo "not ok $number - $2"
	head -n 40 "$3" | sed 's/^/#  /'
}

check() {	# name, command
	(eval "$2") >"$work/log" 2>&1
	result $? "$1" "$work/log"
}

same() {	# name, file that is expected, file
	diff -u "$2" "$3" >"$work/log" 2>&1
	result $? "$1" "$work/log"
}

skip() {	# name, reason
	number=$((number + 1))
	echo "ok $number - $1 # SKIP $2"
}

finish() {
	echo "1..$number"
	exit $bad
}

# Good enough for what json-c writes: brackets in pairs, and the keys there.
json_ok() {	# file
	[ "$(tr -cd '{[' <"$1" | wc -c)" = "$(tr -cd '}]' <"$1" | wc -c)" ] &&
		grep -q '"kernels": \[' "$1" && grep -q '"windows": \[' "$1"
}

# What docs quote: a block that begins with "$ vcmactl zones", and what it prints.
# Files in it are named as in tests/zones; a .dtb is made of the .dts of its name.
quoted() {	# command, without "$ "
	local -a words
	local i

	read -ra words <<<"$1"
	for i in "${!words[@]}"; do
		case ${words[i]} in
		*.dtb)	words[i]=$work/${words[i]} ;;
		*.txt)	words[i]=tests/zones/${words[i]} ;;
		esac
	done
	"$vcmactl" "${words[@]:1}" 2>&1
}

# The document as it would be with what the tool prints today.
requote() {	# document
	local line inside=''

	while IFS= read -r line; do
		case $line in
		'$ vcmactl zones'*)
			printf '%s\n' "$line"
			quoted "${line#\$ }"
			inside=1
			;;
		'```'*)
			printf '%s\n' "$line"
			inside=''
			;;
		*)	[ -n "$inside" ] || printf '%s\n' "$line" ;;
		esac
	done <"$1"
}
