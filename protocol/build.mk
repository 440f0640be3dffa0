# SPDX-License-Identifier: BSD-3-Clause
# The objects of the protocol library, for those who link them.

vcma-zone-objs := protocol/zone.o
