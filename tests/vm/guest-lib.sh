# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# guest-lib.sh - shell functions inside a test guest; see lib.sh for the host's side

# What the tests' guests have: NVMe controllers, edu, pci-testdev.
clients=1b36:0010,1234:11e8,1b36:0005
testdev=/sys/bus/pci/drivers/vcma_test

# vcma_load [PARAMETER=VALUE]...
vcma_load()
{
	modprobe virtio_pci && modprobe virtio_cma clients=$clients "$@" &&
		wait_for [ -e "$(vcma_dir)/driver" ]
}

# vcma_dir: the (first) virtio-cma device in sysfs
vcma_dir()
{
	for d in /sys/bus/virtio/devices/*; do
		[ "$(cat "$d/device")" = 0x003f ] && echo "$d" && return
	done
}

# vcma FILE: a value that the driver shows
vcma()
{
	cat "$(vcma_dir)/$1"
}

# wait_for COMMAND...: up to 10 s
wait_for()
{
	n=100
	until "$@"; do
		n=$((n - 1))
		[ $n -gt 0 ] || {
			echo "waited 10 s in vain for: $*"
			return 1
		}
		sleep 0.1
	done
}

# t COMMAND: of vcma_test.ko on its first device; prints the answer
t()
{
	at "" "$@"
}

# at ADDRESS COMMAND: likewise on the device at this PCI address
at()
{
	dev=$1
	shift
	for d in "$testdev"/*"$dev"/vcma_test; do
		code=0
		{ echo "$*" >"$d/ctl"; } 2>/dev/null || code=1
		cat "$d/result"
		return $code
	done
}

# field KEY: value of KEY=VALUE in the text on standard input
field()
{
	sed -n "s/.*\<$1=\([^ ]*\).*/\1/p"
}

# windows: NAME:BASE:LENGTH for each that is not left alone; NAME is its zone, or
# bankN if it has a bank
windows()
{
	for w in "$(vcma_dir)"/window*; do
		[ "$(cat "$w/state")" = usable ] || continue
		name=$(tr A-Z a-z <"$w/zone")
		bank=$(cat "$w/bank")
		[ "$bank" = 0 ] || name=bank$bank
		printf '%s:%s:%s\n' "$name" "$(cat "$w/base")" "$(cat "$w/length")"
	done
}

# edu_load [WINDOWS]: vcma_edu.ko, which is told where they are
edu_load()
{
	modprobe vcma_edu windows="$(echo "${1-$(windows)}" | tr '\n' ',')"
}

# e ADDRESS COMMAND: of vcma_edu.ko, ADDRESS being that of the slot: 10; prints the answer
e()
{
	dir=/sys/bus/pci/drivers/vcma_edu/0000:00:$1.0/vcma_edu
	shift
	code=0
	{ echo "$*" >"$dir/ctl"; } 2>/dev/null || code=1
	cat "$dir/result"
	return $code
}

nvme_up()
{
	modprobe nvme && modprobe ext4 && wait_for [ -b /dev/nvme0n1 ]
}

# nvme_bar: address of the registers of the first NVMe controller
nvme_bar()
{
	for d in /sys/bus/pci/drivers/nvme/0*; do
		cut -d ' ' -f 1 "$d/resource" | head -n 1
		return
	done
}

digest()
{
	sha256sum | cut -d ' ' -f 1
}

# errors: what the kernel's log has that no test should cause
errors()
{
	dmesg | grep -E 'I/O error|blk_update_request|EXT4-fs error|nvme.*(timeout|abort|reset)|BUG:|WARNING:|Oops|Call Trace'
}
