# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: guest-run
# what: the tool itself: exit codes, time limits, panics, packages, files, modules, architectures
# timeout: 300

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
	ovmf)
		"$vm/guest-run" --name guest-run/ovmf --boot ovmf -c '[ -d /sys/firmware/efi ]' ;;
	i386|arm64|armhf)
		"$vm/guest-run" --name "guest-run/$1" --arch "$1" --control "$run/$1.ctl" --reboot \
			--module "$(modules driver "$1")/virtio_cma.ko" \
			--qemu-arg -device --qemu-arg edu,addr=10 ;;
	esac
}

# What a guest of another architecture is: its kernel, the driver, a device's address.
foreign()
{
	guest_ctl "$1" 'uname -r; modprobe virtio_cma && ls -d /sys/module/virtio_cma
		cd /sys/bus/pci/devices/0000:00:10.0 && cat vendor device
		read -r first last _ <resource && echo $((last - first + 1)) && [ $((first)) -gt 0 ]'
}

# It has forgotten what it did, and works.
foreign_reset()
{
	guest_ctl "$1" 'touch /run/before' && guest_ctl "$1" --reset && guest_ctl "$1" '[ ! -e /run/before ]'
}

foreign_panic()
{
	guest_ctl "$1" '{ sleep 1; echo c >/proc/sysrq-trigger; } >/dev/null &' &&
		wait_until 100 grep -q 'Kernel panic - not syncing: sysrq' "$logs/$1/console.log"
}

parallel start script package late slow panic stock ovmf
uname_r()
{
	basename "$("$vm/guest-cache" kernel --arch "${1:-amd64}")" | sed 's/^kernel-//'
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
parallel_is "so it does by UEFI firmware" ovmf 0

others=()
for arch in i386 arm64 armhf; do
	if [ -e "$(modules driver "$arch")/virtio_cma.ko" ]; then
		others+=("$arch")
	else
		point ok "$arch # SKIP no modules are built for it (make driver ARCHES=$arch)"
	fi
done
# Two at a time.
parallel start "${others[@]:0:2}"
parallel start "${others[@]:2}"
for arch in "${others[@]}"; do
	parallel_is "$arch: a guest starts" "$arch" 0
	check_eq "$arch: it has Debian's kernel, takes the driver, and places edu's registers" \
		"$(foreign "$arch")" \
		"$(printf '%s\n' "$(uname_r "$arch")" /sys/module/virtio_cma 0x1234 0x11e8 1048576)"
done
parallel foreign_reset "${others[@]}"
for arch in "${others[@]}"; do
	parallel_is "$arch: it is up again after a reset" "$arch" 0
done
parallel foreign_panic "${others[@]}"
for arch in "${others[@]}"; do
	parallel_is "$arch: a panic is on its console" "$arch" 0
	guest_ctl "$arch" --stop
done

output=$("$vm/guest-run" --name guest-run/none --module nonesuch -c true 2>&1)
check_eq "a module that does not exist is refused by name" "$? ${output#*: }" \
	"2 the kernel $(uname_r) has no module 'nonesuch'"
output=$("$vm/guest-run" --arch m68k -c true 2>&1)
check_eq "so is an architecture" "$? ${output#*: }" \
	"2 no guests of architecture 'm68k': there are amd64, i386, arm64, armhf"
guest_ctl late --stop
check_eq "no QEMU is left" "$(ours)" ''
done_testing
