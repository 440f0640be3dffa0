// SPDX-License-Identifier: GPL-2.0-or-later
/* study.c - the study's tables; see study.h */

#include "study.h"

#include "bench-pool.h"

#define SEED	1

static void print_rate(FILE *out, uint32_t n, uint32_t of)
{
	uint32_t permille = of ? (uint32_t)((uint64_t)n * 1000 / of) : 0;

	fprintf(out, " %u.%u %% |", permille / 10, permille % 10);
}

static void print_score(FILE *out, const struct study_score *s)
{
	fprintf(out, " %u %% |", (s->used_permille + 5) / 10);
	print_rate(out, s->refused, s->wanted);
	print_rate(out, s->got_64m, s->tries);
	print_rate(out, s->got_1g, s->tries);
	fprintf(out, "\n");
}

static void print_loads(FILE *out)
{
	static const struct study_rival *const rivals[] = {
		&study_vcma_256, &study_vcma_64, &study_vcma_16, &study_static, &study_first_fit,
	};
	static const uint32_t loads[] = { 30, 50, 70, 90 };
	struct study_trace trace;
	struct study_score score;
	size_t i, j;

	fprintf(out, "| wanted | how | in use | buffers refused | 64 MiB | 1 GiB |\n");
	fprintf(out, "|---|---|---|---|---|---|\n");
	for (i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		study_trace_make(&trace, loads[i], SEED);
		for (j = 0; j < sizeof(rivals) / sizeof(rivals[0]); j++) {
			study_run(rivals[j], &trace, STUDY_NONE, &score);
			fprintf(out, "| %u %% | %s |", loads[i], rivals[j]->name);
			print_score(out, &score);
		}
		study_trace_free(&trace);
	}
}

static void print_adversaries(FILE *out)
{
	static const struct study_rival *const rivals[] = { &study_vcma_16, &study_first_fit };
	static const char *const names[] = {
		[STUDY_NONE] = "as the others", [STUDY_HOLDER] = "holds its limit",
		[STUDY_SHREDDER] = "keeps every other granule",
		[STUDY_PINNER] = "keeps one granule in 32", [STUDY_PLUGGER] = "plugs and unplugs",
	};
	struct study_trace trace;
	struct study_score score;
	size_t i;
	int a;

	fprintf(out, "| how | VM 0 | in use | buffers refused | 64 MiB | 1 GiB |\n");
	fprintf(out, "|---|---|---|---|---|---|\n");
	study_trace_make(&trace, 70, SEED);
	for (i = 0; i < sizeof(rivals) / sizeof(rivals[0]); i++)
		for (a = STUDY_NONE; a <= STUDY_PLUGGER; a++) {
			study_run(rivals[i], &trace, a, &score);
			fprintf(out, "| %s | %s |", rivals[i]->name, names[a]);
			print_score(out, &score);
		}
	study_trace_free(&trace);
}

/* Granules that the scrubber does until @n of @vm, given back just now, are clean. */
static uint32_t until_clean(struct bench_pool *b, struct core_vm *vm, uint32_t n)
{
	uint64_t id = bench_lease(b, vm, n * GRANULE, 1000, NULL);
	const struct core_lease *lease = core_lease_find(b->core, id);
	const struct core_granule *last = core_lease_granule(lease, n - 1);
	uint32_t done = 0;

	bench_release(b, vm, id);
	while (core_granule_state(last) != GRANULE_CLEAN)
		done += bench_scrub(b, 1);
	return done;
}

/* How long others wait for the scrubber when VM 0 gives back all that it may have. */
static void print_scrubber(FILE *out)
{
	struct bench_pool *b = bench_pool_new(STUDY_GRANULES, 0, NULL, 0, SEED);
	struct core_vm *bad = bench_vm(b, 0, 5, 0, 0, STUDY_LIMIT * GRANULE);
	struct core_vm *good = bench_vm(b, 1, 5, 0, 0, STUDY_LIMIT * GRANULE);
	uint32_t alone = until_clean(b, good, 16), i;
	uint64_t lease[STUDY_LIMIT];

	while (bench_scrub(b, 1))
		;
	for (i = 0; i < STUDY_LIMIT; i++)
		lease[i] = bench_lease(b, bad, GRANULE, 1000, NULL);
	for (i = 0; i < STUDY_LIMIT; i++)
		bench_release(b, bad, lease[i]);
	fprintf(out, "| 16 granules of another VM are clean after | granules scrubbed |\n|---|---|\n");
	fprintf(out, "| alone | %u |\n", alone);
	fprintf(out, "| behind %d of VM 0, vcma: by turns | %u |\n", STUDY_LIMIT,
		until_clean(b, good, 16));
	fprintf(out, "| behind as many, in the order of return | %d |\n", STUDY_LIMIT + 16);
	bench_pool_free(b);
}

void study_print(FILE *out)
{
	print_loads(out);
	fprintf(out, "\n");
	print_adversaries(out);
	fprintf(out, "\n");
	print_scrubber(out);
}
