#include "forecast/fit.h"
#include "base/json.h"

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_at(o, key));
}

const char *fit_label(const struct node *n, const char *key)
{
	for (size_t i = 0; i < n->n_labels; i++)
		if (str_eq(n->labels[i].key, key))
			return n->labels[i].value;
	return NULL;
}

static bool tolerates(const json_t *toleration, const struct node_taint *t)
{
	const char *key = text_of(toleration, "key"), *operator= text_of(toleration, "operator"),
			   *effect = text_of(toleration, "effect");

	if (!str_empty(effect) && !str_eq(effect, t->effect))
		return false;
	if (str_empty(key))
		return str_eq(operator, "Exists");
	if (!str_eq(key, t->key))
		return false;
	return str_eq(operator, "Exists") || ((str_empty(operator) || str_eq(operator, "Equal")) &&
	                                      str_eq(text_of(toleration, "value"), t->value));
}

static bool is_tolerated(const json_t *pod_spec, const struct node_taint *t)
{
	const json_t *toleration;
	size_t i;

	json_array_foreach(json_at(pod_spec, "tolerations"), i, toleration)
		if (tolerates(toleration, t))
			return true;
	return false;
}

/* The node controller gives each node that is not Ready its taint. */
static bool has_untolerated_taint(const json_t *pod_spec, const struct node *n)
{
	static const struct node_taint not_ready = {"node.kubernetes.io/not-ready", "", "NoSchedule"},
								   unreachable = {"node.kubernetes.io/unreachable", "", "NoSchedule"};

	for (size_t i = 0; i < n->n_taints; i++) {
		const struct node_taint *t = &n->taints[i];

		if ((str_eq(t->effect, "NoSchedule") || str_eq(t->effect, "NoExecute")) && !is_tolerated(pod_spec, t))
			return true;
	}
	return n->ready != TRI_TRUE && !is_tolerated(pod_spec, n->ready == TRI_FALSE ? &not_ready : &unreachable);
}

static bool has_value(const json_t *expression, const char *value)
{
	const json_t *v;
	size_t i;

	json_array_foreach(json_at(expression, "values"), i, v)
		if (str_eq(json_string_value(v), value))
			return true;
	return false;
}

/* value NULL: there is no such label. */
static bool meets(const json_t *expression, const char *value)
{
	const char *operator= text_of(expression, "operator");
	struct err ignored = ERR_INIT;
	int64_t have, limit;

	if (str_eq(operator, "In"))
		return value && has_value(expression, value);
	if (str_eq(operator, "NotIn"))
		return !value || !has_value(expression, value);
	if (str_eq(operator, "Exists"))
		return value;
	if (str_eq(operator, "DoesNotExist"))
		return !value;
	if (!value || slice_to_i64(slice_from(value), &have, &ignored) < 0 ||
	    slice_to_i64(slice_from(json_string_value(json_array_get(json_at(expression, "values"), 0))), &limit,
	                 &ignored) < 0)
		return false;
	return str_eq(operator, "Gt") ? have > limit : str_eq(operator, "Lt") && have < limit;
}

static bool meets_term(const json_t *term, const struct node *n)
{
	const json_t *expressions = json_at(term, "matchExpressions"), *fields = json_at(term, "matchFields"), *x;
	size_t i;

	json_array_foreach(expressions, i, x)
		if (!meets(x, fit_label(n, text_of(x, "key"))))
			return false;
	json_array_foreach(fields, i, x)
		if (!meets(x, n->meta.name)) /* there is no other field */
			return false;
	return json_array_size(expressions) + json_array_size(fields) > 0;
}

static bool matches(const json_t *pod_spec, const struct node *n)
{
	const json_t *required =
		json_at(pod_spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution");
	const json_t *term, *v;
	const char *key;
	size_t i;

	json_object_foreach(json_at(pod_spec, "nodeSelector"), key, v) {
		const char *value = fit_label(n, key);

		if (!value || !str_eq(value, json_string_value(v)))
			return false;
	}
	json_array_foreach(json_at(required, "nodeSelectorTerms"), i, term)
		if (meets_term(term, n))
			return true;
	return !required;
}

enum fit fit_node(const json_t *pod_spec, const struct node *n)
{
	static const struct node_taint cordon = {"node.kubernetes.io/unschedulable", "", "NoSchedule"};

	if (n->unschedulable && !is_tolerated(pod_spec, &cordon))
		return FIT_CORDONED;
	if (has_untolerated_taint(pod_spec, n))
		return FIT_TAINT;
	return matches(pod_spec, n) ? FIT_YES : FIT_NO_MATCH;
}

/* ---- what is left to the real one ---- */

static bool has_claims(const json_t *pod_spec)
{
	const json_t *v;
	size_t i;

	json_array_foreach(json_at(pod_spec, "volumes"), i, v)
		if (json_at(v, "persistentVolumeClaim") || json_at(v, "ephemeral"))
			return true;
	return false;
}

static bool has_hard_spread(const json_t *pod_spec)
{
	const json_t *c;
	size_t i;

	json_array_foreach(json_at(pod_spec, "topologySpreadConstraints"), i, c)
		if (!str_eq(text_of(c, "whenUnsatisfiable"), "ScheduleAnyway"))
			return true;
	return false;
}

static bool has_host_ports(const json_t *pod_spec)
{
	const json_t *container, *port;
	size_t i, k;

	json_array_foreach(json_at(pod_spec, "containers"), i, container) {
		json_array_foreach(json_at(container, "ports"), k, port) {
			if (json_at(port, "hostPort") || json_is_true(json_at(pod_spec, "hostNetwork")))
				return true;
		}
	}
	return false;
}

const char *fit_not_looked_at(const json_t *pod_spec, struct arena *a)
{
	const struct {
		bool there;
		const char *what;
	} parts[] = {
		{json_at(pod_spec, "affinity", "podAffinity", "requiredDuringSchedulingIgnoredDuringExecution") ||
	         json_at(pod_spec, "affinity", "podAntiAffinity",
	                 "requiredDuringSchedulingIgnoredDuringExecution"),
	     "affinity between pods"},
		{has_hard_spread(pod_spec), "topology spread"},
		{has_claims(pod_spec), "volume claims"},
		{json_array_size(json_at(pod_spec, "resourceClaims")) > 0, "resource claims"},
		{has_host_ports(pod_spec), "host ports"},
		{json_at(pod_spec, "priorityClassName") != NULL, "preemption by priority"},
		{json_at(pod_spec, "schedulerName") &&
	         !str_eq(text_of(pod_spec, "schedulerName"), "default-scheduler"),
	     "another scheduler's ways"},
	};
	const char *text = "";

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (parts[i].there)
			text = arena_printf(a, "%s%s%s", text, *text ? ", " : "", parts[i].what);
	return text;
}
