# SPDX-License-Identifier: GPL-2.0-or-later
# vcmactl, the operator's tool.

programs += vcmactl
vcmactl-objs = $(addprefix broker/ctl/,main.o options.o connect.o json.o format.o \
	table.o list.o status.o pools.o vms.o leases.o reclaim.o wait_idle.o) \
	broker/ctl/zones.o broker/ctl/zones_source.o broker/ctl/zones_print.o \
	broker/ctl/zones_print_reach.o broker/ctl/zones_json.o $(ctl-zones-objs) broker/size.o $(vcma-client-objs)
vcmactl-libs = $(GLIB_LIBS) $(JSONC_LIBS) $(FDT_LIBS)

# vcmactl zones, apart from I/O.
ctl-zones-objs = $(addprefix broker/ctl/,zones_platform.o zones_tree.o zones_tree_memory.o \
	zones_tree_dma.o zones_tree_device.o zones_listing.o zones_kernel.o zones_class.o \
	zones_window.o zones_advice.o) $(vcma-zone-objs)
man_pages += broker/man/vcmactl.1
