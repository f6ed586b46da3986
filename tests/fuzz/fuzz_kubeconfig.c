/* Whatever stands in a kubeconfig: it is refused with a message, or what comes out of it is usable. */
#include <stdint.h>
#include <stdlib.h>
#include "base/str.h"
#include "kube/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_KUBE_CONFIG struct kube_config c;
	struct err err = ERR_INIT;
	struct slice text = {(const char *)data, size};
	if (kube_config_parse(text, "/dir", &c, &err) < 0) {
		check(err.code != ERR_NONE && *err.message && !c.server && !c.token && !c.key_pem);
		return 0;
	}
	size_t len = strlen(c.server);
	check(str_starts(c.server, "https://") && len > 8 && c.server[len - 1] != '/');
	check(!(c.ca_file && c.ca_pem) && !(c.cert_file && c.cert_pem) && !(c.key_file && c.key_pem));
	check((c.cert_file || c.cert_pem) == (c.key_file || c.key_pem));
	check(!(c.insecure_skip_verify && (c.ca_file || c.ca_pem)));
	check(!c.ca_file || *c.ca_file == '/');
	check(!c.token || !strpbrk(c.token, "\r\n"));
	return 0;
}
