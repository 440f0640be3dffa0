/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcma-board: what virtio-cma has to know of the machine
 */
#ifndef HW_VCMA_BOARD_H
#define HW_VCMA_BOARD_H

#include "vcma-spec.h"

/* A kind of machine on which windows can be fixed. */
typedef struct VcmaBoard {
    const char *machine;        /* QOM type */
    const char *dma_example;    /* a value of property 'dma' that works */
    uint64_t dma_end;           /* where a DMA window ends at the latest */
    /* Can there be a fixed window? */
    bool (*check)(const VcmaSpec *spec, Error **errp);
    /* Tell firmware and kernel that the range is none of their memory. */
    void (*reserve)(uint64_t addr, uint64_t size);
    /* The largest 64-bit BAR, and why: "use at most ... (WHY)". */
    uint64_t (*bar64_limit)(const char **ret_why);
} VcmaBoard;

/* Of the machine that runs; NULL: none of those that are known here. */
const VcmaBoard *vcma_board(void);

/* What the guest finds in a range at the moment. */
typedef enum VcmaSpan {
    VCMA_SPAN_EMPTY,            /* nothing in any part of it */
    VCMA_SPAN_RAM,              /* RAM, all of it */
    VCMA_SPAN_PARTLY,           /* RAM and nothing */
    VCMA_SPAN_TAKEN,            /* something else, in a part at least */
} VcmaSpan;

/* @ret_name: of what is TAKEN, else NULL; free it. */
VcmaSpan vcma_board_look(uint64_t addr, uint64_t size, char **ret_name);

/* Boards: vcma-board-pc.c, vcma-board-virt.c. */
extern const VcmaBoard vcma_board_pc;
extern const VcmaBoard vcma_board_virt;

#endif /* HW_VCMA_BOARD_H */
