/* How many new and how many older instances an update asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include "base/mem.h"
#include "plan/rollout.h"

static const struct {
	const char *what;
	struct rollout_input in;   /* desired, allowed, new_ready, old_ready, no_room */
	struct rollout_output out; /* new_target, old_keep */
} cases[] = {
	{"no older instance: all at once", {6, 6, 0, 0, false}, {6, 0}},
	{"nothing wanted", {0, 0, 0, 3, false}, {0, 0}},
	{"nothing wanted, both there", {0, 0, 2, 3, true}, {0, 0}},
	{"the first", {3, 3, 0, 3, false}, {1, 3}},
	{"the first serves", {3, 3, 1, 3, false}, {2, 2}},
	{"... and the older one has gone", {3, 3, 1, 2, false}, {2, 2}},
	{"the last", {3, 3, 2, 1, false}, {3, 1}},
	{"all serve", {3, 3, 3, 1, false}, {3, 0}},
	{"more than wanted serve", {3, 3, 4, 1, false}, {3, 0}},
	{"only one wanted", {1, 1, 0, 1, false}, {1, 1}},
	{"older ones that do not serve are replaced at once", {3, 3, 0, 1, false}, {2, 1}},
	{"... and one more once nothing is missing", {3, 3, 2, 1, false}, {3, 1}},
	{"scaled in meanwhile: surplus older ones go", {2, 2, 1, 4, false}, {2, 1}},
	{"scaled out meanwhile: what is missing is new", {8, 8, 1, 5, false}, {3, 5}},
	{"no room: one goes first", {3, 3, 0, 3, true}, {1, 2}},
	{"no room, one is missing already", {3, 3, 0, 2, true}, {1, 2}},
	{"no room for the second", {3, 3, 1, 2, true}, {2, 1}},
	{"no room, only one wanted", {1, 1, 0, 1, true}, {1, 0}},
	{"no room, more older ones than wanted", {2, 2, 0, 4, true}, {1, 1}},
	{"no room, and no older one serves", {2, 2, 0, 0, true}, {2, 0}},
	{"fewer allowed than wanted: the older ones serve meanwhile", {5, 3, 0, 5, false}, {1, 5}},
	{"... the first serves", {5, 3, 1, 5, false}, {2, 4}},
	{"... the last serves", {5, 3, 3, 2, false}, {3, 0}},
	{"... no more older ones than allowed", {5, 3, 0, 3, false}, {1, 3}},
	{"... and no room", {5, 3, 0, 3, true}, {1, 2}},
	{"... and one is missing", {5, 3, 0, 2, true}, {1, 2}},
};

static void table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rollout_output out;

		rollout(&cases[i].in, &out);
		if (out.new_target != cases[i].out.new_target || out.old_keep != cases[i].out.old_keep)
			fail_msg("%s: new %d, keep %d; expected %d and %d", cases[i].what, (int)out.new_target,
			         (int)out.old_keep, (int)cases[i].out.new_target, (int)cases[i].out.old_keep);
	}
}

static void check_promises(int32_t desired, int32_t allowed, int32_t new_ready, int32_t old_ready)
{
	int32_t ready = new_ready + old_ready;
	/* Those that no pool may have serve until the others are there. */
	int32_t wanted = new_ready < allowed ? desired : allowed;
	int32_t needed = ready < wanted ? ready : wanted;
	struct rollout_output room, full, next;

	rollout(&(struct rollout_input){desired, allowed, new_ready, old_ready, false}, &room);
	rollout(&(struct rollout_input){desired, allowed, new_ready, old_ready, true}, &full);
	assert_true(room.old_keep <= old_ready && room.new_target <= allowed);
	/* What serves goes on, but for the one that makes room. */
	assert_true(new_ready + room.old_keep >= needed);
	assert_true(new_ready + full.old_keep >= needed - (ready >= allowed ? 1 : 0));
	/* One more than wanted at most, and there is always something to go on with. */
	assert_true(room.new_target + room.old_keep <= desired + 1);
	assert_true(room.old_keep == 0 || room.new_target > new_ready);
	assert_int_equal(room.new_target, full.new_target);
	/* When that is done nothing more is asked, nor taken away. */
	rollout(&(struct rollout_input){desired, allowed, new_ready, full.old_keep, false}, &next);
	assert_int_equal(next.new_target, full.new_target);
	assert_int_equal(next.old_keep, full.old_keep);
}

/* For all small numbers. */
static void promises(void **state)
{
	(void)state;
	for (int32_t desired = 0; desired < 8; desired++)
		for (int32_t allowed = 0; allowed <= desired; allowed++)
			for (int32_t new_ready = 0; new_ready < 10; new_ready++)
				for (int32_t old_ready = 0; old_ready < 10; old_ready++)
					check_promises(desired, allowed, new_ready, old_ready);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(promises),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
