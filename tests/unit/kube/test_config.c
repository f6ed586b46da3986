#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/mem.h"
#include "kube/config.h"

/* A folder of the test's own, where relative paths start. */
static char dir[64];

static char *path_of(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void write_file(const char *name, const char *text)
{
	CLEANUP_FREE char *path = path_of(name);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int make_dir(void **state)
{
	(void)state;
	str_copy(dir, sizeof(dir), "/tmp/test_config.XXXXXX");
	unsetenv("KUBECONFIG");
	unsetenv("KUBERNETES_SERVICE_HOST");
	unsetenv("KUBERNETES_SERVICE_PORT");
	return mkdtemp(dir) && setenv("HOME", dir, 1) == 0 ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	static const char *const names[] = {"a",  "b",        "half",      "empty",        "cert.pem",
	                                    "ca", "sa/token", "sa/ca.crt", "sa/namespace", ".kube/config",
	                                    "sa", ".kube"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP_FREE char *path = path_of(names[i]);
		remove(path);
	}
	return rmdir(dir);
}

static int load(const char *name, struct kube_config *ret, struct err *err)
{
	CLEANUP_FREE char *path = path_of(name);
	return kube_config_load(path, ret, err);
}

static void assert_parses(const char *text, struct kube_config *ret)
{
	struct err err = ERR_INIT;
	int rc = kube_config_parse(slice_from(text), "/etc/k", ret, &err);
	if (rc < 0)
		print_error("%s\n", err.message);
	assert_int_equal(rc, 0);
}

static void assert_refused(const char *text, const char *message)
{
	CLEANUP_KUBE_CONFIG struct kube_config c;
	struct err err = ERR_INIT;
	assert_int_equal(kube_config_parse(slice_from(text), "/etc/k", &c, &err), -1);
	assert_int_not_equal(err.code, ERR_NONE);
	if (!strstr(err.message, message))
		print_error("'%s' is not in '%s'\n", message, err.message);
	assert_non_null(strstr(err.message, message));
	assert_null(c.server);
	assert_null(c.token);
}

#define CONTEXT                            \
	"apiVersion: v1\nkind: Config\n"       \
	"current-context: c\n"                 \
	"contexts:\n"                          \
	"- name: other\n"                      \
	"  context: {cluster: no, user: no}\n" \
	"- name: c\n"                          \
	"  context: {cluster: k, user: u}\n"

/* What members the cluster and the user have, in flow style. */
static char *with(const char *cluster, const char *user)
{
	return xasprintf(CONTEXT "clusters:\n- {name: k, cluster: {%s}}\nusers:\n- {name: u, user: {%s}}\n",
	                 cluster, user);
}

static void with_parses(const char *cluster, const char *user, struct kube_config *ret)
{
	CLEANUP_FREE char *text = with(cluster, user);
	assert_parses(text, ret);
}

static void with_refused(const char *cluster, const char *user, const char *message)
{
	CLEANUP_FREE char *text = with(cluster, user);
	assert_refused(text, message);
}

static void everything(void **state)
{
	(void)state;
	CLEANUP_KUBE_CONFIG struct kube_config c;
	assert_parses("apiVersion: v1\n"
	              "kind: Config\n"
	              "preferences: {}\n"
	              "current-context: kind\n"
	              "contexts:\n"
	              "- name: kind\n"
	              "  context:\n"
	              "    cluster: kind\n"
	              "    user: admin\n"
	              "    namespace: models\n"
	              "clusters:\n"
	              "- name: kind\n"
	              "  cluster:\n"
	              "    server: https://127.0.0.1:6443/\n"
	              "    certificate-authority: pki/ca.crt\n"
	              "    tls-server-name: kubernetes\n"
	              "    proxy-url: socks5://user:secret@proxy:1080\n"
	              "    extensions: [{name: x, extension: {}}]\n"
	              "users:\n"
	              "- name: admin\n"
	              "  user:\n"
	              "    client-certificate: /abs/admin.crt\n"
	              "    client-key: ../admin.key\n"
	              "    token: abc.def-_~+/=\n"
	              "    tokenFile: token\n",
	              &c);
	assert_string_equal(c.server, "https://127.0.0.1:6443");
	assert_string_equal(c.namespace, "models");
	assert_string_equal(c.ca_file, "/etc/k/pki/ca.crt");
	assert_null(c.ca_pem);
	assert_string_equal(c.cert_file, "/abs/admin.crt");
	assert_string_equal(c.key_file, "/etc/k/../admin.key");
	assert_null(c.cert_pem);
	assert_null(c.key_pem);
	assert_string_equal(c.token, "abc.def-_~+/=");
	assert_string_equal(c.token_file, "/etc/k/token");
	assert_string_equal(c.tls_server_name, "kubernetes");
	assert_string_equal(c.proxy_url, "socks5://user:secret@proxy:1080");
	assert_false(c.insecure_skip_verify);
	assert_null(c.exec);

	struct kube_config copy;
	kube_config_copy(&c, &copy);
	kube_config_done(&c);
	assert_null(c.server);
	assert_string_equal(copy.server, "https://127.0.0.1:6443");
	assert_string_equal(copy.token, "abc.def-_~+/=");
	assert_string_equal(copy.proxy_url, "socks5://user:secret@proxy:1080");
	assert_null(copy.cert_pem);
	kube_config_done(&copy);
}

static void json_is_yaml(void **state)
{
	(void)state;
	CLEANUP_KUBE_CONFIG struct kube_config c;
	assert_parses(
		"{\"current-context\":\"c\",\"contexts\":[{\"name\":\"c\",\"context\":{\"cluster\":\"k\"}}],"
		"\"clusters\":[{\"name\":\"k\",\"cluster\":{\"server\":\"https://h\"}}],\"users\":null}",
		&c);
	assert_string_equal(c.server, "https://h");
	assert_null(c.namespace);
	assert_null(c.token);
}

#define PEM(body) "-----BEGIN X-----\n" body "-----END X-----"
/* PEM("A\n") and PEM("AA\n"). */
#define PEM_1 "LS0tLS1CRUdJTiBYLS0tLS0KQQotLS0tLUVORCBYLS0tLS0="
#define PEM_2 "LS0tLS1CRUdJTiBYLS0tLS0KQUEKLS0tLS1FTkQgWC0tLS0t"

static void data_wins(void **state)
{
	(void)state;
	CLEANUP_KUBE_CONFIG struct kube_config c;
	with_parses("server: https://h, certificate-authority: ca, certificate-authority-data: " PEM_1,
	            "client-certificate: cert, client-certificate-data: " PEM_2
	            ", client-key: key, client-key-data: \"" PEM_1 "\\n\"",
	            &c);
	assert_null(c.ca_file);
	assert_null(c.cert_file);
	assert_null(c.key_file);
	assert_string_equal(c.ca_pem, PEM("A\n"));
	assert_string_equal(c.cert_pem, PEM("AA\n"));
	assert_string_equal(c.key_pem, PEM("A\n"));
}

static void data_is_whole(void **state)
{
	(void)state;
	with_refused("server: https://h, certificate-authority-data: QQ", "",
	             "cluster 'k'.certificate-authority-data: not base64; is the file complete?");
	with_refused("server: https://h, certificate-authority-data: QUFB", "",
	             "cluster 'k'.certificate-authority-data: not PEM in base64; is the file complete?");
	/* Cut anywhere. */
	for (size_t cut = 1; cut < strlen(PEM_1); cut++) {
		CLEANUP_FREE char *key = xasprintf("client-certificate: c, client-key-data: %.*s", (int)cut, PEM_1);
		with_refused("server: https://h", key, "user 'u'.client-key-data: not ");
	}
}

static void missing_parts(void **state)
{
	(void)state;
	assert_refused("", "the file is empty");
	assert_refused("null\n", "the file is empty");
	assert_refused("kind: Config\ncurrent-context: \"\"\n", "no current-context");
	assert_refused("kind: Config\ncurrent-context: prod\n",
	               "there is no context 'prod', there are no contexts at all; is the file complete?");
	assert_refused(
		"current-context: prod\ncontexts: [{name: dev, context: {cluster: k}}, {name: test}, {}]\n",
		"there is no context 'prod', only 'dev', 'test'");
	assert_refused("current-context: c\ncontexts: [{name: c}]\n", "context 'c': it has no cluster");
	assert_refused("current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\n",
	               "there is no cluster 'k'");
	assert_refused(CONTEXT "clusters: [{name: k, cluster: {server: 'https://h'}}]\n", "there is no user 'u'");
	assert_refused(CONTEXT "clusters: [{name: k, cluster: {}}]\n", "cluster 'k': it has no server");
	assert_refused(CONTEXT "clusters: [{name: k}]\n", "cluster 'k': it has no server");
	with_refused("server: https://h", "client-certificate: x", "a client certificate, but no client-key");
	with_refused("server: https://h", "client-key: x", "a client key, but no client-certificate");
	/* Cut off right there; an empty object may be meant. */
	assert_refused(CONTEXT
	               "clusters: [{name: k, cluster: {server: 'https://h'}}]\nusers:\n- name: u\n  user:\n",
	               "user 'u': no token, client certificate or exec");
	with_refused("server: https://h", "client-certificate-data: ", "user 'u': no token");
}

static void wrong_types(void **state)
{
	(void)state;
	assert_refused("[]\n", "not a kubeconfig");
	assert_refused("hello\n", "not a kubeconfig");
	assert_refused("current-context: [c]\n", "current-context");
	assert_refused("current-context: c\ncontexts: {}\n", "contexts");
	assert_refused("current-context: c\ncontexts: [7, null, {name: 7}]\n", "contexts[2].name");
	assert_refused("current-context: c\ncontexts: [{name: c, context: []}]\n", "contexts[0].context");
	with_refused("server: [x]", "", "cluster 'k'.server");
	with_refused("server: https://h, insecure-skip-tls-verify: perhaps", "", "insecure-skip-tls-verify");
	with_refused("server: https://h", "token: {}", "user 'u'.token");
	with_refused("server: https://h", "token: \"a\\nX-Evil: 1\"", "user 'u'.token");
	with_refused("server: https://h", "client-key-data: 7", "user 'u'.client-key-data");
}

static void secrets_are_not_in_messages(void **state)
{
	(void)state;
	static const struct {
		const char *cluster, *user;
	} cases[] = {
		{"server: https://h", "token: \"geheim x\""},
		{"server: https://h", "client-key-data: geheim"},
		{"server: https://h", "token: [geheim]"},
		{"server: \"http://u:geheim@h\"", ""},
		{"server: \"https://u:geheim@h\"", ""},
		{"server: https://h, proxy-url: \"ftp://u:geheim@h\"", ""},
		{"server: https://h", "username: u, password: geheim"},
		{"server: https://h", "token: geheim, token: geheim"},
		{"server: https://h", "token: geheim\n  x: *geheim"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_FREE char *text = with(cases[i].cluster, cases[i].user);
		struct kube_config c;
		struct err err = ERR_INIT;
		assert_int_equal(kube_config_parse(slice_from(text), "/etc/k", &c, &err), -1);
		if (strstr(err.message, "geheim"))
			print_error("%s\n", err.message);
		assert_null(strstr(err.message, "geheim"));
	}
}

static void unsupported_users(void **state)
{
	(void)state;
	with_refused("server: https://h",
	             "exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: aws}",
	             "user 'u'.exec.apiVersion: 'client.authentication.k8s.io/v1alpha1' is neither");
	with_refused("server: https://h", "auth-provider: {name: gcp}",
	             "user 'u'.auth-provider: authentication providers");
	with_refused("server: https://h", "username: u, password: p",
	             "user 'u'.username: user names and passwords");
	with_refused("server: https://h", "password: p", "user 'u'.password");
	with_refused("server: https://h", "token: t, as: root", "user 'u'.as: impersonation");
	with_refused("server: https://h", "token: t, as-groups: [x]", "user 'u'.as-groups: impersonation");
	/* Empty ones are none. */
	CLEANUP_KUBE_CONFIG struct kube_config c;
	with_parses("server: https://h", "exec: null, username: \"\", password: \"\", token: t", &c);
	assert_string_equal(c.token, "t");
}

static void servers(void **state)
{
	(void)state;
	static const struct {
		const char *server, *result, *message; /* one of the last two */
	} cases[] = {
		{"https://host", "https://host", NULL},
		{"https://host:6443", "https://host:6443", NULL},
		{"https://host:6443///", "https://host:6443", NULL},
		{"https://[::1]:6443", "https://[::1]:6443", NULL},
		{"https://[fd00::a]", "https://[fd00::a]", NULL},
		{"https://[fe80::1%25eth0]:6443/", "https://[fe80::1%25eth0]:6443", NULL},
		{"https://rancher/k8s/clusters/c-1/", "https://rancher/k8s/clusters/c-1", NULL},
		{"http://host", NULL, "does not start with https://"},
		{"host:6443", NULL, "does not start with https://"},
		{"https://", NULL, "no host"},
		{"https:///", NULL, "no host"},
		{"https://:6443", NULL, "no host"},
		{"https://::1", NULL, "in brackets"},
		{"https://fd00::a:6443", NULL, "in brackets"},
		{"https://[::1", NULL, "closing bracket is missing"},
		{"https://[::g]", NULL, "not an IPv6 address"},
		{"https://[127.0.0.1]", NULL, "not an IPv6 address"},
		{"https://[]", NULL, "not an IPv6 address"},
		{"https://[::1]6443", NULL, "follows its brackets"},
		{"https://host:", NULL, "port"},
		{"https://host:0", NULL, "port"},
		{"https://host:65536", NULL, "port"},
		{"https://host:x", NULL, "port"},
		{"https://[::1]:", NULL, "port"},
		{"https://user@host", NULL, "no user"},
		{"https://host?x", NULL, "no user"},
		{"https://host/#x", NULL, "no user"},
		{"https://ho st", NULL, "spaces"},
		{"https://ho\\nst", NULL, "control characters"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_FREE char *cluster = xasprintf("server: \"%s\"", cases[i].server);
		if (cases[i].message) {
			with_refused(cluster, "", cases[i].message);
		} else {
			CLEANUP_KUBE_CONFIG struct kube_config c;
			with_parses(cluster, "", &c);
			assert_string_equal(c.server, cases[i].result);
		}
	}
}

static void tls_and_proxy(void **state)
{
	(void)state;
	CLEANUP_KUBE_CONFIG struct kube_config c;
	with_parses("server: https://h, insecure-skip-tls-verify: true", "", &c);
	assert_true(c.insecure_skip_verify);
	with_refused("server: https://h, insecure-skip-tls-verify: true, certificate-authority: ca", "",
	             "exclude each other");
	with_refused("server: https://h, proxy-url: \"proxy:3128\"", "", "proxy-url: must start with");
	with_refused("server: https://h, proxy-url: \"ftp://proxy\"", "", "proxy-url: must start with");
	with_refused("server: https://h, tls-server-name: \"a b\"", "", "tls-server-name");
}

static void half_written_files(void **state)
{
	(void)state;
	CLEANUP_FREE char *whole = with("server: https://h, certificate-authority-data: " PEM_1, "token: abcdef");
	for (size_t len = 0; len < strlen(whole); len++) {
		CLEANUP_FREE char *half = xstrndup(whole, len);
		write_file("half", half);
		CLEANUP_KUBE_CONFIG struct kube_config c;
		struct err err = ERR_INIT;
		if (load("half", &c, &err) < 0) {
			assert_null(c.server);
			assert_non_null(strstr(err.message, "/half: "));
		} else {
			assert_int_equal(len, strlen(whole) - 1); /* only the last end of line is missing */
			assert_string_equal(c.token, "abcdef");
		}
	}
}

static void one_file(void **state)
{
	(void)state;
	CLEANUP_KUBE_CONFIG struct kube_config c;
	struct err err = ERR_INIT;
	CLEANUP_FREE char *text = with("server: https://h, certificate-authority: ca", "tokenFile: t"),
					  *path = path_of("a"), *ca = path_of("ca");
	write_file("a", text);
	assert_int_equal(load("a", &c, &err), -1);
	assert_non_null(strstr(err.message, "/a: certificate-authority: "));
	assert_non_null(strstr(err.message, "/ca: No such file or directory"));
	write_file("ca", "from the file\n");
	/* What is asked for wins over the environment. */
	setenv("KUBECONFIG", "/nonexistent", 1);
	assert_int_equal(load("a", &c, &err), 0);
	unsetenv("KUBECONFIG");
	assert_string_equal(c.ca_file, ca);
	assert_string_equal(c.source, path);
	kube_config_done(&c);

	assert_int_equal(load("missing", &c, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "/missing"));
	assert_null(c.server);

	/* Relative to the present folder. */
	char before[4096];
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(kube_config_load("a", &c, &err), 0);
	assert_int_equal(chdir(before), 0);
	assert_string_equal(c.ca_file, "./ca");
}

static void certificate_as_file_and_key_as_data(void **state)
{
	(void)state;
	CLEANUP_KUBE_CONFIG struct kube_config c;
	struct err err = ERR_INIT;
	static const char *const users[] = {"client-certificate: cert.pem, client-key-data: " PEM_1,
	                                    "client-key: cert.pem, client-certificate-data: " PEM_1};
	for (size_t i = 0; i < ARRAY_LEN(users); i++) {
		CLEANUP_FREE char *text = with("server: https://h", users[i]);
		write_file("a", text);
		write_file("cert.pem", "from the file\n");
		assert_int_equal(load("a", &c, &err), 0);
		assert_null(c.cert_file);
		assert_null(c.key_file);
		assert_string_equal(i == 0 ? c.cert_pem : c.key_pem, "from the file\n");
		assert_string_equal(i == 0 ? c.key_pem : c.cert_pem, PEM("A\n"));
		kube_config_done(&c);
		CLEANUP_FREE char *path = path_of("cert.pem");
		assert_int_equal(remove(path), 0);
		assert_int_equal(load("a", &c, &err), -1);
		assert_non_null(strstr(err.message, "cert.pem"));
		assert_null(c.server);
	}
}

static void a_list_merges(void **state)
{
	(void)state;
	CLEANUP_KUBE_CONFIG struct kube_config c;
	struct err err = ERR_INIT;
	write_file("a", "current-context: \"\"\n"
	                "clusters:\n"
	                "- {name: k, cluster: {server: 'https://first'}}\n"
	                "users:\n"
	                "- {name: u, user: {}}\n");
	write_file("b", CONTEXT "clusters:\n"
	                        "- {name: k, cluster: {server: 'https://second', tls-server-name: x}}\n"
	                        "users:\n"
	                        "- {name: u, user: {token: second}}\n");
	write_file("empty", "");
	CLEANUP_FREE char *list = xasprintf(":%s/missing:%s/empty:%s/a::%s/b:", dir, dir, dir, dir),
					  *source = xasprintf("%s/empty:%s/a:%s/b", dir, dir, dir);
	setenv("KUBECONFIG", list, 1);
	setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1); /* comes later */
	assert_int_equal(kube_config_load(NULL, &c, &err), 0);
	unsetenv("KUBERNETES_SERVICE_HOST");
	/* A named element comes from one file as a whole. */
	assert_string_equal(c.server, "https://first");
	assert_null(c.tls_server_name);
	assert_null(c.token);
	assert_string_equal(c.source, source);
	kube_config_done(&c);

	write_file("b", "current-context: [\n");
	assert_int_equal(kube_config_load("", &c, &err), -1);
	assert_non_null(strstr(err.message, "/b: line "));

	CLEANUP_FREE char *none = xasprintf("%s/missing:%s/no", dir, dir);
	setenv("KUBECONFIG", none, 1);
	assert_int_equal(kube_config_load(NULL, &c, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "KUBECONFIG names no file that exists"));
	unsetenv("KUBECONFIG");
}

static void the_file_at_home(void **state)
{
	(void)state;
	CLEANUP_KUBE_CONFIG struct kube_config c;
	CLEANUP_FREE char *folder = path_of(".kube"), *text = with("server: https://h", "token: home");
	struct err err = ERR_INIT;
	assert_int_equal(kube_config_load(NULL, &c, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "no kubeconfig"));
	assert_int_equal(mkdir(folder, 0700), 0);
	write_file(".kube/config", text);
	assert_int_equal(kube_config_load(NULL, &c, &err), 0);
	assert_string_equal(c.token, "home");
	kube_config_done(&c);
	unsetenv("HOME");
	assert_int_equal(kube_config_load(NULL, &c, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	setenv("HOME", dir, 1);
}

static void another_context(void **state)
{
	(void)state;
	CLEANUP_KUBE_CONFIG struct kube_config c;
	struct err err = ERR_INIT;
	write_file("a", "current-context: blue\n"
	                "contexts:\n"
	                "- {name: blue, context: {cluster: k1, namespace: n1}}\n"
	                "- {name: green, context: {cluster: k2, namespace: n2}}\n"
	                "clusters:\n"
	                "- {name: k1, cluster: {server: 'https://first'}}\n"
	                "- {name: k2, cluster: {server: 'https://second'}}\n");
	CLEANUP_FREE char *path = path_of("a");
	assert_int_equal(kube_config_load_context(path, "green", &c, &err), 0);
	assert_string_equal(c.server, "https://second");
	assert_string_equal(c.namespace, "n2");
	kube_config_done(&c);
	assert_int_equal(kube_config_load_context(path, "", &c, &err), 0);
	assert_string_equal(c.server, "https://first");
	kube_config_done(&c);
	assert_int_equal(kube_config_load_context(path, "red", &c, &err), -1);
	assert_non_null(strstr(err.message, "/a: there is no context 'red', only 'blue', 'green'"));
	/* Also without a current-context, and in a pod. */
	write_file(".kube/config", "contexts: [{name: green, context: {cluster: k2}}]\n"
	                           "clusters: [{name: k2, cluster: {server: 'https://second'}}]\n");
	setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
	assert_int_equal(kube_config_load_context(NULL, "green", &c, &err), 0);
	unsetenv("KUBERNETES_SERVICE_HOST");
	assert_string_equal(c.server, "https://second");
}

static void in_cluster(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	CLEANUP_KUBE_CONFIG struct kube_config c;
	CLEANUP_FREE char *sa = path_of("sa"), *token = path_of("sa/token"), *ca = path_of("sa/ca.crt");
	assert_int_equal(mkdir(sa, 0700), 0);
	assert_int_equal(kube_config_in_cluster("10.0.0.1", "443", sa, &c, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "sa/token"));
	write_file("sa/token", "t\n");
	assert_int_equal(kube_config_in_cluster("10.0.0.1", "443", sa, &c, &err), -1);
	assert_non_null(strstr(err.message, "sa/ca.crt"));
	write_file("sa/ca.crt", "x\n");
	assert_int_equal(kube_config_in_cluster("10.0.0.1", "443", sa, &c, &err), 0);
	assert_string_equal(c.server, "https://10.0.0.1:443");
	assert_string_equal(c.token_file, token);
	assert_string_equal(c.ca_file, ca);
	assert_string_equal(c.source, "in-cluster");
	assert_null(c.token);
	assert_null(c.namespace);
	kube_config_done(&c);
	write_file("sa/namespace", "operators\n");
	assert_int_equal(kube_config_in_cluster("fd00::1", "6443", sa, &c, &err), 0);
	assert_string_equal(c.server, "https://[fd00::1]:6443");
	assert_string_equal(c.namespace, "operators");
	kube_config_done(&c);
	assert_int_equal(kube_config_in_cluster("[fd00::1]", "6443", sa, &c, &err), 0);
	assert_string_equal(c.server, "https://[fd00::1]:6443");
	kube_config_done(&c);

	static const char *const bad[][2] = {{NULL, "443"}, {"", "443"},  {"h", NULL},   {"h", ""},
	                                     {"h", "x"},    {"a b", "1"}, {"h", "70000"}};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(kube_config_in_cluster(bad[i][0], bad[i][1], sa, &c, &err), -1);
		assert_true(str_starts(err.message, "in-cluster: "));
		assert_null(c.server);
	}
	/* From the environment; this is no pod. */
	setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
	assert_int_equal(kube_config_load(NULL, &c, &err), -1);
	assert_true(str_starts(err.message, "in-cluster: "));
	unsetenv("KUBERNETES_SERVICE_HOST");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything),
		cmocka_unit_test(json_is_yaml),
		cmocka_unit_test(data_wins),
		cmocka_unit_test(data_is_whole),
		cmocka_unit_test(missing_parts),
		cmocka_unit_test(wrong_types),
		cmocka_unit_test(secrets_are_not_in_messages),
		cmocka_unit_test(unsupported_users),
		cmocka_unit_test(servers),
		cmocka_unit_test(tls_and_proxy),
		cmocka_unit_test(half_written_files),
		cmocka_unit_test(one_file),
		cmocka_unit_test(certificate_as_file_and_key_as_data),
		cmocka_unit_test(a_list_merges),
		cmocka_unit_test(the_file_at_home),
		cmocka_unit_test(another_context),
		cmocka_unit_test(in_cluster),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
