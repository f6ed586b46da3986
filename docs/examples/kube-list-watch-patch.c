/* kube-list-watch-patch NAMESPACE NAME: lists ConfigMaps, annotates one, prints changes until SIGTERM. */
#include <signal.h>
#include <stdio.h>
#include "kube/informer.h"

/* All that is kept of a ConfigMap. Every view begins with struct objmeta. */
struct view {
	struct objmeta meta;
	const char *seen; /* our annotation, or NULL */
};
static const struct jfield annotations[] = {{"example.com/seen", J_STR, offsetof(struct view, seen)}, {0}};
static const struct jfield metadata[] = {OBJMETA_FIELDS, {"annotations", J_OBJECT, .sub = annotations}, {0}};
static const struct jfield fields[] = {{"metadata", J_OBJECT, .sub = metadata}, {0}};

static void *decode(struct slice json, struct err *err)
{
	CLEANUP_ARENA struct arena a;
	arena_init(&a);
	struct view v = {0};
	return jread(fields, json, &a, &v, err) == 0 ? jread_pack(fields, &v, sizeof(v)) : NULL;
}

static const struct kube_type config_maps = {{"", "v1", "configmaps", "ConfigMap", true}, decode, free, NULL};

struct program {
	const char *ns, *name;
	struct kube_client *client;
	struct informer *informer;
};

static void on_change(void *arg, const void *before, const void *after)
{
	(void)arg;
	const struct view *v = after ? after : before;
	printf("%c %s %s\n", !before ? '+' : after ? '~' : '-', v->meta.name, v->seen ? v->seen : "");
}

static void on_undecodable(void *arg, const char *ns, const char *name, const struct err *err)
{
	(void)arg;
	fprintf(stderr, "%s/%s: %s\n", ns, name, err->message);
}

static void on_trouble(void *arg, const struct err *err, int64_t retry_ms)
{
	(void)arg;
	fprintf(stderr, "%s (again in %g s)\n", err->message, (double)retry_ms / 1000);
}

/* The watch shows the change as well. An unknown outcome is a reason to look again, not to repeat. */
static void on_patched(void *arg, enum kube_outcome how, const struct kube_reply *r, const struct err *err)
{
	const struct program *p = arg;
	printf("patch of %s: %s %s %s\n", p->name, kube_outcome_name(how), r->resource_version, err->message);
}

static void on_synced(void *arg)
{
	struct program *p = arg;
	struct kube_request rq = {
		.verb = KUBE_PATCH_MERGE, .resource = &config_maps.resource, .ns = p->ns, .name = p->name};
	rq.body = SLICE_LIT("{\"metadata\":{\"annotations\":{\"example.com/seen\":\"yes\"}}}");
	printf("%zu ConfigMaps\n", store_count(informer_store(p->informer)));
	kube_client_call(p->client, &rq, on_patched, p);
}

static void on_signal(void *arg, int signum)
{
	(void)signum;
	loop_stop(arg);
}

int main(int argc, char **argv)
{
	if (argc != 3 || setvbuf(stdout, NULL, _IOLBF, 0) != 0)
		return 2;
	CLEANUP_KUBE_CONFIG struct kube_config config = {0};
	struct err err = ERR_INIT;
	struct program p = {.ns = argv[1], .name = argv[2]};
	http_global_init();
	struct loop *loop = loop_new();
	if (kube_config_load(NULL, &config, &err) == 0)
		p.client =
			kube_client_new(loop, &config, &(struct kube_client_options){.user_agent = "example"}, &err);
	if (p.client) {
		struct informer_handler h = {on_change, on_synced, on_undecodable, on_trouble, .arg = &p};
		p.informer = informer_new(p.client,
		                          &(struct informer_options){.type = &config_maps, .ns = p.ns, .handler = h});
		informer_start(p.informer);
		loop_on_signal(loop, SIGTERM, on_signal, loop);
		loop_run(loop);
	} else {
		fprintf(stderr, "%s\n", err.message);
	}
	informer_free(p.informer);
	kube_client_free(p.client);
	loop_free(loop);
	http_global_done();
	return p.client ? 0 : 1;
}
