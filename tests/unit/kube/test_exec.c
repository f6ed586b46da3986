#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/json.h"
#include "kube/exec.h"

/* "-----BEGIN X-----\nA\n-----END X-----" */
#define CA "LS0tLS1CRUdJTiBYLS0tLS0KQQotLS0tLUVORCBYLS0tLS0="
#define V1 "client.authentication.k8s.io/v1"

/* A kubeconfig whose user has this `exec`, in flow style, and whose cluster has these members. */
static int parse(const char *exec, const char *cluster, struct kube_config *ret, struct err *err)
{
	CLEANUP_FREE char *text = xasprintf("current-context: c\n"
	                                    "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
	                                    "clusters: [{name: k, cluster: {server: 'https://h'%s}}]\n"
	                                    "users: [{name: u, user: {exec: %s}}]\n",
	                                    cluster, exec);
	return kube_config_parse(slice_from(text), "/etc/k", ret, err);
}

static void parses(const char *exec, const char *cluster, struct kube_config *ret)
{
	struct err err = ERR_INIT;
	if (parse(exec, cluster, ret, &err) < 0)
		print_error("%s\n", err.message);
	assert_non_null(ret->exec);
}

static void refused(const char *exec, const char *message)
{
	struct err err = ERR_INIT;
	struct kube_config c;
	assert_int_equal(parse(exec, "", &c, &err), -1);
	if (!strstr(err.message, message))
		print_error("'%s' is not in '%s'\n", message, err.message);
	assert_non_null(strstr(err.message, message));
	assert_null(strstr(err.message, "geheim"));
}

static void a_kubeconfig_names_a_plugin(void **state)
{
	(void)state;
	CLEANUP_KUBE_CONFIG struct kube_config c;
	parses("{apiVersion: " V1 ", command: aws, args: [eks, get-token, ''], interactiveMode: IfAvailable,"
	       " env: [{name: AWS_PROFILE, value: a=b}, {name: EMPTY}], provideClusterInfo: true,"
	       " installHint: 'Get it. There.'}",
	       "", &c);
	assert_string_equal(c.exec->command, "aws");
	assert_string_equal(c.exec->api_version, V1);
	assert_string_equal(c.exec->install_hint, "Get it. There.");
	assert_true(c.exec->provide_cluster_info);
	assert_null(c.exec_config);
	assert_string_equal(kube_exec_name(c.exec), "aws");

	struct kube_exec *copy = kube_exec_copy(c.exec);
	kube_config_done(&c);
	CLEANUP_FREE const char **argv = kube_exec_arguments(copy);
	const char *const want[] = {"aws", "eks", "get-token", "", NULL};
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_true(want[i] ? str_eq(argv[i], want[i]) : argv[i] == NULL);
	assert_string_equal(copy->env[0], "AWS_PROFILE=a=b");
	assert_string_equal(copy->env[1], "EMPTY=");
	assert_null(copy->env[2]);
	kube_exec_free(copy);

	static const struct {
		const char *command, *want;
	} commands[] = {{"/opt/x", "/opt/x"}, {"./x", "/etc/k/./x"}, {"bin/x", "/etc/k/bin/x"}, {"x y", "x y"}};
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		CLEANUP_FREE char *exec =
			xasprintf("{apiVersion: " V1 "beta1, command: %s, args: null, env: []}", commands[i].command);
		parses(exec, "", &c);
		assert_string_equal(c.exec->command, commands[i].want);
		assert_null(c.exec->args);
		assert_null(c.exec->env);
		assert_null(c.exec->install_hint);
		kube_config_done(&c);
	}
}

