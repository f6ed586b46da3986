#pragma once
/* Names of resources and their URL paths. */
#include <stdbool.h>
#include "base/buf.h"

struct kube_resource {
	const char *group; /* "" for core */
	const char *version;
	const char *plural;
	const char *kind;
	bool namespaced;
};

/* Append "/apis/GROUP/VERSION[/namespaces/NS]/PLURAL[/NAME[/SUB]]" ("/api/v1/..." for the core group),
 * every part escaped. ns NULL or "": all namespaces (lists and watches only); ignored for a cluster-scoped
 * kind. name and sub NULL: none. `out` fails when a part is empty, "." or "..", or when a namespaced
 * object's namespace is not given. */
void kube_resource_path(const struct kube_resource *r, const char *ns, const char *name, const char *sub,
                        struct buf *out);
