#pragma once
/* Certificates and other files in a folder of the test's own. */
#include <stdio.h>
#include <stdlib.h>
#include "scripted_server.h"

struct folder {
	char path[32];
};

static inline char *folder_file(const struct folder *f, const char *name)
{
	return xasprintf("%s/%s", f->path, name);
}

static inline void run_program(const char *const *argv)
{
	pid_t pid;
	int status;
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	assert_int_equal(posix_spawnp(&pid, argv[0], &actions, NULL, (char **)(uintptr_t)argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static inline void folder_write(const struct folder *f, const char *name, const char *text)
{
	CLEANUP_FREE char *path = folder_file(f, name), *fresh = xasprintf("%s.new", path);
	FILE *file = fopen(fresh, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(fresh, path), 0);
}

static inline void folder_copy(const struct folder *f, const char *from, const char *to)
{
	CLEANUP_FREE char *source = folder_file(f, from), *target = folder_file(f, to);
	CLEANUP_FREE char *fresh = xasprintf("%s.new", target);
	run_program((const char *const[]){"cp", source, fresh, NULL});
	assert_int_equal(rename(fresh, target), 0);
}

static inline void folder_copy_pair(const struct folder *f, const char *from, const char *to)
{
	static const char *const kinds[] = {"pem", "key"};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		CLEANUP_FREE char *source = xasprintf("%s.%s", from, kinds[i]),
						  *target = xasprintf("%s.%s", to, kinds[i]);
		folder_copy(f, source, target);
	}
}

/* NAME.pem and NAME.key, signed by the key of `ca` (its own when that is the same). */
static inline void folder_certificate(const struct folder *f, const char *ca, const char *name,
                                      const char *extension)
{
	CLEANUP_FREE char *base = folder_file(f, name), *ca_base = folder_file(f, ca),
					  *config = folder_file(f, "req.cnf");
	CLEANUP_FREE char *pem = xasprintf("%s.pem", base), *key = xasprintf("%s.key", base);
	CLEANUP_FREE char *ca_pem = xasprintf("%s.pem", ca_base), *ca_key = xasprintf("%s.key", ca_base);
	CLEANUP_FREE char *subject = xasprintf("/CN=%s", name);
	bool self_signed = str_eq(ca, name);
	const char *argv[] = {"openssl", "req",      "-x509",
	                      "-config", config,     "-newkey",
	                      "ec",      "-pkeyopt", "ec_paramgen_curve:prime256v1",
	                      "-nodes",  "-days",    "2",
	                      "-subj",   subject,    "-keyout",
	                      key,       "-out",     pem,
	                      "-addext", extension,  self_signed ? NULL : "-CA",
	                      ca_pem,    "-CAkey",   ca_key,
	                      NULL};
	run_program(argv);
}

/* Two authorities; for each a server's certificate for the loopback addresses. One for another name only, and two
 * clients'. */
static inline void folder_init(struct folder *f)
{
	static const char address[] = "subjectAltName=IP:127.0.0.1,IP:::1";
	*f = (struct folder){.path = "/tmp/tls_files.XXXXXX"};
	assert_non_null(mkdtemp(f->path));
	folder_write(f, "req.cnf", "[req]\ndistinguished_name = dn\n[dn]\n");
	folder_certificate(f, "ca", "ca", "basicConstraints=critical,CA:TRUE");
	folder_certificate(f, "ca2", "ca2", "basicConstraints=critical,CA:TRUE");
	folder_certificate(f, "ca", "server", address);
	folder_certificate(f, "ca2", "server2", address);
	folder_certificate(f, "ca", "named", "subjectAltName=DNS:kubernetes.example");
	folder_certificate(f, "ca", "alice", "extendedKeyUsage=clientAuth");
	folder_certificate(f, "ca", "bob", "extendedKeyUsage=clientAuth");
}

static inline void folder_done(struct folder *f)
{
	run_program((const char *const[]){"rm", "-r", f->path, NULL});
}

/* A scripted server with the certificate CERT; these are the other members of its script. */
static inline void server_start_secured(struct server *s, const struct folder *f, const char *cert,
                                        const char *members)
{
	CLEANUP_FREE char *script =
		xasprintf("{'tls':{'cert':'%s/%s.pem','key':'%s/%s.key','client_ca':'%s/ca.pem'},%s}", f->path, cert,
	              f->path, cert, f->path, members);
	server_start(s, script);
}

/* The same with these answers, at `host` if that is given. */
static inline void server_start_tls(struct server *s, const struct folder *f, const char *cert,
                                    const char *host, const char *answers)
{
	CLEANUP_FREE char *members = xasprintf("'host':'%s','answers':%s", host ? host : "127.0.0.1", answers);
	server_start_secured(s, f, cert, members);
}
