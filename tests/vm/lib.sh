# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# lib.sh - what the VM cases and the demo share: a vcmad of their own, guests, cleanup

src=${VCMA_SRC:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
build=${VCMA_BUILD:-$src/build}
vm=$src/tests/vm
export VCMA_BUILD=$build VCMA_SRC=$src

vcmad_pid=''
run=''			# directory of this run: sockets, configuration, disks

# lib_start NAME: call it first.  Everything is undone at exit, however it comes.
lib_start()
{
	lib_name=$1
	logs=$build/tests/vm/$lib_name
	mkdir -p "$logs"
	# Short, because socket addresses are.
	run=$(mktemp -d /tmp/vcma.XXXXXX) || exit 1
	trap lib_end EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# shellcheck disable=SC2317 # the trap calls it
lib_end()
{
	local code=$?

	trap - EXIT
	trap '' HUP INT TERM
	lib_stop
	rm -rf "$run"
	exit "$code"
}

# ours: processes of this run but for vcmad; all have its directory in their arguments
ours()
{
	local file pid

	for file in /proc/[0-9]*/cmdline; do
		pid=${file#/proc/}
		pid=${pid%/*}
		[ "$pid" != "$vcmad_pid" ] && [ "$pid" != $$ ] &&
			tr '\0' ' ' 2>/dev/null <"$file" | grep -q -F "$run/" && is_running "$pid" &&
			echo "$pid"
	done
	return 0
}

# lib_stop: no process and no huge page of ours is left
lib_stop()
{
	local signal pids

	for signal in TERM TERM KILL; do
		pids=$(ours)
		[ -n "$pids" ] || break
		# shellcheck disable=SC2086 # a list
		kill -$signal $pids 2>/dev/null
		wait_until 30 none_of_ours
	done
	vcmad_stop
	"$src/scripts/hugepages" --owner $$ restore
}

none_of_ours()
{
	[ -z "$(ours)" ]
}

# parallel COMMAND NAME...: COMMAND NAME for all at once; outcome NAME tells how it went
parallel()
{
	parallel_start "$@"
	parallel_wait
}

parallel_start()
{
	local command=$1 name

	shift
	parallel_pids=()
	for name; do
		{
			"$command" "$name" >"$run/$name.out" 2>&1
			echo $? >"$run/$name.code"
		} &
		parallel_pids+=($!)
	done
}

parallel_wait()
{
	wait "${parallel_pids[@]}"
}

outcome()
{
	cat "$run/$1.out"
	return "$(cat "$run/$1.code")"
}

is_running()
{
	grep -q '^State:[[:space:]]*[^ZX]' "/proc/$1/status" 2>/dev/null
}

# wait_until TENTHS COMMAND...
wait_until()
{
	local i tenths=$1

	shift
	for ((i = 0; i < tenths; i++)); do
		"$@" && return 0
		sleep 0.1
	done
	"$@"
}

# --- vcmad

vcmactl()
{
	timeout 60 "$build/vcmactl" --socket "$run/vcmad.sock" "$@"
}

# record COMMAND NAME: the lines of one record of vcmactl COMMAND --json
record()
{
	vcmactl "$1" --json | sed -n "/^    \"name\": \"$2\"/,/^  }/p"
}

# value KEY: of the record on standard input
value()
{
	sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\).*/\1/p" | head -n 1
}

pool_value()
{
	record pools main | value "$1"
}

vm_value()
{
	record vms "$1" | value "$2"
}

# mib COMMAND...: its output, bytes, in MiB
mib()
{
	echo $(($("$@") >> 20))
}

charged_mib()
{
	mib vm_value "$1" charged
}

leased_mib()
{
	mib vm_value "$1" leased
}

# leases_gone NAME: it has none, and nothing is in motion
leases_gone()
{
	vcmactl wait-idle && [ "$(leased_mib "$1")" = 0 ]
}

clean_mib()
{
	echo $(($(pool_value clean) * $(pool_value granule_size) >> 20))
}

# refusal NAME: the latest one, in words
refusal()
{
	vm_value "$1" text
}

# Descriptor 7 is the demo's lock: who outlives the demo must not keep it.

# vcmad_up: starts it; 1 if it refused to
vcmad_up()
{
	"$build/vcmad" --config "$run/vcmad.conf" --run-dir "$run" >"$logs/vcmad.log" 2>&1 7>&- &
	vcmad_pid=$!
	wait_until 150 vcmad_decided
	vcmad_answers
}

vcmad_answers()
{
	vcmactl status >/dev/null 2>&1
}

vcmad_decided()
{
	vcmad_answers || ! is_running "$vcmad_pid"
}

vcmad_stop()
{
	[ -n "$vcmad_pid" ] || return 0
	kill -TERM "$vcmad_pid" 2>/dev/null
	wait_until 50 not_running "$vcmad_pid" || kill -KILL "$vcmad_pid" 2>/dev/null
	wait "$vcmad_pid" 2>/dev/null
	vcmad_pid=''
}

not_running()
{
	! is_running "$1"
}

# pool_up MIB: huge pages and a vcmad with the configuration on standard input
pool_up()
{
	local try

	cat >"$run/vcmad.conf"
	# Twice as many: whole chunks are chosen from them.
	"$src/scripts/hugepages" --owner $$ reserve $(($1 * 2)) || return 1
	# Another vcmad that starts on this machine may have them for a moment.
	for try in 1 2 3 4 5; do
		vcmad_up && return
		sleep "$try"
	done
	tail -n 5 "$logs/vcmad.log" >&2
	return 1
}

# --- guests

# modules DIRECTORY [ARCH]: where the build has an architecture's modules
modules()
{
	case ${2:-amd64} in
	amd64)	echo "$build/$1" ;;
	*)	echo "$build/$1-$2" ;;
	esac
}

# guest_up NAME [--arch ARCH] [--bus BUS] [--cma OPTIONS] [GUEST-RUN-OPTION]... [-- QEMU-ARG...]
# A guest with a virtio-cma device, for vcmad the VM of the same name.  OPTIONS
# are the device's windows.  On i386 all BARs have to be below 4 GiB: Debian's
# kernel cuts off what is above in ioremap(), even for virtio's own registers.
guest_up()
{
	local name=$1 arch=amd64 bus=pcie.0 cma='' args=() arg

	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		case $1 in
		--arch)	arch=$2 ;;
		--bus)	bus=$2 ;;
		--cma)	cma=$2 ;;
		*)
			args+=("$1")
			shift
			continue ;;
		esac
		shift 2
	done
	case $arch in
	amd64|arm64) : "${cma:=normal=1G,dma32=128M}" ;;
	*)	: "${cma:=dma32=128M}" ;;
	esac
	for arg in "${@:2}" \
		-object "vcma-broker,id=b0,path=$run/$name.sock" \
		-device "virtio-cma-pci,id=cma0,broker=b0,$cma,bus=$bus"; do
		args+=(--qemu-arg "$arg")
	done
	"$vm/guest-run" --arch "$arch" --control "$run/$name.ctl" --name "$lib_name/$name" \
		--life 600 --module virtio_pci --module nvme --module ext4 \
		--module "$(modules driver "$arch")/virtio_cma.ko" \
		--module "$(modules test-modules "$arch")/vcma_test.ko" \
		--file "$vm/guest-lib.sh:/root/lib.sh" --append unknown_nmi_panic \
		"${args[@]}" 7>&-
}

