# SPDX-License-Identifier: GPL-2.0-or-later
# What `make bench BENCH=broker` runs.  The study has a test of its own.
include broker/core.mk

test_programs += bench-core
bench-core-objs := tests/bench/bench-core.o tests/bench/bench-pool.o $(core-objs)
study-objs := $(addprefix tests/bench/,study.o study-trace.o study-run.o study-vcma.o \
	study-rivals.o bench-pool.o) $(core-objs)
test_programs += bench-study
bench-study-objs := tests/bench/bench-study.o $(study-objs)
unit_tests += test-study
test-study-objs := tests/bench/test-study.o $(study-objs)
test_programs += bench-lease
bench-lease-objs := tests/bench/bench-lease.o $(vcma-wire-objs)
