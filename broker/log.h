/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.h - what the daemon says, and how often a peer can make it say so
 */
#ifndef VCMA_BROKER_LOG_H
#define VCMA_BROKER_LOG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define LOG_DOMAIN "vcmad"

#define log_err(...)	log_write(G_LOG_LEVEL_CRITICAL, __VA_ARGS__)
#define log_warn(...)	log_write(G_LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	log_write(G_LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	log_write(G_LOG_LEVEL_DEBUG, __VA_ARGS__)

void log_write(GLogLevelFlags level, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* Who reads: a level and everything more urgent.  Lives as long as the process. */
struct log_sink {
	GLogLevelFlags level;
	bool journal;		/* standard error is the journal */
};

bool log_level_known(const char *name);
int log_level_set(struct log_sink *sink, const char *name);
void log_start(struct log_sink *sink);

/**
 * struct log_rate - a bucket of log lines for what one peer causes (I9)
 * @tokens: lines that may still be written
 * @refilled: when it got the latest one, ms
 * @dropped: lines since the latest one that was written
 */
struct log_rate {
	unsigned int tokens;
	uint64_t refilled;
	unsigned int dropped;
};

#define LOG_RATE_BURST		10
#define LOG_RATE_REFILL_MS	2000

void log_rate_init(struct log_rate *rate, uint64_t now);
bool log_rate_ok(struct log_rate *rate, uint64_t now);

/* Info line about a peer, or nothing if it has caused too many. */
#define log_peer(rate, level, ...) \
	do { \
		if (log_rate_ok(rate, now_ms())) \
			log_write(level, __VA_ARGS__); \
	} while (0)

#endif /* VCMA_BROKER_LOG_H */
