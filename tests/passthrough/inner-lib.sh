# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# inner-lib.sh - shell functions inside the inner guest, besides those of tests/vm/guest-lib.sh

# Besides what all tests' guests have, network cards.
# shellcheck disable=SC2154 # guest-lib.sh's
clients=$clients,8086:10d3

# net_up: both network cards, the second one in a network namespace of its own
net_up()
{
	modprobe e1000e && wait_for [ -e /sys/class/net/eth1 ] || return
	unshare -n sleep 100000 >/dev/null 2>&1 &
	echo $! >/run/peer
	wait_for peer_apart && ip link set eth1 netns "$(cat /run/peer)" &&
		ip addr add 10.0.0.1/24 dev eth0 && ip link set eth0 up &&
		peer ip addr add 10.0.0.2/24 dev eth1 && peer ip link set eth1 up &&
		wait_for ping -c 1 -W 1 10.0.0.2 >/dev/null
}

peer_apart()
{
	[ "$(readlink "/proc/$(cat /run/peer)/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

# peer COMMAND...: in the namespace of the second card
peer()
{
	nsenter -t "$(cat /run/peer)" -n "$@"
}

peer_listens()
{
	peer netstat -ltn | grep -q ':9 '
}

# net_digest FILE: what arrives of it at the other card
net_digest()
{
	rm -f /run/received
	# nc would take the end of its input for the end of the connection.
	[ -p /run/silence ] || mkfifo /run/silence
	peer nc -l -p 9 <>/run/silence >/run/received &
	receiver=$!
	wait_for peer_listens && nc 10.0.0.2 9 <"$1"
	wait $receiver
	digest </run/received
}

# windows: first and last address of the device's large BARs, where the windows are
windows()
{
	while read -r first last _; do
		[ $((last - first)) -lt 1048575 ] || echo "$first $last"
	done <"$(vcma_dir)/../resource"
}
