# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# name: zones-amd64
# what: amd64: ten thousand buffers of each mask, judged by an oracle and by edu's DMA engine
# timeout: 180

# shellcheck source=tests/vm/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/vm/zones.sh
. "$(dirname "$0")/zones.sh"
lib_start zones-amd64
zones_case amd64
done_testing
