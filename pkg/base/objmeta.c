#include "base/objmeta.h"
#include <string.h>

const struct jfield objmeta_owner_fields[] = {
	{"uid", J_STR, .offset = offsetof(struct objmeta_owner, uid)},
	{"controller", J_BOOL, .offset = offsetof(struct objmeta_owner, controller)},
	{0},
};

const struct jfield objmeta_fields[] = {OBJMETA_FIELDS, {0}};

void objmeta_fold_owner(void *base, const void *elem)
{
	struct objmeta *meta = base;
	const struct objmeta_owner *owner = elem;
	if (owner->controller)
		meta->owner_uid = owner->uid;
}

int objmeta_read(struct slice json, struct arena *a, struct objmeta *ret, struct err *err)
{
	static const struct jfield object_fields[] = {{"metadata", J_OBJECT, .sub = objmeta_fields}, {0}};
	return jread(object_fields, json, a, ret, err);
}

static bool is_number(const char *version)
{
	return version && *version >= '1' && *version <= '9' && version[strspn(version, "0123456789")] == '\0';
}

bool resource_version_reached(const char *a, const char *b)
{
	if (!is_number(a) || !is_number(b))
		return str_eq(a, b);
	size_t a_len = strlen(a), b_len = strlen(b);
	return a_len != b_len ? a_len > b_len : strcmp(a, b) >= 0;
}
