#pragma once
/* Field tables: which parts of a JSON object go to which members of a C struct. One table drives reading
 * (bytes -> struct, everything else skipped), packing (one allocation per object) and the check against a
 * CRD schema. null is treated as absent, as the API server does; inside an array or a map it is an entry with
 * nothing in it ("" or 0). Of members of a JSON object with the same name the last counts.
 *
 *	struct thing { const char *name; int64_t n; const struct jkv *labels; size_t n_labels; };
 *	static const struct jfield meta[] = {
 *		{"name", J_STR, .offset = offsetof(struct thing, name)},
 *		{"labels", J_MAP, .offset = offsetof(struct thing, labels),
 *		 .count_offset = offsetof(struct thing, n_labels)},
 *		{0}};
 *	static const struct jfield thing_fields[] = {{"metadata", J_OBJECT, .sub = meta}, {0}};
 */
#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/jscan.h"

enum jtype {
	J_STOP = 0, /* ends a table: {0} */
	J_STR,      /* const char *: NULL when absent */
	J_BOOL,     /* bool */
	J_I32,      /* int32_t; out of range is an error */
	J_I64,      /* int64_t */
	J_TIME,     /* struct wall from RFC 3339 */
	J_QTY,      /* int64_t from a quantity (string or number) */
	J_OBJECT,   /* .sub describes members of the SAME struct (offsets from the outermost base) */
	/* Array of structs of .elem_size described by .sub (offsets from the element): pointer at .offset,
	 * size_t count at .count_offset. */
	J_ARRAY,
	J_MAP,     /* object of strings -> array of struct jkv, pointer at .offset, count at .count_offset */
	J_QTY_MAP, /* object of quantities -> array of struct jqty, same shape */
	/* Array: each element is read by .sub into a zeroed struct of .elem_size, then given to
	 * .fold(base, elem). */
	J_EACH,
	J_PRESENT, /* bool: true if the member is there and not null, whatever it is */
};

struct jkv {
	const char *key, *value;
};
struct jqty {
	const char *key;
	int64_t value;
};

struct jfield {
	const char *name; /* NULL: not read from JSON, but packed (a fold fills it) */
	enum jtype type;
	size_t offset;
	const struct jfield *sub;
	size_t count_offset, elem_size;
	/* Keeps what it wants of elem, which dies after the call; what elem points to lives in the same arena as
	 * base's. J_EACH only. */
	void (*fold)(void *base, const void *elem);
};

/* Read one JSON object into the zeroed struct at `base`; strings are copied into `a`. On a type mismatch the
 * error names the path ("status.conditions[2].lastTransitionTime: not an RFC 3339 time"). */
int jread(const struct jfield *table, struct slice json, struct arena *a, void *base, struct err *err);

/* One malloc that holds a copy of the struct at `base` and of every string, array and map that the table
 * names; free() releases all. Pointers not named by the table are copied as they are. */
void *jread_pack(const struct jfield *table, const void *base, size_t size);
