#pragma once
/* A virtual cluster without an operator, for the tests of pkg/sim/cluster.h: Deployments are made and scaled by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include "../quoted_json.h"
#include "api/names.h"
#include "api/views.h"
#include "sim/cluster.h"

struct scene {
	struct timeline *timeline;
	struct api *api;
	struct cluster *cluster;
};

static inline void scene_begin(struct scene *s, uint64_t seed, enum cluster_nodes nodes,
                               const struct cluster_type *types, size_t n)
{
	s->timeline = timeline_new(seed);
	s->api = api_new(s->timeline);
	s->cluster = cluster_new(s->api, nodes, types, n);
}

static inline void scene_end(struct scene *s)
{
	cluster_free(s->cluster);
	api_free(s->api);
	timeline_free(s->timeline);
}

static inline void scene_run(struct scene *s, int64_t ms)
{
	int64_t until_ms = timeline_ms(s->timeline) + ms;

	while (timeline_step(s->timeline, until_ms)) {
	}
}

/* Of the endpoint "a" in a pool named as the type, 4 GPUs each. */
static inline struct api_object *scene_deploy(struct scene *s, const char *type, int replicas)
{
	CLEANUP_FREE char *labels = xasprintf(
		"'labels':{'" LABEL_ENDPOINT "':'a','" LABEL_POOL "':'%s','" LABEL_REVISION "':'r1'}", type);
	CLEANUP_FREE char *text =
		xasprintf("{'metadata':{'name':'a-%s-r1','namespace':'default',%s},'spec':{'replicas':%d,'template':{"
	              "'metadata':{'annotations':{'" ANNOTATION_PROTECTED "':'true'},%s},'spec':{"
	              "'nodeSelector':{'node.kubernetes.io/instance-type':'%s'},'containers':[{'name':'server',"
	              "'image':'server:1','resources':{'limits':{'nvidia.com/gpu':'4'}}}]}}}}",
	              type, labels, replicas, labels, type);

	return api_create(s->api, API_DEPLOYMENT, quoted_json(text));
}

static inline void scene_scale(struct scene *s, struct api_object *deployment, int replicas)
{
	json_put_int(json_child(deployment->doc, "spec"), "replicas", replicas);
	api_update(s->api, deployment);
}

static inline struct cluster_count scene_count(const struct scene *s)
{
	return cluster_instances(s->cluster, "a", NULL, NULL);
}

struct scene_nth {
	size_t n;
	struct api_object *found;
};

static inline int scene_is_nth(void *arg, struct api_object *o)
{
	struct scene_nth *nth = arg;

	if (nth->n-- > 0)
		return 0;
	nth->found = o;
	return 1;
}

static inline struct api_object *scene_nth(const struct scene *s, enum api_kind kind, size_t n)
{
	struct scene_nth nth = {n, NULL};

	api_each(s->api, kind, scene_is_nth, &nth);
	assert_non_null(nth.found);
	return nth.found;
}

/* As the operator reads it; view_free(). */
static inline struct pod *scene_pod(const struct api_object *o)
{
	CLEANUP_FREE char *text = json_compact(o->doc);
	struct err err = ERR_INIT;
	struct pod *p = pod_decode(slice_from(text), &err);

	if (!p)
		fail_msg("%s", err.message);
	return p;
}

static inline struct node *scene_node(const struct scene *s, const char *name)
{
	struct api_object *o = api_find(s->api, API_NODE, NULL, name);
	struct err err = ERR_INIT;

	assert_non_null(o);
	CLEANUP_FREE char *text = json_compact(o->doc);
	struct node *n = node_decode(slice_from(text), &err);
	if (!n)
		fail_msg("%s", err.message);
	return n;
}
