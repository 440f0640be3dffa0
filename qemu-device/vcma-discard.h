/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-discard: whose IOMMU a lease is mapped in
 */
#ifndef HW_VCMA_DISCARD_H
#define HW_VCMA_DISCARD_H

#include "exec/memory.h"
#include "qemu/queue.h"
#include "qom/object.h"

#define TYPE_VCMA_DISCARD "vcma-discard"
OBJECT_DECLARE_SIMPLE_TYPE(VcmaDiscard, VCMA_DISCARD)

typedef struct VcmaDiscardUser VcmaDiscardUser;

/*
 * Somebody who has joined later could not map all of it; @err is -errno.
 * Called in the middle of a change of the memory map.
 */
typedef void VcmaDiscardFunc(VcmaDiscard *d, int err);

struct VcmaDiscard {
    Object parent_obj;

    MemoryRegion *mr;           /* all of it comes and goes; no reference */
    uint64_t size;
    bool populated;
    QTAILQ_HEAD(, VcmaDiscardUser) users;   /* in the order of joining */
    VcmaDiscardFunc *failed;
};

/* Before @mr, which is RAM, goes into a container.  Nothing is populated. */
void vcma_discard_attach(VcmaDiscard *d, MemoryRegion *mr,
                         VcmaDiscardFunc *failed);
/* Have all users map it.  -errno: one of them cannot, so none has. */
int vcma_discard_populate(VcmaDiscard *d);
/* Have all users unmap it.  Before @mr is disabled. */
void vcma_discard_depopulate(VcmaDiscard *d);
/* Is somebody registered? */
bool vcma_discard_is_used(const VcmaDiscard *d);

/* Cause and cure, in words, of an -errno of above; free it. */
char *vcma_discard_why(int err);

#endif /* HW_VCMA_DISCARD_H */