# guest NAME COMMAND...: in the guest, with the functions of guest-lib.sh
guest()
{
	local name=$1 code

	shift
	"$vm/guest-ctl" --timeout "${guest_timeout:-60}" "$run/$name.ctl" ". /root/lib.sh; $*"
	code=$?
	[ "$code" != 124 ] || guest_hangs "$name"
	return "$code"
}

# guest_hangs NAME: what can be seen of it from outside; the NMI makes its kernel say more
guest_hangs()
{
	local command

	for command in 'info status' 'info registers -a' 'info chardev' 'info irq' nmi; do
		guest_ctl "$1" --hmp "$command"
	done >"$logs/$1.hang" 2>&1
	sleep 2
	echo "$1 hangs, see $logs/$1.hang and its console.log"
}

guest_ctl()
{
	local name=$1

	shift
	"$vm/guest-ctl" --timeout "${guest_timeout:-60}" "$run/$name.ctl" "$@"
}

guest_kill()
{
	[ ! -e "$run/$1.ctl.pid" ] || "$vm/guest-ctl" "$run/$1.ctl" --kill
}

# proof NAME...: rows and judgement of pagemap-proof
proof()
{
	local name args=()

	for name; do
		args+=("$name=$run/$name.ctl.qmp")
	done
	timeout 30 "$build/tests/pagemap-proof" "${args[@]}"
}

# leased NAME ADDRESS: the guest address is in a lease, says the proof in $run/proof
leased()
{
	local name first last

	while read -r name _ first _; do
		[ "$name" = "$1" ] || continue
		last=${first#*-}
		first=${first%-*}
		[ $(($2)) -lt $((first)) ] || [ $(($2)) -gt $((last)) ] || return 0
	done <"$run/proof"
	cat "$run/proof"
	return 1
}

# registers NAME ADDRESS COUNT: 64-bit words of guest-physical memory, from QEMU
registers()
{
	guest_ctl "$1" --hmp "xp /$3gx $2" | sed 's/^[^:]*: *//' | tr '\n' ' '
}

# make_disk FILE MIB: an ext4 file system
make_disk()
{
	truncate -s "$2M" "$1" && PATH=$PATH:/usr/sbin:/sbin mkfs.ext4 -q -F "$1" >/dev/null
}

# --- TAP

points=0

# point ok|not\ ok TEXT
point()
{
	points=$((points + 1))
	printf '%s %d - %s\n' "$1" "$points" "$2"
}

# check TEXT COMMAND...: a point; the output is shown if it fails
check()
{
	local text=$1 output

	shift
	if output=$("$@" 2>&1); then
		point ok "$text"
	else
		point 'not ok' "$text"
		printf '%s\n' "$output" "exit code of: $*" | sed 's/^/# /'
		return 1
	fi
}

# check_eq TEXT IS WANTED
check_eq()
{
	if [ "$2" = "$3" ]; then
		point ok "$1"
	else
		point 'not ok' "$1"
		printf '# is:     %s\n# wanted: %s\n' "$2" "$3"
		return 1
	fi
}

# must COMMAND...: what the rest of the case cannot do without
must()
{
	"$@" >"$run/must" 2>&1 && return
	point 'not ok' "set-up: $*"
	sed 's/^/# /' "$run/must"
	[ ! -s "$logs/vcmad.log" ] || tail -n 15 "$logs/vcmad.log" | sed 's/^/# vcmad: /'
	done_testing
	exit 1
}

done_testing()
{
	printf '1..%d\n' "$points"
}