static void what_is_refused(void **state)
{
	(void)state;
	refused("{command: x}", "user 'u'.exec.apiVersion: '' is neither");
	refused("{apiVersion: " V1 "alpha1, command: x}", "is neither");
	refused("{apiVersion: " V1 "}", "user 'u'.exec: it has no command");
	refused("{apiVersion: " V1 ", command: ''}", "it has no command");
	refused("{apiVersion: " V1 ", command: [x]}", "user 'u'.exec.command: must be a string");
	refused("{apiVersion: " V1 ", command: x, interactiveMode: Always}", "asks questions");
	refused("{apiVersion: " V1 ", command: x, interactiveMode: never}", "'never' is not Never");
	refused("{apiVersion: " V1 ", command: x, args: x}", "user 'u'.exec.args");
	refused("{apiVersion: " V1 ", command: x, args: [x, 7]}", "user 'u'.exec.args[1]: must be a string");
	refused("{apiVersion: " V1 ", command: x, env: {}}", "user 'u'.exec.env");
	refused("{apiVersion: " V1 ", command: x, env: [{value: geheim}]}",
	        "user 'u'.exec.env[0]: it has no name");
	refused("{apiVersion: " V1 ", command: x, env: [geheim]}", "it has no name");
	refused("{apiVersion: " V1 ", command: x, env: [{name: a=b}]}", "one with a '='");
	refused("{apiVersion: " V1 ", command: x, env: [{name: a, value: [geheim]}]}",
	        "user 'u'.exec: env[0].value");
	refused("{apiVersion: " V1 ", command: x, provideClusterInfo: geheim}", "provideClusterInfo");
	refused("[]", "user 'u'.exec");
	refused("geheim", "user 'u'.exec");
}

static void assert_info(const struct kube_config *c, const char *want)
{
	struct err err = ERR_INIT;
	CLEANUP_FREE char *info = kube_exec_info(c, &err);
	assert_non_null(info);
	CLEANUP_FREE char *text = xasprintf("KUBERNETES_EXEC_INFO=%s", want);
	for (char *p = text; (p = strchr(p, '\'')) != NULL;)
		*p = '"';
	assert_string_equal(info, text);
}

static void what_it_is_told(void **state)
{
	(void)state;
	static const char extensions[] =
		", extensions: [{name: other, extension: 1}, {name: client.authentication.k8s.io/exec,"
		" extension: {audience: 'me', list: [1, null]}}]";
	CLEANUP_KUBE_CONFIG struct kube_config c;
	parses("{apiVersion: " V1 ", command: x}", extensions, &c);
	assert_info(&c, "{'kind':'ExecCredential','apiVersion':'" V1 "','spec':{'interactive':false}}");
	kube_config_done(&c);

	parses("{apiVersion: " V1 "beta1, command: x, provideClusterInfo: true}", "", &c);
	assert_info(&c, "{'kind':'ExecCredential','apiVersion':'" V1
	                "beta1','spec':{'interactive':false,'cluster':{'server':'https://h'}}}");
	kube_config_done(&c);

	CLEANUP_FREE char *more = xasprintf(", tls-server-name: name, proxy-url: 'http://u:p@proxy',"
	                                    " certificate-authority-data: " CA "%s",
	                                    extensions);
	parses("{apiVersion: " V1 ", command: x, provideClusterInfo: true}", more, &c);
	assert_info(&c, "{'kind':'ExecCredential','apiVersion':'" V1 "','spec':{'interactive':false,'cluster':{"
	                "'server':'https://h','tls-server-name':'name',"
	                "'certificate-authority-data':'" CA "','proxy-url':'http://u:p@proxy',"
	                "'config':{'audience':'me','list':[1,null]}}}}");
	kube_config_done(&c);

	parses("{apiVersion: " V1 ", command: x, provideClusterInfo: true}", ", insecure-skip-tls-verify: true",
	       &c);
	assert_info(&c, "{'kind':'ExecCredential','apiVersion':'" V1 "','spec':{'interactive':false,'cluster':{"
	                "'server':'https://h','insecure-skip-tls-verify':true}}}");
	kube_config_done(&c);
}

static void a_ca_file_is_told_as_its_text(void **state)
{
	(void)state;
	char path[] = "/tmp/test_exec.XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "foob", 4), 4);
	close(fd);
	CLEANUP_KUBE_CONFIG struct kube_config c;
	CLEANUP_FREE char *ca = xasprintf(", certificate-authority: %s", path);
	parses("{apiVersion: " V1 ", command: x, provideClusterInfo: true}", ca, &c);
	assert_info(&c, "{'kind':'ExecCredential','apiVersion':'" V1 "','spec':{'interactive':false,'cluster':{"
	                "'server':'https://h','certificate-authority-data':'Zm9vYg=='}}}");
	assert_int_equal(unlink(path), 0);
	struct err err = ERR_INIT;
	assert_null(kube_exec_info(&c, &err));
	assert_non_null(strstr(err.message, path));
}

