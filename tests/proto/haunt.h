/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * haunt.h - those who go on touching memory that was given back
 */
#ifndef VCMA_HAUNT_H
#define VCMA_HAUNT_H

#include <stdint.h>

/* The next one: a thread of this process, a process that was sent the descriptors. */
enum { HAUNT_THREAD, HAUNT_PROCESS, HAUNT_GHOSTS };

/**
 * haunt_start - touch granules in a loop until this process ends
 * @map: where they are mapped in this process, side by side
 * @fds: their descriptors, to stay open
 * @nr: at most VCMA_FDS_MAX
 * @granule: bytes
 *
 * Reads, writes, maps anew and grows: what a descriptor and a mapping are good
 * for.  Once in a process.  SIGBUS has to come to haunt_fault().
 *
 * Return: 0 or -errno.
 */
int haunt_start(uint8_t *map, const int *fds, uint32_t nr, uint64_t granule);

/* Attempts of a ghost since this was last called, and how many reached memory. */
void haunt_count(unsigned int ghost, unsigned long *ret_tried, unsigned long *ret_reached);

/* In the handler of a signal: does not return if a ghost's touch was the cause. */
void haunt_fault(void);

#endif /* VCMA_HAUNT_H */
