#include "kube/resource.h"

static void add_part(struct buf *out, const char *part)
{
	/* An empty name would address the whole collection, dots another path. */
	if (str_empty(part) || str_eq(part, ".") || str_eq(part, "..")) {
		out->failed = true;
		return;
	}
	buf_add_char(out, '/');
	buf_add_url_escaped(out, slice_from(part));
}

void kube_resource_path(const struct kube_resource *r, const char *ns, const char *name, const char *sub,
                        struct buf *out)
{
	if (str_empty(r->group)) {
		buf_add_str(out, "/api");
	} else {
		buf_add_str(out, "/apis");
		add_part(out, r->group);
	}
	add_part(out, r->version);
	if (r->namespaced && !str_empty(ns)) {
		buf_add_str(out, "/namespaces");
		add_part(out, ns);
	} else if (r->namespaced && name != NULL) {
		out->failed = true;
	}
	add_part(out, r->plural);
	if (name != NULL)
		add_part(out, name);
	if (name != NULL && sub != NULL)
		add_part(out, sub);
}
