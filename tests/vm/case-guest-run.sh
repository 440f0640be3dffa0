# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: guest-run
# what: the tool itself: exit codes, time limits, panics, packages, files, modules
# timeout: 120

# shellcheck disable=SC2016 # what is in single quotes is for the guest
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
lib_start guest-run

start()
{
	case $1 in
	script)
		printf 'echo "  two  blanks "\nuname -r\ncat /root/given\nsha256sum /etc/other | cut -c 1-8\nprintf end\nexit 7\n' >"$run/script"
		echo given >"$run/given"
		"$vm/guest-run" --name guest-run/script --file "$run/given" \
			--file "$run/given:/etc/other" "$run/script" ;;
	package)
		"$vm/guest-run" --name guest-run/package --package e2fsprogs --module ext4 --module loop \
			--mem 384 --smp 1 --append vcma_word=5 -c '
			grep -q vcma_word=5 /proc/cmdline && [ "$(nproc)" = 1 ] &&
			truncate -s 8M /tmp/img && mkfs.ext4 -q /tmp/img && modprobe loop &&
			losetup /dev/loop0 /tmp/img && mount -t ext4 /dev/loop0 /mnt && echo mounted' ;;
	late)
		"$vm/guest-run" --name guest-run/late --control "$run/late.ctl" || return 1
		guest_ctl late 'exit 3' && return 1
		"$vm/guest-ctl" --timeout 3 "$run/late.ctl" 'echo before; sleep 100; echo after' ;;
	slow)
		"$vm/guest-run" --name guest-run/slow --timeout 1 -c true ;;
	panic)
		"$vm/guest-run" --name guest-run/panic -c 'sleep 1; echo c >/proc/sysrq-trigger' ;;
	stock)
		"$vm/guest-run" --name guest-run/stock --boot bzimage -c 'exit 0' ;;
	esac
}

parallel start script package late slow panic stock
uname_r()
{
	basename "$("$vm/guest-cache" kernel)" | sed 's/^kernel-//'
}

parallel_is()
{
	check_eq "$1" "$(cat "$run/$2.code")" "$3" || sed 's/^/# /' "$run/$2.out"
}
parallel_is "the script's exit code is passed through" script 7
check_eq "and so is its output, without the guest's own" "$(cat "$run/script.out")" \
	"$(printf '  two  blanks \n%s\ngiven\n%s\nend' \
		"$(uname_r)" "$(echo given | sha256sum | cut -c 1-8)")"
parallel_is "a package works with its libraries, a module with what it wants" package 0
check "as its output shows" grep -q '^mounted' "$run/package.out"

parallel_is "a command that takes too long ends with 124" late 124
check "after it was under way" grep -q '^before' "$run/late.out"
parallel_is "a guest that is not up in time ends with 124" slow 124
check "and says so" grep -q 'not up after 1 s' "$run/slow.out"
parallel_is "a panic ends with 125" panic 125
check "and shows the console" grep -q 'console:.*Kernel panic' "$run/panic.out"
parallel_is "the bzImage itself starts, too" stock 0

output=$("$vm/guest-run" --name guest-run/none --module nonesuch -c true 2>&1)
check_eq "a module that does not exist is refused by name" "$? ${output#*: }" \
	"2 the kernel $(uname_r) has no module 'nonesuch'"
guest_ctl late --stop
check_eq "no QEMU is left" "$(ours)" ''
done_testing
