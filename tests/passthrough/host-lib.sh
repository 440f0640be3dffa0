# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# host-lib.sh - shell functions inside the host guest; see lib.sh for this machine's side

run=$(cat /run/where 2>/dev/null)

# host_start DIRECTORY DEVICE...: gives vfio-pci these devices; to be called first
host_start()
{
	echo "$1" >/run/where
	mkdir -p "$1"
	shift
	for module in virtio_pci virtio_blk virtio_console vfio_iommu_type1 vfio_pci; do
		modprobe $module || return 1
	done
	for device; do
		echo vfio-pci >"/sys/bus/pci/devices/$device/driver_override"
		echo "$device" >/sys/bus/pci/drivers_probe
		[ -e "/sys/bus/pci/drivers/vfio-pci/$device" ] || {
			echo "$device: vfio-pci does not take it"
			return 1
		}
	done
	cd /sys/kernel/debug/tracing || return 1
	# Arguments of the IOMMU driver: domain, address, page, page size, pages.
	cat >kprobe_events <<-'END'
		p:vcma/map intel_iommu_map_pages iova=%si:u64 paddr=%dx:u64 pgsize=%cx:u64 pages=%r8:u64
		p:vcma/unmap intel_iommu_unmap_pages iova=%si:u64 pgsize=%dx:u64 pages=%cx:u64
	END
	echo 4096 >buffer_size_kb
	echo 1 >events/vcma/enable
}

# port NAME: the device file of a virtio port
port()
{
	for d in /sys/class/virtio-ports/*; do
		[ "$(cat "$d/name")" != "$1" ] || echo "/dev/${d##*/}"
	done
}

# receive MIB SIZE NAME: a file on the transfer disk, to /run/NAME
receive()
{
	dd if=/dev/vda of="/run/$3" bs=1M iflag=direct skip="$1" \
		count=$((($2 + 1048575) / 1048576)) 2>/dev/null && truncate -s "$2" "/run/$3"
}

# wait_for TENTHS COMMAND...
wait_for()
{
	n=$1
	shift
	until "$@"; do
		n=$((n - 1))
		[ $n -gt 0 ] || return 1
		sleep 0.1
	done
}

# vcmad_start CONFIGURATION
vcmad_start()
{
	echo "$1" >"$run/vcmad.conf"
	setsid vcmad --config "$run/vcmad.conf" --run-dir "$run" >/run/vcmad.log 2>&1 &
	wait_for 200 grep -q '^vcmad: ready' /run/vcmad.log && return
	cat /run/vcmad.log
	return 1
}

# inner_start QEMU-ARG...: the inner guest's QEMU; the port "life" tells what it says, and that it ended
inner_start()
{
	for arg; do
		shift
		case $arg in
		*@console@) arg=${arg%@*@}$(port console) ;;
		*@control@) arg=${arg%@*@}$(port control) ;;
		esac
		set -- "$@" "$arg"
	done
	setsid sh -c '
		"$@" 2>&1
		echo "inner QEMU ended: $?"' sh \
		qemu-system-x86_64 -L /usr/share/qemu "$@" -kernel /run/kernel -initrd /run/initrd \
		-pidfile /run/inner.pid \
		-chardev "pipe,id=qmp,path=$(port qmp)" -mon chardev=qmp,mode=control \
		-qmp "unix:$run/inner.qmp,server=on,wait=off" >"$(port life)" 2>&1 </dev/null &
}

inner_kill()
{
	kill -KILL "$(cat /run/inner.pid)" 2>/dev/null
	wait_for 100 test ! -e "/proc/$(cat /run/inner.pid)"
}

# maps: what the IOMMU has mapped for vfio-pci by its driver's calls: lines
# "IOVA PADDR PAGE-SIZE", decimal
maps()
{
	grep -o 'iova=.*' /sys/kernel/debug/tracing/trace | tr '=' ' ' | awk '
		# iova I paddr P pgsize S pages N
		$3 == "paddr" {
			for (n = $8; n > 0; n--) {
				paddr[$2] = $4; size[$2] = $6
				$2 += $6; $4 += $6
			}
		}
		# iova I pgsize S pages N: pages of any size in a range
		$3 == "pgsize" {
			end = $2 + $4 * $6
			while ($2 < end) {
				step = $2 in size ? size[$2] : $4
				delete size[$2]
				$2 += step
			}
		}
		END {
			for (i in size)
				printf "%.0f %.0f %.0f\n", i, paddr[i], size[i]
		}' | sort -n
}

# lease_maps: of each lease its first page frame, its bytes, the bytes that the
# IOMMU maps of it, and in pages of which size
lease_maps()
{
	maps >/run/maps
	vcmactl --socket "$run/vcmad.sock" leases --json | tr -d ' ",' | tr ':' ' ' |
		awk '$1 == "pfn" { pfn = $2 } $1 == "size" { printf "%.0f %.0f\n", pfn, $2 }' |
		while read -r pfn size; do
			awk -v pfn="$pfn" -v size="$size" '
				$2 >= pfn * 4096 && $2 < pfn * 4096 + size {
					mapped += $3
					sizes[$3] = 1
				}
				END {
					printf "%d %d %d", pfn, size, mapped
					for (s in sizes)
						printf " %s", s
					print ""
				}' /run/maps
		done
}

# mapped_in FIRST LAST: bytes that the IOMMU maps of this range of guest addresses
mapped_in()
{
	maps | awk -v first="$(($1))" -v last="$(($2))" '
		$1 >= first && $1 <= last { bytes += $3 }
		END { printf "%.0f\n", bytes }'
}

# errors: what the kernel's log has that no test should cause
errors()
{
	dmesg | grep -E 'DMAR:.*(fault|error)|BUG:|WARNING:|Oops|Call Trace'
}
