/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-spec: windows as the command line names them
 */
#ifndef HW_VCMA_SPEC_H
#define HW_VCMA_SPEC_H

#include "vcma_virtio.h"

/* SIZE[@ADDR][:bank=N] */
typedef struct VcmaSpec {
    const char *prop;           /* the property that it is of */
    char *text;                 /* as given */
    uint16_t zone;              /* VIRTIO_CMA_ZONE_* */
    uint16_t bank;
    bool fixed;                 /* it has an address */
    uint64_t addr;
    uint64_t size;
} VcmaSpec;

typedef struct VcmaSpecs {
    VcmaSpec spec[VIRTIO_CMA_WINDOWS_MAX];
    unsigned int nr;
} VcmaSpecs;

/*
 * Add the windows of @text, one or more with '+' in between, to @specs.  Only
 * what is written is looked at, not whether it can be had.  False: @errp names
 * the word that is wrong, and how it has to be.
 */
bool vcma_specs_parse(VcmaSpecs *specs, const char *prop, uint16_t zone,
                      const char *text, Error **errp);
void vcma_specs_clear(VcmaSpecs *specs);

/* An error that begins with the property and the window. */
void G_GNUC_PRINTF(3, 4) vcma_spec_error(const VcmaSpec *spec, Error **errp,
                                         const char *fmt, ...);

#endif /* HW_VCMA_SPEC_H */
