# SPDX-License-Identifier: GPL-2.0-or-later
# What `make bench BENCH=broker` runs.  The study has a test of its own.
include broker/core.mk

test_programs += bench-core
bench-core-objs := tests/bench/bench-core.o tests/bench/bench-pool.o $(core-objs)
