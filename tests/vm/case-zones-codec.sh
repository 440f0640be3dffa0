# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: zones-codec
# what: a codec with two ports, each with a bank of its own: host memory of two pools, proved from pagemap
# timeout: 120

# shellcheck disable=SC2016 # what is in single quotes is for the guest
# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/vm/zones.sh
. "$(dirname "$0")/zones.sh"
lib_start zones-codec

turns=8			# each with reclaim before it, and a proof after it
rounds=100		# of a turn and port

# The banks' windows are larger than the banks.
must pool_up 128 <<-'END'
	[pool main]
	backing=hugetlb
	size=64M
	chunk=4M
	[pool left]
	backing=hugetlb
	size=32M
	chunk=2M
	[pool right]
	backing=hugetlb
	size=32M
	chunk=2M
	[vm codec]
	pool=main
	[bank codec 1]
	pool=left
	[bank codec 2]
	pool=right
END
mapfile -t ports < <(edus 10 "$(dma_mask 64)"; edus 11 "$(dma_mask 64)")
must guest_up codec --cma normal=64M+64M:bank=1+64M:bank=2,dma32=32M \
	--module "$(modules test-modules)/vcma_edu.ko" -- "${ports[@]}"
must guest codec 'clients=0000:00:10.0/bank=1,0000:00:11.0/bank=2,1b36:0005
	vcma_load && edu_load && e 10 set mask=64 && e 11 set mask=64'
point ok "windows $(guest codec windows | tr '\n' ' ')"

# turn N: random buffers at both ports at once, then some that stay
turn()
{
	guest codec 'e 10 empty && e 11 empty' >/dev/null || return 1
	vcmactl reclaim codec >/dev/null
	guest codec "
		port() {
			e \$1 torture rounds=$rounds seed=$1\$1 proofs=8 max=4194304 hold=16777216 where=bank\$2 &&
				e \$1 fill size=3145728 limit=12582912 where=bank\$2 proofs=2
		}
		port 10 1 >/tmp/10 2>&1 & left=\$!
		port 11 2 >/tmp/11 2>&1 & right=\$!
		wait \$left && wait \$right &&
			[ \$(cat /tmp/10 /tmp/11 | grep -c 'served=$rounds refused=0 ') = 2 ] ||
			{ cat /tmp/10 /tmp/11; exit 1; }" || return 1
	proof codec >"$run/proof" || {
		cat "$run/proof"
		return 1
	}
	record_frames
}

# in_window BANK ADDRESS
in_window()
{
	local base length

	IFS=: read -r _ base length < <(grep "^bank$1:" "$run/windows")
	[ $(($2)) -ge $((base)) ] && [ $(($2)) -lt $((base + length)) ]
}

# record_frames: the huge pages behind each bank's window at this moment
record_frames()
{
	local bank range frames

	while read -r _ _ range frames _; do
		[[ $range == 0x*-0x* ]] || continue
		for bank in 1 2; do
			! in_window "$bank" "${range%-*}" ||
				seq $((${frames%-*} >> 9)) $((${frames#*-} >> 9)) >>"$run/frames.$bank"
		done
	done <"$run/proof"
	sort -u -o "$run/frames.1" "$run/frames.1"
	sort -u -o "$run/frames.2" "$run/frames.2"
}

guest codec windows >"$run/windows"
touch "$run/frames.1" "$run/frames.2"
for n in $(seq $turns); do
	check "turn $n: $rounds rounds at each port, all in its own bank, says the DMA engine, too" \
		turn "$n"
done

# What the pagemap has said in all turns.
seen()
{
	wc -l <"$run/frames.$1"
}
check "behind bank 1 there were $(seen 1) huge pages, of the 16 of its pool" \
	test "$(seen 1)" -ge 6 -a "$(seen 1)" -le 16
check "behind bank 2 there were $(seen 2)" test "$(seen 2)" -ge 6 -a "$(seen 2)" -le 16
check_eq "none of them behind both" "$(comm -12 "$run/frames.1" "$run/frames.2")" ''

# leases BANK: what vcmad says: POOL PFN LAST-PFN
leases()
{
	vcmactl leases --json | tr -d ' \n' | sed 's/{"lease"/\n&/g' |
		sed -n "s/.*\"bank\":$1,\"pool\":\"\([^\"]*\)\",\"pfn\":\([0-9]*\),\"pfn_last\":\([0-9]*\).*/\1 \2 \3/p"
}

# frames_of BANK POOL: they are of the pool, and the pagemap has shown them behind the bank
frames_of()
{
	local pool first last n=0

	while read -r pool first last; do
		n=$((n + 1))
		[ "$pool" = "$2" ] || return 1
		seq $((first >> 9)) $((last >> 9)) | sort | comm -23 - "$run/frames.$1" | grep . && return 1
	done < <(leases "$1")
	[ $n -gt 0 ]
}
check "to vcmad they are leases of bank 1, of the pool left" frames_of 1 left
check "and of bank 2, of the pool right" frames_of 2 right
sed 's/^/# /' "$run/proof"

# A bank that is full, while there is room in the other one, and in the kernel's own memory.
check "port 1 gets all of its bank" guest codec \
	'e 10 empty && e 10 fill size=2097152 where=bank1 proofs=4 >/tmp/fill; cat /tmp/fill; grep bytes=33554432 /tmp/fill'
check "and nothing beyond it" guest codec \
	'e 10 fill size=4096 >/tmp/fill; cat /tmp/fill; grep "served=0 refused=1 .* ram=0" /tmp/fill'
check "the kernel says why" guest codec "dmesg | grep '00:10.0: .* bank 1'"
check_eq "no client has fallen back to the kernel's memory" "$(guest codec 'vcma fallbacks')" 0
check "port 2 still has its own" guest codec \
	'e 11 empty && e 11 fill size=2097152 where=bank2 >/tmp/fill; cat /tmp/fill; grep bytes=33554432 /tmp/fill'
check_eq "no error in the kernel's log" "$(guest codec errors)" ''
done_testing
