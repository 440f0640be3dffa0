// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * table.c - rows of text in aligned columns
 */
#include "table.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

struct table {
	unsigned int columns;
	gboolean *right, *hidden;
	GPtrArray *cells;	/* the first row is the headings */
};

struct table *table_new(const char *const *headings)
{
	struct table *t = g_new0(struct table, 1);
	unsigned int i;

	t->columns = g_strv_length((char **)headings);
	t->right = g_new0(gboolean, t->columns);
	t->hidden = g_new0(gboolean, t->columns);
	t->cells = g_ptr_array_new_with_free_func(g_free);
	for (i = 0; i < t->columns; i++) {
		t->right[i] = headings[i][0] == '>';
		table_add(t, headings[i] + t->right[i]);
	}
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	g_ptr_array_unref(t->cells);
	g_free(t->right);
	g_free(t->hidden);
	g_free(t);
}

void table_take(struct table *t, char *text)
{
	g_ptr_array_add(t->cells, text);
}

void table_add(struct table *t, const char *text)
{
	table_take(t, g_strdup(text));
}

void table_hide(struct table *t, unsigned int column)
{
	t->hidden[column] = TRUE;
}

static const char *cell(const struct table *t, unsigned int i)
{
	const char *text = g_ptr_array_index(t->cells, i);

	return *text ? text : "-";
}

char *table_to_string(const struct table *t)
{
	GString *s = g_string_new(NULL);
	unsigned int *width = g_new0(unsigned int, t->columns);
	unsigned int i;

	for (i = 0; i < t->cells->len; i++)
		width[i % t->columns] = MAX(width[i % t->columns], strlen(cell(t, i)));
	for (i = 0; i < t->cells->len; i++) {
		unsigned int c = i % t->columns;

		if (t->hidden[c])
			continue;
		if (c)
			g_string_append(s, "  ");
		if (t->right[c])
			g_string_append_printf(s, "%*s", (int)width[c], cell(t, i));
		else if (c + 1 < t->columns)
			g_string_append_printf(s, "%-*s", (int)width[c], cell(t, i));
		else
			g_string_append(s, cell(t, i));
		if (c + 1 < t->columns)
			continue;
		while (s->len && s->str[s->len - 1] == ' ')
			g_string_truncate(s, s->len - 1);
		g_string_append_c(s, '\n');
	}
	g_free(width);
	return g_string_free(s, FALSE);
}

void table_print(struct table *t)
{
	char *s = table_to_string(t);

	fputs(s, stdout);
	g_free(s);
	table_free(t);
}
