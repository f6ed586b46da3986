#pragma once
/* The command line. */
#include "base/log.h"
#include "operator/controller.h"

struct flags {
	const char *kubeconfig; /* NULL: not given */
	const char *namespaces[CONTROLLER_MAX_NAMESPACES];
	size_t n_namespaces; /* 0: all */
	bool watch_nodes;
	const char *metrics_address, *health_address;
	enum node_autoscaler node_autoscaler;
	bool leader_elect;
	const char *lease_ns; /* NULL: the namespace of the ServiceAccount or of the kubeconfig's context */
	const char *lease_name;
	int64_t lease_duration_ms, renew_deadline_ms, retry_period_ms;
	enum log_level log_level;
	enum log_format log_format;
};

/* 0: filled in; strings borrowed from argv, where commas are cut. 1: --help or --version was printed. -1: err says which flag
 * and what would be right. */
int flags_parse(int argc, char **argv, struct flags *ret, struct err *err);
