# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: zones-boot
# what: fixed windows on every path by which a PC boots: who leaves them out, and resets
# timeout: 300

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
lib_start zones-boot

# Boot loaders put kernels and initial RAM disks wherever the memory map says RAM,
# so a fixed window is RAM until CONFIRM, and RAM again after a reset.  SeaBIOS
# passes its reservation on; OVMF does not.  The second window of dma32 is in a
# BAR, so that a 32-bit device has something in any case; the normal one is too
# large for SeaBIOS to put it below 4 GiB.
cma=normal=4G,dma32=64M@256M+32M,dma=4M
rounds=200 proofs=8

# MACHINE HOW AGAIN WINDOWS: AGAIN says whether the machine is reset, with leases in
# all windows; WINDOWS, what becomes of the fixed ones.  +memmap tells the kernel of
# the reservation on its command line.  +through has the low window not at 12 MiB but
# at 4 MiB, where QEMU puts the bzImage whatever the memory map says.
paths='
	q35 pvh		reset	used
	q35 bzimage	-	used
	q35 grub	reset	used
	q35 isolinux	reset	used
	q35 ovmf	reset	left
	q35 ovmf-grub	-	left
	pc  pvh		-	used
	pc  bzimage+through reset used
	pc  grub	-	used
	pc  isolinux	-	used
	pc  ovmf	-	left
	pc  ovmf-grub	reset	left
	pc  ovmf+memmap	reset	used
'

# What a guest knows, and how its devices fare.  The buffers stay.
facts=$(cat <<-'END'
	vcma_load && edu_load || exit 1
	echo "loader $(cat /proc/sys/kernel/bootloader_type /sys/kernel/boot_params/version | tr '\n' ' ')"
	[ ! -d /sys/firmware/efi ] || echo efi
	for w in "$(vcma_dir)"/window*; do
		echo "window $(cat "$w/base") $(cat "$w/state")"
	done
	sed 's/^/iomem /' /proc/iomem
	awk '$3 == "zone" { zone = $4 } $1 == "present" { print "present", zone, $2 }' /proc/zoneinfo
	echo "pages $(e 10 pages zone=dma count=4096)"
	for row in 10:24 11:30 12:32 13:64; do
		e ${row%:*} set mask=${row#*:}
		e ${row%:*} torture rounds=ROUNDS proofs=PROOFS >/tmp/${row#*:} 2>&1 &
	done
	wait
	for mask in 24 30 32 64; do
		echo "edu $mask $(cat /tmp/$mask)"
	done
	e 10 fill size=65536 limit=3145728 >/tmp/fill
	e 11 fill size=1048576 limit=33554432 >>/tmp/fill
	for w in "$(vcma_dir)"/window*; do
		echo "leases $(cat "$w/base") $(cat "$w/leases")"
	done
	echo "notes $(dmesg | grep -c 'is System RAM of this kernel, so it is left alone')"
	errors | sed 's/^/error /'
	echo end
END
)
facts=${facts/ROUNDS/$rounds}
facts=${facts/PROOFS/$proofs}

# lane MACHINE: its paths, one after another; what guests say is in $logs/MACHINE-HOW.N
lane()
{
	local machine how again bus

	while read -r machine how again _; do
		[ "$machine" = "$1" ] || continue
		case $machine in
		pc) bus=pci.0 ;;
		*) bus=pcie.0 ;;
		esac
		try "$machine" "$how" "$again" "$bus" >"$run/$machine-$how.log" 2>&1
		[ ! -e "$run/$machine.ctl.pid" ] || guest_ctl "$machine" --stop
	done <<<"$paths"
}

# low HOW: where the low window is
low()
{
	case $1 in
	*+through) echo 0x400000 ;;
	*) echo 0xc00000 ;;
	esac
}

# try MACHINE HOW AGAIN BUS
try()
{
	local name=$1-$2 append=()

	# shellcheck disable=SC2016 # the kernel's sign for "reserved"
	[ "$2" = "${2%+memmap}" ] || append=(--append 'memmap=4M$12M,64M$256M')
	guest_up "$1" --name "$lib_name/$name" --machine "$1" --bus "$4" --boot "${2%+*}" \
		--reboot --smp 1 --mem 640 --cma "$cma@$(low "$2")" "${append[@]}" \
		--module "$build/test-modules/vcma_edu.ko" -- \
		-device edu,addr=10,dma_mask=0xffffff -device edu,addr=11,dma_mask=0x3fffffff \
		-device edu,addr=12,dma_mask=0xffffffff \
		-device edu,addr=13,dma_mask=0xffffffffffffffff || return
	registers "$1" "$(low "$2") + 0x200000" 4 >"$logs/$name.content"
	guest "$1" "$facts" >"$logs/$name.1" || return
	[ "$3" = reset ] || return 0
	guest_ctl "$1" --reset && wait_until 50 leases_gone "$1" && echo returned || return
	guest "$1" "$facts" >"$logs/$name.2"
}

# --- what the guests said

# told PATTERN: there is such a line; if not, what there is instead
told()
{
	grep -q -x -E -e "$1" "$file" || {
		echo "no line like: $1"
		grep -E "^${1%%[ (.]*}" "$file" || tail -n 20 "$file"
		return 1
	}
}