static void its_environment(void **state)
{
	(void)state;
	char a[] = "A=1", aa[] = "AA=2", b[] = "B=3", info[] = "KUBERNETES_EXEC_INFO=old";
	char *const ours[] = {a, aa, b, info, NULL};
	CLEANUP_KUBE_CONFIG struct kube_config c;
	parses("{apiVersion: " V1
	       ", command: x, env: [{name: A, value: own}, {name: C, value: '4'}, {name: C, value: '5'}]}",
	       "", &c);
	CLEANUP_FREE const char **env = kube_exec_environment(c.exec, ours, "KUBERNETES_EXEC_INFO=new");
	const char *const want[] = {"A=own", "AA=2", "B=3", "KUBERNETES_EXEC_INFO=new", "C=5", NULL};
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_true(want[i] ? str_eq(env[i], want[i]) : env[i] == NULL);
}

static void what_it_answers(void **state)
{
	(void)state;
#define ANSWER(status) "{'kind':'ExecCredential','apiVersion':'" V1 "','status':" status "}"
#define CERT "'clientCertificateData':'-----BEGIN C-----\\n-----END C-----'"
#define KEY "'clientKeyData':'-----BEGIN K-----\\n-----END K-----'"
	static const struct {
		const char *output, *message; /* NULL: it is good */
	} cases[] = {
		{ANSWER("{'token':'geheim'}"), NULL},
		{"\n " ANSWER("{'token':'geheim','expirationTimestamp':'2030-01-02T03:04:05Z','other':1}") "\n",
	     NULL},
		{ANSWER("{'token':''," CERT "," KEY "}"), NULL},
		{"", "its output is not JSON"},
		{"geheim", "its output is not JSON"},
		{"['geheim']", "not an ExecCredential of " V1},
		{"{'kind':'ExecCredential','apiVersion':'" V1 "beta1','status':{'token':'geheim'}}",
	     "not an ExecCredential of"},
		{"{'kind':7,'apiVersion':'" V1 "'}", "its output: kind"},
		{"{'kind':'Status','apiVersion':'" V1 "'}", "not an ExecCredential"},
		{"{'kind':'ExecCredential','apiVersion':'" V1 "'}", "no status"},
		{ANSWER("null"), "no status"},
		{ANSWER("'geheim'"), "its output: status"},
		{ANSWER("{}"), "neither a token nor a client certificate"},
		{ANSWER("{'token':['geheim']}"), "status.token"},
		{ANSWER("{'token':'geheim\\r\\nX-Evil: 1'}"), "its token has spaces"},
		{ANSWER("{'token':'geheim ','expirationTimestamp':null}"), "its token has spaces"},
		{ANSWER("{'token':'geheim','expirationTimestamp':'soon'}"), "status.expirationTimestamp"},
		{ANSWER("{'token':'geheim'," CERT "}"), "without its key"},
		{ANSWER("{" KEY "}"), "without its key"},
		{ANSWER("{" CERT ",'clientKeyData':'geheim'}"), "is not PEM"},
		{ANSWER("{" KEY ",'clientCertificateData':'-----BEGIN C-----\\ngeheim'}"),
	     "is not PEM, or cut short"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_EXEC_CREDENTIAL struct exec_credential c;
		CLEANUP_FREE char *output = xstrdup(cases[i].output);
		struct err err = ERR_INIT;
		for (char *p = output; (p = strchr(p, '\'')) != NULL;)
			*p = '"';
		int rc = exec_credential_read(slice_from(output), V1, &c, &err);
		assert_int_equal(rc, cases[i].message ? -1 : 0);
		if (rc < 0) {
			if (!strstr(err.message, cases[i].message))
				print_error("'%s' is not in '%s'\n", cases[i].message, err.message);
			assert_non_null(strstr(err.message, cases[i].message));
			assert_null(strstr(err.message, "geheim"));
			assert_null(c.token);
		} else if (c.token) {
			assert_string_equal(c.token, "geheim");
			assert_true(c.expires.ms == (i == 1 ? INT64_C(1893553445000) : 0));
		} else {
			assert_string_equal(c.cert_pem, "-----BEGIN C-----\n-----END C-----");
			assert_string_equal(c.key_pem, "-----BEGIN K-----\n-----END K-----");
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kubeconfig_names_a_plugin),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(what_it_is_told),
		cmocka_unit_test(a_ca_file_is_told_as_its_text),
		cmocka_unit_test(its_environment),
		cmocka_unit_test(what_it_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
