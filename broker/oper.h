/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * oper.h - the operator's socket
 */
#ifndef VCMA_BROKER_OPER_H
#define VCMA_BROKER_OPER_H

#include <stdbool.h>
#include <stdint.h>

#define OPER_PEERS_MAX		16
#define OPER_WAITERS_MAX	64	/* requests of one operator without an answer */

struct oper;
struct server;

int oper_new(struct server *s, const char *path, struct oper **ret_oper, char **ret_error);
void oper_stop(struct oper *o);
void oper_free(struct oper *o);

/* The end of a turn: answers that are due; connections that have ended. */
bool oper_turn(struct oper *o);
void oper_tick(struct oper *o, uint64_t now);
uint64_t oper_next_tick(const struct oper *o);

#endif /* VCMA_BROKER_OPER_H */
