/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * study.h - a day of churn, for vcma and for what one might do instead
 *
 * DOC: Theory of operation
 *
 * A trace says when which VM wants a buffer of which size, and for how long; it is
 * made from a seed, with integers only, and is the same for all allocators and on
 * all machines.  Every ten minutes some VMs ask for 64 MiB and for 1 GiB in one
 * piece, and give it back at once if they get it: how often they do is the result.
 * An adversary may take part: a VM that does not follow the trace but does what
 * harms others most.
 *
 * Time is counted in minutes, and what is given back is clean in the next one: how
 * long the scrubber takes is another matter (study_scrubber()).
 */
#ifndef VCMA_TESTS_STUDY_H
#define VCMA_TESTS_STUDY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define STUDY_MINUTES	1440
#define STUDY_VMS	16
#define STUDY_GRANULES	32768		/* 64 GiB in granules of 2 MiB */
#define STUDY_LIMIT	8192		/* granules: 16 GiB for each VM */

/* A buffer; it ends at the beginning of minute @end. */
struct study_buffer {
	uint32_t begin, end;
	uint32_t vm;
	uint32_t granules;
};

struct study_trace {
	struct study_buffer *buffer;	/* by @begin */
	uint32_t nr;
};

/* @load: what all VMs together want, in percent of the pool. */
void study_trace_make(struct study_trace *ret, uint32_t load, uint64_t seed);
void study_trace_free(struct study_trace *trace);

/**
 * struct study_rival - a way to share the pool
 * @lease: a handle, or 0: refused
 * @release: what was leased is not needed any more
 * @minute: another one begins
 */
struct study_rival {
	const char *name;
	void *(*make)(void);
	void (*free)(void *self);
	uint64_t (*lease)(void *self, uint32_t vm, uint32_t granules);
	void (*release)(void *self, uint32_t vm, uint64_t handle, uint32_t granules);
	void (*minute)(void *self, uint32_t now);
};

/* Guests keep what they free for half an hour, or until they are asked for it. */
extern const struct study_rival study_vcma_256, study_vcma_64, study_vcma_16;
/* A sixteenth of the pool for each VM, and no more. */
extern const struct study_rival study_static;
/* The lowest free run, whoever asks, up to the same limit. */
extern const struct study_rival study_first_fit;

/* What VM 0 does instead of following the trace. */
enum study_adversary {
	STUDY_NONE,	/* it follows the trace */
	STUDY_HOLDER,	/* has all that it may have, in leases of 256 MiB, all day long */
	STUDY_SHREDDER,	/* to its limit in single granules, then gives back every other one */
	STUDY_PINNER,	/* keeps one in 32 only, a sixteenth of its limit at most */
	STUDY_PLUGGER,	/* takes and gives back 32 MiB, as often as it can */
};

struct study_score {
	uint32_t used_permille;		/* of the pool, mean over the day */
	uint32_t wanted, refused;	/* buffers of the trace, of VMs 1 to 15 */
	uint32_t tries;			/* for each of the two sizes */
	uint32_t got_64m, got_1g;
};

void study_run(const struct study_rival *rival, const struct study_trace *trace,
	       enum study_adversary adversary, struct study_score *ret);

/* Everything, as tables: the same text on every machine. */
void study_print(FILE *out);

#endif /* VCMA_TESTS_STUDY_H */
