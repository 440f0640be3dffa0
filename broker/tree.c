// SPDX-License-Identifier: GPL-2.0-or-later
/* tree.c - balanced search tree; see tree.h */

#include "tree.h"

void tree_init(struct tree *t, bool (*less)(const struct tree_node *, const struct tree_node *),
	       void (*update)(struct tree_node *))
{
	t->root = NULL;
	t->less = less;
	t->update = update;
	t->seed = 0x9e3779b97f4a7c15u;
}

/* Steps of a 64-bit xorshift generator: never 0 from a seed that is not. */
static uint64_t next_prio(struct tree *t)
{
	t->seed ^= t->seed << 13;
	t->seed ^= t->seed >> 7;
	t->seed ^= t->seed << 17;
	return t->seed;
}

static void update(const struct tree *t, struct tree_node *n)
{
	if (t->update)
		t->update(n);
}

/* Part @n's tree into members less than @key and the others. */
static void split(const struct tree *t, struct tree_node *n, const struct tree_node *key,
		  struct tree_node **ret_less, struct tree_node **ret_rest)
{
	if (!n) {
		*ret_less = NULL;
		*ret_rest = NULL;
		return;
	}
	if (t->less(n, key)) {
		split(t, n->right, key, &n->right, ret_rest);
		*ret_less = n;
	} else {
		split(t, n->left, key, ret_less, &n->left);
		*ret_rest = n;
	}
	update(t, n);
}

/* Join two trees; all members of @a are less than those of @b. */
static struct tree_node *join(const struct tree *t, struct tree_node *a, struct tree_node *b)
{
	if (!a)
		return b;
	if (!b)
		return a;
	if (a->prio > b->prio) {
		a->right = join(t, a->right, b);
		update(t, a);
		return a;
	}
	b->left = join(t, a, b->left);
	update(t, b);
	return b;
}

static struct tree_node *insert(const struct tree *t, struct tree_node *root, struct tree_node *n)
{
	if (!root || n->prio > root->prio) {
		split(t, root, n, &n->left, &n->right);
		update(t, n);
		return n;
	}
	if (t->less(n, root))
		root->left = insert(t, root->left, n);
	else
		root->right = insert(t, root->right, n);
	update(t, root);
	return root;
}

static struct tree_node *drop(const struct tree *t, struct tree_node *root, struct tree_node *n)
{
	if (!root)
		return NULL;
	if (root == n)
		return join(t, n->left, n->right);
	if (t->less(n, root))
		root->left = drop(t, root->left, n);
	else
		root->right = drop(t, root->right, n);
	update(t, root);
	return root;
}

void tree_insert(struct tree *t, struct tree_node *n)
{
	n->prio = next_prio(t);
	n->left = NULL;
	n->right = NULL;
	t->root = insert(t, t->root, n);
}

void tree_remove(struct tree *t, struct tree_node *n)
{
	t->root = drop(t, t->root, n);
	n->left = NULL;
	n->right = NULL;
}

struct tree_node *tree_first(const struct tree *t)
{
	struct tree_node *n = t->root;

	while (n && n->left)
		n = n->left;
	return n;
}

struct tree_node *tree_find(const struct tree *t,
			    bool (*below)(const struct tree_node *n, const void *key),
			    const void *key)
{
	struct tree_node *n = t->root, *found = NULL;

	while (n) {
		if (below(n, key)) {
			n = n->right;
		} else {
			found = n;
			n = n->left;
		}
	}
	return found;
}

struct tree_node *tree_next(const struct tree *t, const struct tree_node *n)
{
	struct tree_node *i = t->root, *found = NULL;

	while (i) {
		if (t->less(n, i)) {
			found = i;
			i = i->left;
		} else {
			i = i->right;
		}
	}
	return found;
}
