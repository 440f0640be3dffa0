/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zones_advice.h - the windows that zones_advice.c chooses from
 *
 * Private to zones_advice.c and zones_window.c.
 */
#ifndef VCMA_CTL_ZONES_ADVICE_H
#define VCMA_CTL_ZONES_ADVICE_H

#include "zones.h"

#define HEX "0x%" G_GINT64_MODIFIER "x"
#define ADDRESS "0x%08" G_GINT64_MODIFIER "x"

static inline bool zones_is_arm(const struct zones_platform *p)
{
	return p->arch == ZONES_ARM64 || p->arch == ZONES_ARM;
}

/* Fill @a->windows, the highest first. */
void zones_windows(struct zones_advice *a, const struct zones_platform *p,
		   const GPtrArray *classes);
/* Add one for a class that reaches none of them; false: there is no place for it. */
bool zones_window_for(struct zones_advice *a, const struct zones_platform *p,
		      const struct zones_class *c);
/* Why there is none, g_free(). */
char *zones_why_none(const struct zones_platform *p, const struct zones_class *c);

#endif /* VCMA_CTL_ZONES_ADVICE_H */
