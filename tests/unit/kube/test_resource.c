#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "kube/resource.h"

static const struct kube_resource deployments = {"apps", "v1", "deployments", "Deployment", true};
static const struct kube_resource pods = {"", "v1", "pods", "Pod", true};
static const struct kube_resource nodes = {"", "v1", "nodes", "Node", false};

static void paths(void **state)
{
	(void)state;
	static const struct {
		const struct kube_resource *r;
		const char *ns, *name, *sub, *path; /* path NULL: refused */
	} cases[] = {
		{&deployments, NULL, NULL, NULL, "/apis/apps/v1/deployments"},
		{&deployments, "", NULL, NULL, "/apis/apps/v1/deployments"},
		{&deployments, "a", NULL, NULL, "/apis/apps/v1/namespaces/a/deployments"},
		{&deployments, "a", "b", NULL, "/apis/apps/v1/namespaces/a/deployments/b"},
		{&deployments, "a", "b", "scale", "/apis/apps/v1/namespaces/a/deployments/b/scale"},
		{&pods, "a", "b", NULL, "/api/v1/namespaces/a/pods/b"},
		{&nodes, NULL, "n1", "status", "/api/v1/nodes/n1/status"},
		{&nodes, "ignored", "n1", NULL, "/api/v1/nodes/n1"},
		{&nodes, NULL, NULL, NULL, "/api/v1/nodes"},
		{&pods, "a/b", "c?d#e%f g", NULL, "/api/v1/namespaces/a%2Fb/pods/c%3Fd%23e%25f%20g"},
		{&pods, "a", "system:x", NULL, "/api/v1/namespaces/a/pods/system%3Ax"},
		/* What would address the collection, all namespaces or another path. */
		{&pods, "a", "", NULL, NULL},
		{&nodes, NULL, "", NULL, NULL},
		{&pods, NULL, "b", NULL, NULL},
		{&pods, "", "b", NULL, NULL},
		{&pods, "..", NULL, NULL, NULL},
		{&pods, "a", ".", NULL, NULL},
		{&pods, "a", "..", NULL, NULL},
		{&pods, "a", "b", "", NULL},
		{&pods, "a", "b", "..", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_BUF struct buf out;
		buf_init(&out, 4096);
		kube_resource_path(cases[i].r, cases[i].ns, cases[i].name, cases[i].sub, &out);
		assert_int_equal(buf_failed(&out), cases[i].path == NULL);
		if (cases[i].path)
			assert_string_equal(out.ptr, cases[i].path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
