#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# test-runner - the judge is judged: tests/run counts what went wrong as wrong

# shellcheck disable=SC2016 # programs

set -u
cd "${VCMA_SRC:-$(dirname -- "$0")/../..}" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

number=0 bad=0
program() {	# name, text: a test program
	{
		echo '#!/bin/sh'
		echo "$2"
	} >"$work/$1"
	chmod +x "$work/$1"
}

expect() {	# what, exit code, last line, arguments of tests/run...
	local what=$1 code=$2 line=$3 status
	shift 3
	tests/run --group x --timeout 1 "$@" >"$work/out" 2>&1
	status=$?
	number=$((number + 1))
	if [ "$status" = "$code" ] && [ "$(tail -n 1 "$work/out")" = "$line" ]; then
		echo "ok $number - $what"
	else
		bad=1
		echo "not ok $number - $what"
		echo "# wanted $code and \"$line\"; got $status and"
		sed 's/^/#  /' "$work/out"
	fi
}

program good 'echo 1..2; echo ok 1 - a; echo ok 2 - b'
program bad 'echo 1..2; echo ok 1 - a; echo not ok 2 - b; exit 1'
program lies 'echo 1..1; echo not ok 1 - a'
program noplan 'echo ok 1 - a'
program short 'echo 1..2; echo ok 1 - a'
program long 'echo 1..1; echo ok 1 - a; echo ok 2 - b'
program silent ':'
program code 'echo 1..1; echo ok 1 - a; exit 3'
program dies 'echo 1..1; echo ok 1 - a; kill -KILL $$'
program hangs 'echo 1..1; echo ok 1 - a; sleep 30'
program bails 'echo 1..1; echo "Bail out! no disk"; exit 1'
program skips 'echo 1..2; echo "ok 1 - a # SKIP not today"; echo ok 2 - b'
program skips_all 'echo "1..0 # SKIP not here"'
program cmocka 'echo 1..2; echo ok 1 - a; echo "not ok 2 # SKIP b"'
program arguments 'echo 1..1; [ "$*" = "-k x" ] && echo ok 1 - a'
program environment 'echo 1..1; [ "$COLOUR" = red ] && echo ok 1 - a'

expect "all is well" 0 "2 passed, 0 failed, 0 skipped" "$work/good"
expect "a point fails" 1 "1 passed, 1 failed, 0 skipped" "$work/bad"
expect "a point fails, the exit code says no" 1 "0 passed, 1 failed, 0 skipped" "$work/lies"
expect "no plan" 1 "1 passed, 1 failed, 0 skipped" "$work/noplan"
expect "fewer points than planned" 1 "1 passed, 1 failed, 0 skipped" "$work/short"
expect "more points than planned" 1 "2 passed, 1 failed, 0 skipped" "$work/long"
expect "nothing at all" 1 "0 passed, 1 failed, 0 skipped" "$work/silent"
expect "an exit code without a reason" 1 "1 passed, 1 failed, 0 skipped" "$work/code"
expect "a program that dies" 1 "1 passed, 1 failed, 0 skipped" "$work/dies"
expect "a program that hangs" 1 "1 passed, 1 failed, 0 skipped" "$work/hangs"
expect "Bail out!" 1 "0 passed, 2 failed, 0 skipped" "$work/bails"
expect "a program that is not there" 1 "0 passed, 1 failed, 0 skipped" "$work/nowhere"
expect "a point is skipped" 0 "1 passed, 0 failed, 1 skipped" "$work/skips"
expect "a program is skipped" 0 "0 passed, 0 failed, 1 skipped" "$work/skips_all"
expect "cmocka's way to skip" 0 "1 passed, 0 failed, 1 skipped" "$work/cmocka"
expect "a group is skipped" 0 "0 passed, 0 failed, 1 skipped" --skip 'no compiler'
expect "no test at all" 1 "0 passed, 1 failed, 0 skipped"
expect "arguments" 0 "1 passed, 0 failed, 0 skipped" "$work/arguments -k x"
expect "environment" 0 "1 passed, 0 failed, 0 skipped" --env COLOUR=red "$work/environment"
expect "after a bad one comes a good one" 1 "3 passed, 1 failed, 0 skipped" \
	"$work/bad" --group y "$work/good"

echo "1..$number"
exit $bad
