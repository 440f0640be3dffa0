# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# lib.sh - what the passthrough cases share: a host guest, and the inner guest that it runs
#
# DOC: Theory of operation
#
# Passthrough needs an IOMMU and devices that nobody misses.  Here both are
# emulated, and everything above them is real:
#
#	this machine	QEMU (TCG): a PC with an IOMMU, NVMe, network cards, edu
#	host guest	Debian's kernel, vfio-pci, huge pages, vcmad, vcmactl, our QEMU
#	inner guest	Debian's kernel, virtio_cma.ko, the devices' stock drivers
#
# The host guest is `host` here, the inner one `inner`.  guest-run and guest-ctl
# serve both, and with them all of tests/vm/lib.sh: `guest inner COMMAND`,
# `guest_ctl inner --hmp COMMAND`, `charged_mib inner`.  What lies between:
#
# - guest-run starts inner-qemu instead of QEMU, which has the host guest start
#   the real one.  Kernel and initial RAM file system go over on a disk of the
#   host guest.
# - The inner QEMU's control port and monitor are virtio ports of the host
#   guest.  Their other ends are pairs of named pipes here, which count as
#   connected whether anybody listens or not; relay.c makes sockets of them.
#   The console's other end is the log file itself.
# - $run names the same directory here and in the host guest, so that a path to
#   vcmad's socket is right where it is used.
#
# Emulated by an emulated processor, the inner guest is some 200 times slower
# than this machine: it is started once for many cases, has one processor, and
# its kernel is told to leave out what no test looks at.

pt=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/vm/lib.sh
. "$pt/../vm/lib.sh"

# What the host guest passes on; the addresses hold in the inner guest, too.
pt_nvme=10 pt_net0=11 pt_net1=12 pt_edu0=13 pt_edu1=14
pt_devices=("$pt_nvme" "$pt_net0" "$pt_net1" "$pt_edu0" "$pt_edu1")
pt_disk_mib=64
pt_transfer_mib=160	# for a kernel, at 0, and an initial RAM file system, at 96 MiB

# Kernels do less: no protection against other tenants, no self-tests, no noise.
# On a busy machine no tick may come while they look whether the timer ticks.
pt_append='mitigations=off quiet loglevel=4 cryptomgr.notests audit=0 no_timer_check tsc=reliable'
pt_inner_append="$pt_append loglevel=1 lsm=none rodata=off nokaslr random.trust_cpu=on"

# pt_attach: in a case, to the guests that tests/passthrough/run has started
pt_attach()
{
	lib_name=passthrough
	run=${VCMA_PASSTHROUGH_RUN:?start cases by tests/passthrough/run}
	logs=$build/tests/vm/$lib_name
}

# --- the host guest

# host COMMAND...: in the host guest, with the functions of host-lib.sh
host()
{
	guest host "$@"
}

# libraries PROGRAM...: the files that these need at run time
libraries()
{
	ldd "$@" | grep -o '/lib[^ ]*' | sort -u
}

# vfio_modules: the kernel's files; guest-run would miss PowerPC's among what they name
vfio_modules()
{
	local dir

	dir=$("$vm/guest-cache" kernel) || return
	find "$dir/lib/modules" -name 'vfio.ko*' -o -name 'vfio_virqfd.ko*' \
		-o -name 'vfio_iommu_type1.ko*' -o -name 'vfio-pci-core.ko*' -o -name 'vfio-pci.ko*'
}

# port NAME: arguments for a virtio port of the host guest
port()
{
	local end

	if [ "$1" = console ]; then
		mkdir -p "$logs/inner"
		echo -chardev "file,id=inner-$1,path=$logs/inner/console.log,append=on"
	else
		for end in in out; do
			mkfifo "$run/inner.$1.$end"
		done
		echo -chardev "pipe,id=inner-$1,path=$run/inner.$1"
	fi
	echo -device "virtserialport,chardev=inner-$1,name=$1"
}

