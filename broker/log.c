// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * log.c - log lines to standard error or, under systemd, to the journal
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

static const struct {
	const char *name;
	GLogLevelFlags level;
} levels[] = {
	{ "error", G_LOG_LEVEL_CRITICAL },
	{ "warning", G_LOG_LEVEL_WARNING },
	{ "info", G_LOG_LEVEL_INFO },
	{ "debug", G_LOG_LEVEL_DEBUG },
};

static const char *level_prefix(GLogLevelFlags level)
{
	if (level <= G_LOG_LEVEL_CRITICAL)
		return "error: ";
	if (level <= G_LOG_LEVEL_WARNING)
		return "warning: ";
	return level >= G_LOG_LEVEL_DEBUG ? "debug: " : "";
}

/**
 * log_write - one line
 * @level: how urgent
 * @fmt: without a newline
 *
 * Keeps errno.
 */
void log_write(GLogLevelFlags level, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	g_log_structured(LOG_DOMAIN, level, "MESSAGE", "%s", text);
	g_free(text);
	errno = saved;
}

static GLogWriterOutput write_line(GLogLevelFlags level, const GLogField *fields, gsize n,
				   gpointer user_data)
{
	const struct log_sink *sink = user_data;

	level &= G_LOG_LEVEL_MASK;
	if (level > sink->level)
		return G_LOG_WRITER_HANDLED;
	if (sink->journal &&
	    g_log_writer_journald(level, fields, n, NULL) == G_LOG_WRITER_HANDLED)
		return G_LOG_WRITER_HANDLED;
	for (gsize i = 0; i < n; i++) {
		if (strcmp(fields[i].key, "MESSAGE"))
			continue;
		fprintf(stderr, "vcmad: %s%s\n", level_prefix(level),
			(const char *)fields[i].value);
	}
	fflush(stderr);
	return G_LOG_WRITER_HANDLED;
}

bool log_level_known(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(levels); i++)
		if (!strcmp(levels[i].name, name))
			return true;
	return false;
}

/**
 * log_level_set - choose what is worth a line
 * @sink: where lines go
 * @name: error, warning, info or debug
 *
 * Return: 0, or -EINVAL: unknown name.
 */
int log_level_set(struct log_sink *sink, const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(levels); i++) {
		if (strcmp(levels[i].name, name))
			continue;
		sink->level = levels[i].level;
		return 0;
	}
	return -EINVAL;
}

/**
 * log_start - send the lines of this process to @sink; once in a process
 * @sink: has to outlive the process's last log line
 */
void log_start(struct log_sink *sink)
{
	sink->journal = g_log_writer_is_journald(STDERR_FILENO);
	g_log_set_writer_func(write_line, sink, NULL);
}

void log_rate_init(struct log_rate *rate, uint64_t now)
{
	rate->tokens = LOG_RATE_BURST;
	rate->refilled = now;
	rate->dropped = 0;
}

/**
 * log_rate_ok - may this peer cause another line?
 * @rate: its bucket
 * @now: ms
 *
 * Return: true if so; it has been taken from the bucket then.
 */
bool log_rate_ok(struct log_rate *rate, uint64_t now)
{
	uint64_t n = (now - rate->refilled) / LOG_RATE_REFILL_MS;

	if (n) {
		rate->tokens = (unsigned int)MIN(rate->tokens + n, LOG_RATE_BURST);
		rate->refilled += n * LOG_RATE_REFILL_MS;
	}
	if (!rate->tokens) {
		rate->dropped++;
		return false;
	}
	rate->tokens--;
	if (rate->dropped)
		log_write(G_LOG_LEVEL_INFO, "%u lines about this peer were left out", rate->dropped);
	rate->dropped = 0;
	return true;
}
