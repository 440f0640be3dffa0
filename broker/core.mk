# SPDX-License-Identifier: GPL-2.0-or-later
# Objects of the core, for the daemon and for the unit tests: both include this.
core-objs := $(addprefix broker/,core.o report.o check.o pool_index.o wait.o plan.o \
	place.o policy.o reclaim.o notify.o lease.o debt.o chunk.o granule.o buddy.o \
	extent.o tree.o chunk_select.o sim_pattern.o) protocol/zone.o