# by HOW: the kernel has come by this path, as its boot loader's number says
by()
{
	local efi=''

	case $1 in
	pvh*) told 'loader 176 0x020c ' ;;	# QEMU's, and what PVH makes up
	bzimage*) told 'loader 176 0x020f ' ;;
	isolinux*) told 'loader 48 .*' ;;
	ovmf*-grub|grub) told 'loader 114 .*' ;;
	ovmf*) told 'loader 33 .*' ;;		# the kernel's own
	esac || return
	case $1 in
	ovmf*) efi=efi ;;
	esac
	[ "$(grep -x efi "$file")" = "$efi" ]
}

# windows WHAT: the driver's word for each, and its messages
windows()
{
	local base state=usable notes=0

	[ "$1" = used ] || state='System RAM: left alone' notes=2
	for base in "$low" 0x10000000; do
		told "window $base $state" || return
	done
	[ "$(grep -c '^window .* usable$' "$file")" = $((4 - notes)) ] && told "notes $notes"
}

# ram FIRST LAST: whole pages of System RAM there, says /proc/iomem
ram()
{
	local first last from=$(($1)) to=$(($2 + 1)) pages=0

	while IFS=' -' read -r first last; do
		first=$((16#$first)) last=$((16#$last + 1))
		[ "$first" -ge "$from" ] || first=$from
		[ "$last" -le "$to" ] || last=$to
		first=$(((first + 4095) / 4096)) last=$((last / 4096))
		[ "$last" -le "$first" ] || pages=$((pages + last - first))
	done < <(sed -n 's/^iomem \([0-9a-f]*-[0-9a-f]*\) : System RAM$/\1/p' "$file")
	echo "$pages"
}

# maps WHAT: a window that is used is no page of the kernel's, and is claimed; one
# that is left alone is all RAM.  The zones have what is RAM, no more and no less.
maps()
{
	local pages='0 0' last=$((low + 0x3fffff))

	[ "$1" = used ] || pages='1024 16384'
	if [ "$(ram "$low" $last) $(ram 0x10000000 0x13ffffff)" != "$pages" ]; then
		echo "not $pages pages of RAM in the fixed windows:"
		grep '^iomem .*RAM' "$file"
		return 1
	fi
	if [ "$1" = used ]; then
		told "iomem  *$(printf '%08x-%08x' "$low" $last) : virtio_cma" &&
			told 'iomem  *10000000-13ffffff : virtio_cma' || return
	fi
	told "present DMA $(ram 0 0xffffff)" || return
	told "present DMA32 $(ram 0x1000000 0xffffffff)" || return
	# With a window below 16 MiB it shows in what there was for ISA devices, too.
	case $1:$low in
	used:0xc00000) told 'pages got=[1-9].* highest=0x[1-9ab][0-9a-f]{5} .*' ;;
	left:0xc00000) told 'pages got=[1-9].* highest=0x[c-f][0-9a-f]{5} .*' ;;
	esac
}

# edu MASK PLACE: all buffers of this device were there, and the DMA engine got there
edu()
{
	told "edu $1 rounds=$rounds served=$rounds refused=0 .*\<$2=$rounds .*\<proved=$proofs .* errors=0"
}

# devices WHAT
devices()
{
	local low=dma middle=dma32

	[ "$1" = used ] || low=ram middle=ram
	edu 24 $low && edu 30 $middle && edu 32 dma32 && edu 64 normal
}

# sound: nothing else has gone wrong
sound()
{
	told end && ! grep '^error' "$file"
}

# left WHAT: in which state the reset has found the machine
left()
{
	local base wanted='[1-9]'

	[ "$1" = used ] || wanted=0
	for base in "$low" 0x10000000; do
		told "leases $base $wanted.*" || return
	done
}

# judge MACHINE-HOW WHAT
judge()
{
	local how=${1#*-} what=$2

	by "$how" && windows "$what" && maps "$what" && devices "$what" && sound
}

# returned: the reset was done, and vcmad had everything soon
returned()
{
	grep -q -x returned "$run/$name.log" || {
		cat "$run/$name.log"
		vcmactl vms
		return 1
	}
}

# failed NAME: what else there is to be seen
failed()
{
	sed 's/^/# /' "$run/$1.log"
}

rm -f "$logs"/*.[12] "$logs"/*.content
must pool_up 192 <<-EOF
	[pool main]
	backing=hugetlb
	size=192M
	chunk=2M
	[vm q35]
	pool=main
	[vm pc]
	pool=main
EOF
parallel lane q35 pc

while read -r machine how again what; do
	[ -n "$machine" ] || continue
	name=$machine-$how low=$(low "$how")
	case $what in
	used) text='the fixed windows are left out, and serve' ;;
	left) text='the fixed windows are RAM, and left alone; the others serve' ;;
	esac
	file=$logs/$name.1
	check "$machine, $how: $text" judge "$name" "$what" || {
		failed "$name"
		continue
	}
	if [ "$how" != "${how%+through}" ]; then
		check "$machine, $how: it was in the way of the kernel's image" \
			grep -q '0x0*[1-9a-f]' "$logs/$name.content"
	fi
	[ "$again" = reset ] || continue
	check "$machine, $how: a reset, with leases where there can be some" left "$what"
	check "$machine, $how: all of them come back" returned || continue
	file=$logs/$name.2
	check "$machine, $how: and after it $text" judge "$name" "$what" || failed "$name"
done <<<"$paths"
done_testing