# host_up MEM-MIB HUGE-PAGES [QEMU-ARG]...: the host guest, its devices in vfio-pci's hands
host_up()
{
	local mem=$1 huge=$2 file dir args=() devices all=0xffffffffffffffff

	shift 2
	make_disk "$run/nvme.img" "$pt_disk_mib"
	truncate -s "${pt_transfer_mib}M" "$run/transfer.img"
	for file in $(libraries "$build"/{qemu-system-x86_64,vcmad,vcmactl,tests/pagemap-proof}); do
		args+=(--file "$file:/usr$file")
	done
	strip -o "$run/qemu" "$build/qemu-system-x86_64" || return
	args+=(--file "$run/qemu:/usr/bin/qemu-system-x86_64")
	dir=$(dirname "$(readlink -f "$build/qemu-system-x86_64")")/qemu-bundle/usr/local/share/qemu
	for file in bios-256k.bin linuxboot_dma.bin pvh.bin kvmvapic.bin; do
		args+=(--file "$dir/$file:/usr/share/qemu/$file")
	done
	for file in vcmad vcmactl tests/pagemap-proof; do
		args+=(--file "$build/$file:/usr/bin/${file##*/}")
	done
	for file in virtio_pci virtio_blk virtio_console $(vfio_modules); do
		args+=(--module "$file")
	done
	# shellcheck disable=SC2046 # port's words
	for file in -device intel-iommu,intremap=on \
		-drive "file=$run/transfer.img,if=none,id=transfer,format=raw,cache=unsafe" \
		-device virtio-blk-pci,drive=transfer,addr=2 \
		-device virtio-serial-pci,addr=3 \
		$(port console; port control; port qmp; port life) \
		-drive "file=$run/nvme.img,if=none,id=nvme,format=raw,cache=unsafe" \
		-device nvme,serial=1,drive=nvme,addr=$pt_nvme \
		-netdev hubport,hubid=1,id=net0 -netdev hubport,hubid=1,id=net1 \
		-device e1000e,netdev=net0,romfile=,addr=$pt_net0 \
		-device e1000e,netdev=net1,romfile=,addr=$pt_net1 \
		-device "edu,dma_mask=$all,addr=$pt_edu0" -device "edu,dma_mask=$all,addr=$pt_edu1" "$@"; do
		args+=(--qemu-arg "$file")
	done
	"$vm/guest-run" --control "$run/host.ctl" --name "$lib_name/host" --life 1800 \
		--mem "$mem" --smp 2 \
		--append "intel_iommu=on iommu=pt hugepages=$huge $pt_append" \
		--file "$pt/host-lib.sh:/root/lib.sh" "${args[@]}" 7>&- || return
	"$build/tests/relay" "$run/inner.control"{,} "$run/inner.qmp"{,} 2>"$logs/relay.log" 7>&- &
	devices=$(printf '0000:00:%s.0 ' "${pt_devices[@]}")
	host "host_start $run $devices"
}

# host_pool_up SIZE: a vcmad there, with the configuration on standard input
host_pool_up()
{
	host "vcmad_start '$(cat)'"
}

vcmactl()
{
	host "vcmactl --socket $run/vcmad.sock $*"
}

proof()
{
	local name words=''

	for name; do
		words="$words $name=$run/$name.qmp"
	done
	host "pagemap-proof$words"
}

# --- the inner guest

# inner_up [GUEST-RUN-OPTION]... [-- QEMU-ARG...]: with all devices of the host guest
inner_up()
{
	local args=() device

	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		args+=("$1")
		shift
	done
	[ $# = 0 ] || shift
	for device in "${pt_devices[@]}"; do
		set -- "$@" -device "vfio-pci,host=0000:00:$device.0,addr=$device"
	done
	INNER_RUN=$run guest_up inner --cma normal=1G,dma32=64M --qemu "$pt/inner-qemu" \
		--smp 1 --mem 256 --timeout 300 --life 1700 --module e1000e \
		--file "$pt/inner-lib.sh:/root/inner-lib.sh" \
		--append "$pt_inner_append" "${args[@]}" -- "$@"
}

# inner COMMAND...: in the inner guest, with the functions of inner-lib.sh
inner()
{
	guest inner ". /root/inner-lib.sh; $*"
}

inner_runs()
{
	[ -e "$run/inner.ctl.pid" ]
}

inner_stop()
{
	guest_ctl inner --stop
}

# inner_kill: its QEMU dies at once
inner_kill()
{
	host inner_kill && wait_until 100 eval '! inner_runs'
}
