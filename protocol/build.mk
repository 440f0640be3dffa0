# SPDX-License-Identifier: BSD-3-Clause
# The objects of the protocol library, for those who link them.  Fragments are
# read in the order of their names: use these in lists set with "=", not ":=".

vcma-wire-objs := protocol/wire.o protocol/wire_text.o protocol/sockio.o
vcma-client-objs := protocol/client.o protocol/client_recv.o protocol/client_request.o \
	$(vcma-wire-objs)
vcma-zone-objs := protocol/zone.o protocol/zone_map.o
vcma-virtio-objs := protocol/virtio_check.o
