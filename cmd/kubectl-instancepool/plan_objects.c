#include "plan_objects.h"
#include "base/json.h"

void objects_add(struct objects *to, void *object)
{
	if (to->n == to->cap) {
		to->cap = to->cap ? to->cap * 2 : 16;
		to->list = xreallocarray(to->list, to->cap, sizeof(*to->list));
	}
	to->list[to->n++] = object;
}

static void done(struct objects *o, void (*free_one)(void *))
{
	for (size_t i = 0; i < o->n; i++)
		free_one(o->list[i]);
	free(o->list);
	*o = (struct objects){0};
}

static void free_endpoint(void *p)
{
	endpoint_free(p);
}

static void free_model(void *p)
{
	model_free(p);
}

static void free_node(void *p)
{
	forecast_node_free(p);
}

static void free_pod(void *p)
{
	forecast_pod_free(p);
}

void plan_objects_init(struct plan_objects *o)
{
	*o = (struct plan_objects){.endpoints = json_must(json_array())};
	arena_init(&o->arena);
}

void plan_objects_done(struct plan_objects *o)
{
	json_decref(o->endpoints);
	endpoint_free(o->endpoint);
	done(&o->models, free_model);
	done(&o->nodes, free_node);
	done(&o->pods, free_pod);
	done(&o->deployments, view_free);
	done(&o->others, free_endpoint);
	free(o->unreadable.list);
	arena_done(&o->arena);
	done(&o->notes, free);
}

const char *plan_name_of(const json_t *o)
{
	const char *name = json_string_value(json_at(o, "metadata", "name"));

	return name ? name : "(without a name)";
}

bool plan_objects_has_model(const struct plan_objects *o, const char *ns, const char *name)
{
	for (size_t i = 0; i < o->models.n; i++) {
		const struct model *m = o->models.list[i];

		if (str_eq(m->meta.ns, ns) && str_eq(m->meta.name, name))
			return true;
	}
	return false;
}

int plan_objects_add_node(struct plan_objects *o, const json_t *node, struct err *err)
{
	struct forecast_node *n = forecast_node_decode(node, err);

	if (!n)
		return err_prefix(err, "Node %s", plan_name_of(node));
	objects_add(&o->nodes, n);
	return 0;
}

int plan_objects_add_pod(struct plan_objects *o, const json_t *pod, struct err *err)
{
	struct forecast_pod *p = forecast_pod_decode(pod, err);

	if (!p)
		return err_prefix(err, "Pod %s", plan_name_of(pod));
	objects_add(&o->pods, p);
	return 0;
}

bool plan_has_type(const struct endpoint *e, const char *type)
{
	for (size_t i = 0; i < e->spec.n_pools; i++)
		if (str_eq(e->spec.pools[i].instance_type, type))
			return true;
	return false;
}
