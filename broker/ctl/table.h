/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table.h - rows of text in aligned columns
 */
#ifndef VCMA_CTL_TABLE_H
#define VCMA_CTL_TABLE_H

struct table;

/*
 * @headings: one per column, ends with NULL.  A heading that begins with '>'
 * (not shown) makes its column flush right.
 */
struct table *table_new(const char *const *headings);
void table_free(struct table *t);
/* The next cell, row by row; takes @text over. */
void table_take(struct table *t, char *text);
/* The same with a copy of @text. */
void table_add(struct table *t, const char *text);
/* Do not show a column, counted from 0; neither the first nor the last one. */
void table_hide(struct table *t, unsigned int column);
/* All of it, g_free().  An empty cell is shown as "-". */
char *table_to_string(const struct table *t);
/* Print and free. */
void table_print(struct table *t);

#endif /* VCMA_CTL_TABLE_H */
