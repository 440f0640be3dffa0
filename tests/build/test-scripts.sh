#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test-scripts - what the build scripts do to the machine, and do not

# shellcheck disable=SC2016 # commands for check()
set -u
cd "${VCMA_SRC:-$(dirname -- "$0")/../..}" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

number=0 bad=0
check() {	# what, command
	number=$((number + 1))
	if (eval "$2") >"$work/out" 2>&1; then
		echo "ok $number - $1"
	else
		bad=1
		echo "not ok $number - $1"
		sed 's/^/#  /' "$work/out"
	fi
}

# --- which apt entries are Debian's

apt=$work/etc
mkdir -p "$apt/sources.list.d"
cat >"$apt/sources.list" <<'END'
deb http://mirror.example/debian bookworm main contrib # the first one
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://m.example/debian bookworm-updates main
deb-src http://mirror.example/debian bookworm main
#deb http://off.example/debian bookworm main
deb http://docker.example/linux/debian bookworm stable
deb [signed-by=/usr/share/keyrings/other.gpg] http://other.example/debian bookworm main
deb http://backports.example/debian bookworm-backports main
END
cat >"$apt/sources.list.d/debian.sources" <<'END'
# A comment
Types: deb deb-src
URIs: http://sources.example/debian
Suites: bookworm bookworm-updates
Components: main non-free-firmware
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://off2.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb
URIs: http://node.example/node
Suites: nodistro
Components: main
Signed-By: /usr/share/keyrings/node.gpg
END
(cd "$apt" && find . -type f -exec sha256sum {} +) >"$work/before"
scripts/debian-apt source "$work/source" --entries "$apt"
scripts/debian-apt armhf "$work/armhf" --entries "$apt"
cat "$work"/source/sources.list.d/* >"$work/entries" 2>/dev/null
cat "$work"/armhf/sources.list.d/* >"$work/binary" 2>/dev/null

check "one-line entries are taken" 'grep -q "mirror.example/debian bookworm main" "$work/entries"'
check "with their options" 'grep -q "signed-by=.*m.example/debian bookworm-updates" "$work/entries"'
check "deb822 entries are taken" 'grep -q "^URIs: http://sources.example" "$work/entries"'
check "and no others" '! grep -E "off|docker|other|backports|node" "$work/entries"'
check "all of them are deb-src" '! grep -E "^(deb |Types: deb( |\$))" "$work/entries"'
check "for an architecture, they are all deb" \
	'grep -q "^deb .*mirror.example/debian bookworm main" "$work/binary" && ! grep deb-src "$work/binary"'
check "with that architecture and no other" \
	'[ "$(grep -c "^deb .*\[.*\<arch=armhf\]" "$work/binary")" = 2 ] &&
	 grep -q "^Architectures: armhf\$" "$work/binary" && ! grep amd64 "$work/binary"'
check "the machine's own are as they were" \
	'(cd "$apt" && sha256sum -c "$work/before")'
mkdir -p "$work/none/sources.list.d"
check "no Debian entry: the message says so" \
	'! scripts/debian-apt source "$work/source2" --entries "$work/none" 2>"$work/err" &&
	 grep -q "no entry in .* names a Debian" "$work/err"'

# --- dependencies

mkdir "$work/bin"
for tool in sh dirname cat awk mktemp rm id apt-get; do
	ln -s "$(command -v $tool)" "$work/bin/$tool"
done
check "VCMA_DEPS=no names what is missing, and leaves" \
	'! PATH=$work/bin VCMA_DEPS=no scripts/deps build 2>"$work/err" &&
	 grep -q "missing packages:.* pkg-config" "$work/err" &&
	 grep -q "VCMA_DEPS=no" "$work/err"'
check "--try only warns" 'PATH=$work/bin VCMA_DEPS=no scripts/deps --try build'
check "--list has every group" \
	'[ "$(scripts/deps --list | grep -c "^[a-z0-9-]*:$")" = 7 ]'

# --- configure

check "configure --help" './configure --help | grep -q -e --runstatedir'
check "configure refuses what it does not know" \
	'cd "$work" && ! "$OLDPWD/configure" --with-quemu=x 2>"$work/err" &&
	 grep -q "unknown argument .--with-quemu=x" "$work/err"'
check "a directory that is no QEMU" \
	'cd "$work" && ! "$OLDPWD/configure" --with-qemu="$work" 2>"$work/err" &&
	 grep -q "not a QEMU source tree" "$work/err"'
check "a compiler that does not work" \
	'cd "$work" && ! "$OLDPWD/configure" CC=false 2>"$work/err" && grep -q "makes no program" "$work/err"'
check "a compiler that is not there" \
	'cd "$work" && ! "$OLDPWD/configure" CC=nocc 2>"$work/err" && grep -q "Debian package gcc" "$work/err"'
check "none of these wrote config.mak" '[ ! -e "$work/config.mak" ]'

# --- the graft, on a tree that has no more than the lines it looks for

tree=$work/qemu
sed -n '/^edits()/,/^}/p' qemu-device/graft | grep '|' | while IFS='|' read -r file line _; do
	file=${file//[[:blank:]]/}
	mkdir -p "$tree/$(dirname "$file")"
	printf 'first\n%s\nlast\n' "$line" >>"$tree/$file"
done
echo 7.2.99 >"$tree/VERSION"
cp -r "$tree" "$work/original"
tree_sum() {
	(cd "$tree" && find . -type f -exec sha256sum {} + | sort)
}
check "the graft" 'qemu-device/graft "$tree"'
check "the device is in it" '[ -s "$tree/hw/vcma/virtio-cma.c" ] && [ -s "$tree/hw/vcma/wire.c" ]'
tree_sum >"$work/once"
touch -d '1 hour ago' "$tree/hw/meson.build" "$tree/hw/vcma/wire.c"
stat -c '%Y' "$tree/hw/meson.build" "$tree/hw/vcma/wire.c" >"$work/times"
check "once more changes nothing" \
	'qemu-device/graft "$tree" && tree_sum | cmp - "$work/once"'
check "not even a time stamp" \
	'stat -c "%Y" "$tree/hw/meson.build" "$tree/hw/vcma/wire.c" | cmp - "$work/times"'
echo 'int gone;' >"$tree/hw/vcma/old.c"
check "the list of devices for aarch64 is in it" \
	'cmp qemu-device/aarch64.mak "$tree/configs/devices/aarch64-softmmu/vcma.mak"'
check "what an older graft had is removed" 'qemu-device/graft "$tree" && [ ! -e "$tree/hw/vcma/old.c" ]'
rm -rf "$tree"
cp -r "$work/original" "$tree"
sed -i 's/virtio_device_names/renamed/' "$tree/hw/virtio/virtio.c"
tree_sum >"$work/once"
check "a line that is missing is named" \
	'! qemu-device/graft "$tree" 2>"$work/err" && grep -q "virtio.c: expected the line" "$work/err"'
check "and nothing was changed" 'tree_sum | cmp - "$work/once"'
echo 9.1.0 >"$tree/VERSION"
check "another version of QEMU is refused" \
	'! qemu-device/graft "$tree" 2>"$work/err" && grep -q "this is QEMU 9.1.0" "$work/err"'

echo "1..$number"
exit $bad
