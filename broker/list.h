/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * list.h - doubly linked lists whose links lie in their members
 *
 * A list is a ring through its head.  A link that is in no list points to
 * itself, so list_del() is always allowed and list_is_empty() of a link says
 * whether it is in a list.
 */
#ifndef VCMA_BROKER_LIST_H
#define VCMA_BROKER_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define list_entry(link, type, member) ((type *)((char *)(link) - offsetof(type, member)))

#define list_for_each(pos, head) for ((pos) = (head)->next; (pos) != (head); (pos) = (pos)->next)

/* As list_for_each(), but @pos may be removed on the way. */
#define list_for_each_safe(pos, tmp, head)                                     \
	for ((pos) = (head)->next, (tmp) = (pos)->next; (pos) != (head);       \
	     (pos) = (tmp), (tmp) = (pos)->next)

static inline void list_init(struct list *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_del(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

/* @l becomes the last; it must be in no list. */
static inline void list_add(struct list *head, struct list *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

#endif /* VCMA_BROKER_LIST_H */
