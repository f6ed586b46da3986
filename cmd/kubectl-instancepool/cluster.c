#include "cluster.h"
#include "kube/client.h"
#include "kube/watch.h"

#define USER_AGENT "kubectl-instancepool/" INSTANCEPOOL_VERSION
#define PAGE_ITEMS 500
#define MAX_PAGE_BYTES (64u << 20)
#define MAX_PATH_BYTES (16u << 10)
#define MAX_QUERY_BYTES 4096u /* of a path, before what pages add to it */
#define MAX_OBJECT_BYTES (4u << 20)

struct cluster {
	struct kube_config config;
	struct loop *loop;
	struct kube_client *client;
	char *ns;
	struct wall date; /* of the last answer that had one */
	/* Of the request under way. */
	struct buf *body;
	struct err *err;
	int result;
};

struct cluster *cluster_connect(const struct cluster_options *o, struct err *err)
{
	struct cluster *c = xcalloc(1, sizeof(*c));

	http_global_init();
	c->loop = loop_new();
	if (kube_config_load_context(o->kubeconfig, o->context, &c->config, err) == 0)
		c->client = kube_client_new(c->loop, &c->config,
		                            &(struct kube_client_options){.user_agent = USER_AGENT}, err);
	if (!c->client) {
		cluster_free(c);
		return NULL;
	}
	c->ns = xstrdup(!str_empty(o->ns)                 ? o->ns
	                : !str_empty(c->config.namespace) ? c->config.namespace
	                                                  : "default");
	return c;
}

void cluster_free(struct cluster *c)
{
	if (!c)
		return;
	kube_client_free(c->client);
	loop_free(c->loop);
	http_global_done();
	kube_config_done(&c->config);
	free(c->ns);
	free(c);
}

const char *cluster_namespace(const struct cluster *c)
{
	return c->ns;
}

const char *cluster_server(const struct cluster *c)
{
	return c->config.server;
}

struct wall cluster_now(const struct cluster *c)
{
	return wall_is_set(c->date) ? c->date : wall_now();
}

static void on_answer(void *arg, enum kube_outcome outcome, const struct kube_reply *r, const struct err *err)
{
	struct cluster *c = arg;

	(void)outcome;
	if (wall_is_set(r->date))
		c->date = r->date;
	if (err->code == ERR_NONE) {
		buf_add_slice(c->body, r->body);
		c->result = buf_failed(c->body)
		                ? err_set(c->err, ERR_LIMIT, "the answer has more than %zu bytes", c->body->max)
		                : 0;
	} else {
		*c->err = *err;
		if (err->http_status == 404)
			c->err->code = ERR_NOT_FOUND;
		c->result = -1;
	}
	loop_stop(c->loop);
}

int cluster_get(struct cluster *c, const char *path_with_query, struct buf *ret_body, struct err *err)
{
	c->body = ret_body;
	c->err = err;
	kube_client_get_path(c->client, path_with_query, on_answer, c);
	loop_run(c->loop);
	return c->result;
}

static int read_token(struct jscan *s, struct buf *ret_token)
{
	CLEANUP_ARENA struct arena a;
	struct jscan_str key, token;

	arena_init(&a);
	if (jscan_object_begin(s) < 0)
		return -1;
	while (jscan_object_next(s, &key) > 0) {
		if (!jscan_str_eq(key, "continue"))
			jscan_skip(s);
		else if (jscan_string(s, &token) == 0)
			buf_add_str(ret_token, jscan_str_dup(token, &a));
	}
	return jscan_failed(s) ? -1 : 0;
}

static int read_items(struct jscan *s, cluster_item_fn *fn, void *arg, struct err *err)
{
	struct slice item;

	if (jscan_array_begin(s) < 0)
		return jscan_err(s, err);
	while (jscan_array_next(s) > 0)
		if (watch_raw_object(s, &item) < 0)
			break;
		else if (fn(arg, item, err) < 0)
			return -1;
	return jscan_failed(s) ? jscan_err(s, err) : 0;
}

static int read_page(struct slice page, cluster_item_fn *fn, void *arg, struct buf *ret_token,
                     struct err *err)
{
	struct jscan s;
	struct jscan_str key;

	jscan_init(&s, page);
	if (jscan_object_begin(&s) < 0)
		return jscan_err(&s, err);
	while (jscan_object_next(&s, &key) > 0) {
		if (jscan_str_eq(key, "metadata") && jscan_peek(&s) == JSCAN_OBJECT)
			read_token(&s, ret_token);
		else if (!jscan_str_eq(key, "items") || jscan_peek(&s) != JSCAN_ARRAY)
			jscan_skip(&s);
		else if (read_items(&s, fn, arg, err) < 0)
			return -1;
	}
	return jscan_end(&s) < 0 ? jscan_err(&s, err) : 0;
}

int cluster_list(struct cluster *c, const char *path_with_query, cluster_item_fn *fn, void *arg,
                 struct err *err)
{
	CLEANUP_BUF struct buf page, path, token;
	int result;

	buf_init(&page, MAX_PAGE_BYTES);
	buf_init(&path, MAX_PATH_BYTES);
	buf_init(&token, MAX_PATH_BYTES / 3 / 2);
	do {
		buf_clear(&path);
		buf_addf(&path, "%s%climit=%d", path_with_query, strchr(path_with_query, '?') ? '&' : '?',
		         PAGE_ITEMS);
		if (token.len > 0) {
			buf_add_str(&path, "&continue=");
			buf_add_url_escaped(&path, buf_slice(&token));
		}
		if (buf_failed(&path) || buf_failed(&token))
			return err_set(err, ERR_LIMIT, "the path of the request is too long");
		buf_clear(&page);
		buf_clear(&token);
		result = cluster_get(c, path.ptr, &page, err);
		if (result == 0)
			result = read_page(buf_slice(&page), fn, arg, &token, err);
	} while (result == 0 && token.len > 0);
	return result;
}

static int path_of(const struct kube_resource *r, const char *ns, const char *name, const char *query,
                   const char *value, struct buf *path, struct err *err)
{
	buf_init(path, MAX_QUERY_BYTES);
	kube_resource_path(r, ns, name, NULL, path);
	if (query) {
		buf_addf(path, "?%s=", query);
		buf_add_url_escaped(path, slice_from(value));
	}
	return buf_failed(path)
	           ? err_set(err, ERR_INVALID, "\"%s\" is no name of a %s", name ? name : "", r->kind)
	           : 0;
}

int cluster_get_object(struct cluster *c, const struct kube_resource *r, const char *ns, const char *name,
                       struct buf *ret_body, struct err *err)
{
	CLEANUP_BUF struct buf path;

	buf_init(ret_body, MAX_OBJECT_BYTES);
	return path_of(r, ns, name, NULL, NULL, &path, err) < 0 ? -1 : cluster_get(c, path.ptr, ret_body, err);
}

int cluster_list_objects(struct cluster *c, const struct kube_resource *r, const char *ns, const char *query,
                         const char *value, cluster_item_fn *fn, void *arg, struct err *err)
{
	CLEANUP_BUF struct buf path;

	return path_of(r, ns, NULL, query, value, &path, err) < 0 ? -1 : cluster_list(c, path.ptr, fn, arg, err);
}
