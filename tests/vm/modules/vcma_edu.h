/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vcma_edu.h - what the files of vcma_edu.ko share
 *
 * Locks: a device's mutex protects all in its struct, and is held during a
 * command.  Function 0 of a slot takes those of its sisters as well, in order.
 * The list of devices and the tree of buffers have mutexes of their own, inside.
 */
#ifndef VCMA_EDU_H
#define VCMA_EDU_H

#include <linux/dma-mapping.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rbtree.h>

#define VCMA_EDU_BUFFERS 8192
#define VCMA_EDU_WINDOWS 16
#define VCMA_EDU_RAM VCMA_EDU_WINDOWS	/* the place of what is in no window */
#define VCMA_EDU_PLACES (VCMA_EDU_RAM + 1)
#define VCMA_EDU_SISTERS 8
#define VCMA_EDU_SHOT 0xdbdbdbdbdbdbdbdbULL	/* what `shoot' writes */

struct vcma_edu;

/**
 * struct vcma_edu_buf - a buffer that a device has
 * @node: in the tree of all buffers of all devices, by address
 * @edu: whose
 * @cookie: what dma_alloc_attrs() returned
 * @cpu: where the CPU finds it; @cookie, unless there is no kernel mapping
 * @dma: its address
 * @size: bytes that were asked for
 * @bytes: whole pages
 * @attrs: DMA attributes
 * @place: number of its window, or VCMA_EDU_RAM
 * @mark: a word that each of its pages has, and no page of another buffer
 * @proved: the DMA engine has been there
 */
struct vcma_edu_buf {
	struct rb_node node;
	struct vcma_edu *edu;
	void *cookie;
	void *cpu;
	dma_addr_t dma;
	size_t size;
	size_t bytes;
	unsigned long attrs;
	unsigned int place;
	u64 mark;
	bool proved;
};

/**
 * struct vcma_edu_tally - what a command has counted
 * @served: allocations
 * @refused: those that might wait and failed
 * @refused_atomic: those that might not
 * @place: of those that were served
 * @held_max: bytes held at once
 * @proved: buffers that the DMA engine has been to
 * @reads: by the DMA engine, from the guest's memory
 * @writes: by it, to the guest's memory
 * @errors: what must not be
 * @first_error: in words
 */
struct vcma_edu_tally {
	u64 rounds, served, refused, refused_atomic;
	u64 place[VCMA_EDU_PLACES];
	u64 held_max;
	u64 proved, reads, writes;
	u64 errors;
	char first_error[200];
};

/**
 * struct vcma_edu_args - of a command, all in KEY=VALUE
 * @where: a bit for each place where a buffer may be
 * @zone: flags for the page allocator
 */
struct vcma_edu_args {
	u64 mask, coherent, boundary, forbid;
	u64 rounds, seed, max, hold, proofs, atomic, nomap, where;
	u64 size, min, limit, zone, order, count;
};

/**
 * struct vcma_edu - a bound device
 * @node: in the list of all
 * @regs: its registers
 * @forbid: address bits that the hardware does not have
 * @random: state of the generator
 * @buf: its buffers
 * @held: bytes in them
 * @tally: of the present or latest command
 * @result: its answer
 */
struct vcma_edu {
	struct list_head node;
	struct pci_dev *pdev;
	void __iomem *regs;
	struct mutex lock;	/* of all that follows */
	u64 forbid;
	u64 random;
	struct vcma_edu_buf **buf;
	unsigned int nr;
	u64 held;
	struct vcma_edu_tally tally;
	char result[2048];
};

/**
 * struct vcma_edu_job - bytes that the DMA engine reads and writes
 * @what: for the message
 * @cpu: where the CPU sees them
 * @dma: where the engine shall
 * @bytes: how many, a multiple of 8
 * @seed: of the pattern
 * @guard: a word of the page that no transfer may touch, or NULL
 * @sync: for a streaming map, its device; else NULL
 */
struct vcma_edu_job {
	const char *what;
	void *cpu;
	u64 dma;
	unsigned int bytes;
	u64 seed;
	u64 *guard;
	struct device *sync;
};

__printf(2, 3) void vcma_edu_fail(struct vcma_edu *t, const char *fmt, ...);
__printf(3, 4) int vcma_edu_refuse(struct vcma_edu *t, int err, const char *fmt, ...);
__printf(2, 3) void vcma_edu_say(struct vcma_edu *t, const char *fmt, ...);
u64 vcma_edu_random(struct vcma_edu *t);

/* vcma_edu_oracle.c: is it right what was allocated? */
int vcma_edu_windows_parse(const char *text);
const char *vcma_edu_place_name(unsigned int place);
u64 vcma_edu_places(const char *name);
struct vcma_edu_buf *vcma_edu_alloc(struct vcma_edu *t, size_t size, gfp_t gfp,
				    unsigned long attrs, u64 where);
void vcma_edu_free(struct vcma_edu *t, unsigned int i);
void vcma_edu_judge_address(struct vcma_edu *t, const char *what, u64 dma, u64 bytes, u64 mask);
void vcma_edu_mark(struct vcma_edu_buf *b);
ssize_t vcma_edu_spans(struct vcma_edu *t, char *text, size_t room);

/* vcma_edu_engine.c: the device's word for it */
void vcma_edu_run_jobs(struct vcma_edu *t, struct vcma_edu_job *jobs, unsigned int nr);
void vcma_edu_prove(struct vcma_edu *t, struct vcma_edu_buf **buf, unsigned int nr);
unsigned int vcma_edu_sisters_get(struct vcma_edu *t, struct vcma_edu **ret);
void vcma_edu_sisters_put(struct vcma_edu **sister, unsigned int nr);
void vcma_edu_add(struct vcma_edu *t);
void vcma_edu_del(struct vcma_edu *t);

/* vcma_edu_torture.c, vcma_edu_pages.c, vcma_edu_shoot.c: commands */
int vcma_edu_cmd_torture(struct vcma_edu *t, const struct vcma_edu_args *arg);
int vcma_edu_cmd_fill(struct vcma_edu *t, const struct vcma_edu_args *arg);
int vcma_edu_cmd_empty(struct vcma_edu *t, const struct vcma_edu_args *arg);
int vcma_edu_cmd_pages(struct vcma_edu *t, const struct vcma_edu_args *arg);
int vcma_edu_cmd_stream(struct vcma_edu *t, const struct vcma_edu_args *arg);
int vcma_edu_cmd_map(struct vcma_edu *t, const struct vcma_edu_args *arg);
int vcma_edu_cmd_sgtable(struct vcma_edu *t, const struct vcma_edu_args *arg);
int vcma_edu_cmd_shoot(struct vcma_edu *t, const struct vcma_edu_args *arg);

#endif /* VCMA_EDU_H */
