/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tree.h - balanced search tree whose nodes lie in their members
 *
 * DOC: Theory of operation
 *
 * A treap: a search tree by the caller's order and at the same time a heap by
 * a pseudo-random priority, so that its shape is that of a tree filled in
 * random order, whatever the order of the insertions.  Depth is O(log n) with
 * overwhelming probability: about 50 at a million nodes.  No allocation, no
 * parent pointers.  A node may carry a summary of its subtree, which update()
 * computes from the node and its two children; the tree calls it bottom-up
 * wherever a subtree has changed.
 */
#ifndef VCMA_BROKER_TREE_H
#define VCMA_BROKER_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_node {
	struct tree_node *left, *right;
	uint64_t prio;
};

/**
 * struct tree - a search tree
 * @root: NULL when empty
 * @less: strict order; no two members are equal
 * @update: recompute the summary of a node, or NULL
 * @seed: state of the generator of priorities
 */
struct tree {
	struct tree_node *root;
	bool (*less)(const struct tree_node *a, const struct tree_node *b);
	void (*update)(struct tree_node *n);
	uint64_t seed;
};

#define tree_entry(node, type, member) ((type *)((char *)(node) - offsetof(type, member)))

void tree_init(struct tree *t, bool (*less)(const struct tree_node *, const struct tree_node *),
	       void (*update)(struct tree_node *));
void tree_insert(struct tree *t, struct tree_node *n);
/* @n must be in the tree. */
void tree_remove(struct tree *t, struct tree_node *n);
struct tree_node *tree_first(const struct tree *t);
/*
 * The first member for which below() is false; NULL if there is none.
 * below() must be true for all members up to some point, and false from there.
 */
struct tree_node *tree_find(const struct tree *t,
			    bool (*below)(const struct tree_node *n, const void *key),
			    const void *key);
/* The member after @n. */
struct tree_node *tree_next(const struct tree *t, const struct tree_node *n);

#endif /* VCMA_BROKER_TREE_H */
