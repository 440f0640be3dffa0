# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: hostile-dma
# what: a guest starts DMA to leases that it gives back in the same moment, thousands of times: nobody else's memory changes
# timeout: 150

# shellcheck disable=SC2016 # what is in single quotes is for the guest
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/vm/zones.sh
. "$vm/zones.sh"
lib_start hostile-dma

# Two pools, and in the first so little that what alpha gives back is bravo's next
# (I3, I4, I9).  bravo and canary are VM processes without a guest (tests/proto/peer.c).
must pool_up 32 <<-'EOF'
	[pool main]
	backing=hugetlb
	size=20M
	chunk=2M
	[pool other]
	backing=hugetlb
	size=8M
	chunk=2M
	[vm alpha]
	pool=main
	limit=12M
	[vm bravo]
	pool=main
	guarantee=4M/2M
	limit=16M
	[vm canary]
	pool=other
EOF

slots=(10 11 12 13)
shots=1000		# of each slot

declare -A peer_in peer_out

peer_start()
{
	local in out line

	mkfifo "$run/$1.in" "$run/$1.answers"
	"$build/tests/peer" "$run/$1.sock" <"$run/$1.in" >"$run/$1.answers" 2>"$logs/$1.log" 7>&- &
	exec {in}>"$run/$1.in" {out}<"$run/$1.answers"
	peer_in[$1]=$in peer_out[$1]=$out
	# What it says to begin with.
	IFS= read -r -t 10 line <&"$out" && [[ $line == ok* ]] && return
	echo "$1: $line"
	return 1
}

# tell NAME COMMAND...: prints the answer
tell()
{
	local name=$1 line

	shift
	printf '%s\n' "$*" >&"${peer_in[$name]}"
	IFS= read -r -t 40 line <&"${peer_out[$name]}" && echo "$line"
}

# told NAME COMMAND...: the answer is ok, or is shown
told()
{
	local answer

	answer=$(tell "$@")
	[[ $answer == ok* ]] && return
	echo "$*: $answer"
	return 1
}

# keep NAME COUNT: leases full of a pattern, one a granule
keep()
{
	local i

	for ((i = 0; i < $2; i++)); do
		told "$1" lease "kept$i" 2M && told "$1" fill "kept$i" $((i + 1)) || return
	done
}

# kept NAME COUNT: as they were
kept()
{
	local i

	for ((i = 0; i < $2; i++)); do
		told "$1" check "kept$i" $((i + 1)) || return
	done
}

# churn: bravo takes what there is, zero, fills it, finds it as it was, and gives it
# back; prints the PFN of each lease.  Where it gets none the guest has it.
churn()
{
	local name answer had=()

	for name in a b c d; do
		answer=$(tell bravo lease $name 2M 100)
		case $answer in
		ok*)	had+=("$name") ;;
		refused*) ;;
		*)
			echo "lease: $answer" >&2
			return 1 ;;
		esac
	done
	for name in "${had[@]}"; do
		told bravo check "$name" 0 >&2 && told bravo fill "$name" 90 >&2 || return
		tell bravo pfn "$name"
	done
	kept bravo 2 >&2 || return
	for name in "${had[@]}"; do
		told bravo check "$name" 90 >&2 && told bravo release "$name" >&2 || return
	done
}

# churn_while COMMAND...: until it fails, or memory is not as it should be
churn_while()
{
	while "$@"; do
		churn >>"$run/pages" 2>>"$run/churn" || return
		vcmactl reclaim alpha --all >/dev/null 2>&1
		churned=$((churned + 1))
	done
}

# shoot ROUNDS: all slots at once, while a process in the guest gives back what is free
shoot()
{
	guest_timeout=100 guest alpha "
		rm -f /run/enough
		while [ ! -e /run/enough ]; do echo 1 >\$(vcma_dir)/release_idle; done &
		i=0
		for slot in ${slots[*]}; do
			i=\$((i + 1))
			e \$slot shoot rounds=$1 size=2097152 seed=\$i >/run/shots.\$slot &
			pids=\"\$pids \$!\"
		done
		for pid in \$pids; do
			wait \$pid || failed=1
		done
		touch /run/enough
		cat /run/shots.*
		[ -z \"\$failed\" ]"
}

# sum KEY: of all slots
sum()
{
	echo $(($(sed -n "s/.*\<$1=\([0-9]*\).*/\1/p" "$run/shots" | paste -s -d +)))
}

# time_left: $end has not come
time_left()
{
	[ $SECONDS -lt $end ]
}

args=()
for slot in "${slots[@]}"; do
	mapfile -t -O ${#args[@]} args < <(edus "$slot" 0xffffffffffffffff)
done
must guest_up alpha --cma 'normal=64M,clients=all,lease-size=2M' \
	--module "$(modules test-modules)/vcma_edu.ko" -- "${args[@]}"
must peer_start bravo
must peer_start canary
must told bravo on-reclaim busy
must keep bravo 2
must keep canary 4
# strict: what comes from elsewhere would be the guest's own memory.
must guest alpha 'modprobe virtio_pci && modprobe virtio_cma strict=1 &&
	wait_for [ -e "$(vcma_dir)/driver" ] && edu_load && for s in '"${slots[*]}"'; do
		for f in 0 1 2 3 4 5 6 7; do
			[ -e /sys/bus/pci/drivers/vcma_edu/0000:00:$s.$f ] || exit 1
		done
		e $s set mask=64 || exit 1
	done'

churned=0
: >"$run/pages"
: >"$run/churn"
shoot "$shots" >"$run/shots" 2>&1 &
shooter=$!
churn_while is_running $shooter
wait $shooter
check_eq "the guest shoots at all that it gives back" "$? $(sum rounds)" "0 $((shots * ${#slots[@]}))"
sed 's/^/# /' "$run/shots"
pages=$(grep '^ok' "$run/pages" | sort -u | wc -l)
check "bravo's leases were zero, and stayed as it filled them" test ! -s "$run/churn"
sed 's/^/# /' "$run/churn"
echo "# bravo: $churned rounds, $(grep -c '^ok' "$run/pages") leases, on $pages granules; the guest had $(sum served) leases"
check "most shots were at a lease" test "$(sum served)" -ge $((shots * 3))
check "bravo had granules that had been the guest's" test "$pages" -ge 6
check "what bravo keeps is as it was" kept bravo 2
check "what canary keeps in another pool is as it was" kept canary 4
check_eq "the guest's kernel has nothing to say" "$(guest alpha errors)" ''

# --- and it is killed while it shoots

shoot 100000 >"$run/shots" 2>&1 &
shooter=$!
end=$((SECONDS + 3))
churn_while time_left
guest_kill alpha
wait $shooter
check "a killed VM holds nothing" wait_until 100 leases_gone alpha
check "bravo gets zeroes from what it had" churn
check "and nothing wrong before" test ! -s "$run/churn"
check "what bravo keeps is as it was, after the kill" kept bravo 2
check "and so is canary's" kept canary 4
check_eq "no granule is lost" "$(pool_value quarantined)" 0
done_testing
