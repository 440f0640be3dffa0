/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * size.h - sizes as people write them: "64M", "1G"
 *
 * Pure.  One way to read and write sizes in the configuration file, on command
 * lines and in what tools print.  Units are powers of 1024.
 */
#ifndef VCMA_BROKER_SIZE_H
#define VCMA_BROKER_SIZE_H

#include <stddef.h>
#include <stdint.h>

#define SIZE_TEXT_MAX 24	/* room for any size_format(), with its NUL */

/*
 * Read @text: digits, then nothing or one of K, M, G, T (either case), then
 * nothing or "iB" ("64M" and "64MiB" are the same).  0; -EINVAL: not a size;
 * -ERANGE: does not fit in 64 bits.
 */
int size_parse(const char *text, uint64_t *ret_size);

/*
 * Write @size with the largest unit that loses nothing, so that size_parse()
 * gives it back: "192M", "1G", "4K", "1", "0".  Returns @buf.
 */
const char *size_format(uint64_t size, char buf[SIZE_TEXT_MAX]);

#endif /* VCMA_BROKER_SIZE_H */
