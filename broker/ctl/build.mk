# SPDX-License-Identifier: GPL-2.0-or-later
# vcmactl, the operator's tool.

programs += vcmactl
vcmactl-objs = $(addprefix broker/ctl/,main.o options.o connect.o json.o format.o \
	table.o list.o status.o pools.o vms.o leases.o reclaim.o wait_idle.o) \
	broker/size.o $(vcma-client-objs)
vcmactl-libs = $(GLIB_LIBS) $(JSONC_LIBS)
man_pages += broker/man/vcmactl.1
