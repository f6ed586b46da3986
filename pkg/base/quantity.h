#pragma once
/* Kubernetes quantities ("8", "500m", "2Ti", "1e3"): k8s.io/apimachinery/pkg/api/resource. Unlike its reader
 * this one wants a digit ("Ki" and "-" are not 0). */
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

/* The value in whole units, rounded away from zero ("500m" -> 1); saturates at INT64_MAX and -INT64_MAX. */
int quantity_parse(struct slice s, int64_t *ret, struct err *err);
/* The same in thousandths of a unit ("500m" -> 500), as CPU is added up. With a binary suffix whole units are rounded. */
int quantity_parse_milli(struct slice s, int64_t *ret, struct err *err);
