/* What autoscalers say about the pods that wait. */
#include "classify_scene.h"

#define MAX_SIZE "max node group size reached"
#define BACKOFF "in backoff after failed scale-up"

/* Where something provides nodes: `n` pods that a node group at its end has refused for 20 s. */
static void refused(struct scene *sc, int32_t n)
{
	sc->in.provides_nodes = true;
	sc->in.waiting = n;
	node(sc, "a", 8);
	while (n-- > 0)
		pod(sc, 0, NO_ROOM);
}

static void a_no_is_definite(void **state)
{
	struct scene *sc = *state;
	refused(sc, 1);
	is(look(sc, 20), REASON_STOCK_OUT, false, NEVER);

	hint(sc, sc->pods, HINT_LIMIT, 10, MAX_SIZE);
	struct classify_output o = look(sc, 20);
	is(o, REASON_LIMIT, true, NEVER);
	says(o, "the autoscaler says: " MAX_SIZE);
	assert_int_equal(o.on_the_way, 0);

	hint(sc, sc->pods, HINT_STOCK_OUT, 10, BACKOFF);
	o = look(sc, 20);
	is(o, REASON_STOCK_OUT, true, NEVER);
	says(o, "the autoscaler says: " BACKOFF);

	/* No node carries the selector: the autoscaler would have brought the first. */
	sc->in.n_nodes = 0;
	sc->pods[0].scheduled_message = NO_MATCH;
	is(look(sc, 20), REASON_STOCK_OUT, true, NEVER);
	hint(sc, sc->pods, HINT_NONE, 0, NULL);
	is(look(sc, 20), REASON_NO_NODES, false, NEVER);
	sc->in.hints = NULL;
	is(look(sc, 20), REASON_NO_NODES, false, NEVER);
}

static void the_words_are_cut(void **state)
{
	struct scene *sc = *state;
	char words[400];
	refused(sc, 1);
	memset(words, 'x', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	hint(sc, sc->pods, HINT_LIMIT, 10, words);
	struct classify_output o = look(sc, 20);
	assert_int_equal(strlen(o.message), strlen("the autoscaler says: ") + 240 + strlen("..."));
}

static void one_no_stands_for_all(void **state)
{
	struct scene *sc = *state;
	refused(sc, 3);
	hint(sc, &sc->pods[1], HINT_LIMIT, 10, MAX_SIZE);
	is(look(sc, 20), REASON_LIMIT, true, NEVER);
	/* The newest counts, and on a tie always the same. */
	hint(sc, &sc->pods[2], HINT_STOCK_OUT, 12, BACKOFF);
	is(look(sc, 20), REASON_STOCK_OUT, true, NEVER);
	hint(sc, &sc->pods[2], HINT_STOCK_OUT, 10, BACKOFF);
	is(look(sc, 20), REASON_LIMIT, true, NEVER);
	/* A young pod without a verdict has its ten seconds. */
	sc->in.waiting = 4;
	pod(sc, 19, NULL);
	is(look(sc, 20), REASON_PENDING, false, 30);
	is(look(sc, 30), REASON_LIMIT, true, NEVER);
}

static void a_promise_is_waited_for(void **state)
{
	struct scene *sc = *state;
	refused(sc, 3);
	hint(sc, &sc->pods[0], HINT_PROVISIONING, 10, NULL);
	hint(sc, &sc->pods[1], HINT_PROVISIONING, 10, NULL);
	struct classify_output o = look(sc, 20);
	is(o, REASON_PROVISIONING, false, NEVER);
	says(o, "the autoscaler brings a node");
	assert_int_equal(o.on_the_way, 2);
	/* Its node comes up: that is not one more. */
	struct node *b = young_node(sc, "b", 60);
	b->ready = TRI_FALSE;
	o = look(sc, 70);
	is(o, REASON_PROVISIONING, false, NEVER);
	says(o, "of its 2 nodes 1 is coming up");
	assert_int_equal(o.on_the_way, 2);
	/* One is bound, the other still waits for its own. */
	sc->in.n_nodes = 1;
	sc->in.last_bind = at(90);
	sc->in.waiting = 1;
	o = look(sc, 100);
	is(o, REASON_PROVISIONING, false, NEVER);
	assert_int_equal(o.on_the_way, 1);
	/* It never came. */
	is(look(sc, 10 + 15 * MINUTE - 1), REASON_PROVISIONING, false, NEVER);
	o = look(sc, 10 + 15 * MINUTE);
	is(o, REASON_STOCK_OUT, false, NEVER);
	assert_int_equal(o.on_the_way, 0);
}

static void the_later_word_counts(void **state)
{
	struct scene *sc = *state;
	refused(sc, 2);
	hint(sc, &sc->pods[0], HINT_LIMIT, 10, MAX_SIZE);
	hint(sc, &sc->pods[1], HINT_PROVISIONING, 11, NULL);
	struct classify_output o = live(sc, 20);
	is(o, REASON_PROVISIONING, false, NEVER);
	assert_int_equal(o.on_the_way, 1);
	assert_int_equal(o.n_unpromised, 1);
	assert_ptr_equal(o.unpromised[0], &sc->pods[0]);
	/* The other way round: what comes is not given up, the rest moves on. There is nothing to settle. */
	hint(sc, &sc->pods[0], HINT_LIMIT, 21, MAX_SIZE);
	o = live(sc, 22);
	is(o, REASON_LIMIT, true, NEVER);
	assert_int_equal(o.on_the_way, 1);
	hint(sc, &sc->pods[1], HINT_STOCK_OUT, 30, BACKOFF);
	o = live(sc, 31);
	is(o, REASON_STOCK_OUT, true, NEVER);
	assert_int_equal(o.on_the_way, 0);
	assert_int_equal(o.n_unpromised, 0);
	/* A promise for all that wait leaves nothing to deny. */
	hint(sc, &sc->pods[1], HINT_PROVISIONING, 21, NULL);
	hint(sc, &sc->pods[0], HINT_STOCK_OUT, 31, BACKOFF);
	sc->in.waiting = 1;
	is(look(sc, 40), REASON_PROVISIONING, false, NEVER);
}

static void what_came_since_outdates_a_no(void **state)
{
	struct scene *sc = *state;
	refused(sc, 1);
	hint(sc, sc->pods, HINT_LIMIT, 30, MAX_SIZE);
	is(look(sc, 40), REASON_LIMIT, true, NEVER);
	sc->in.last_bind = at(29);
	is(look(sc, 40), REASON_LIMIT, true, NEVER);
	sc->in.last_bind = at(30);
	is(look(sc, 40), REASON_STOCK_OUT, false, NEVER);
	sc->in.last_bind = at(29);

	/* A node that came, or came back. */
	sc->nodes[0].ready_since = at(31);
	is(look(sc, 60), REASON_STOCK_OUT, false, NEVER);
	sc->nodes[0].ready_since = at(29);
	is(look(sc, 60), REASON_LIMIT, true, NEVER);
	is(look(sc, 40), REASON_SETTLING, false, 42);
	young_node(sc, "b", 31)->ready = TRI_FALSE;
	is(look(sc, 60), REASON_PROVISIONING, false, NEVER);
	sc->nodes[1].meta.created = at(29);
	sc->in.waiting = 2;
	struct classify_output o = look(sc, 60);
	is(o, REASON_LIMIT, true, NEVER);
	assert_int_equal(o.on_the_way, 1);

	/* What holds is said again. */
	sc->in.n_nodes = 1;
	is(look(sc, 30 + 15 * MINUTE), REASON_STOCK_OUT, false, NEVER);
}

static void the_pod_is_the_truth(void **state)
{
	struct scene *sc = *state;
	refused(sc, 1);
	hint(sc, sc->pods, HINT_LIMIT, 10, MAX_SIZE);
	/* Room is being made, our own update takes its course, the nodes could never hold it. */
	leaving(sc, 40);
	is(look(sc, 20), REASON_RELEASING, false, 71);
	sc->in.n_leaving = 0;
	sc->in.older_bound = 1;
	is(look(sc, 20), REASON_OWN_FLEET, false, NEVER);
	sc->in.older_bound = 0;
	sc->asked.value = 16;
	is(look(sc, 20), REASON_CONFIG, false, NEVER);
	sc->asked.value = 8;
	sc->pods[0].scheduled_message =
		"0/11 nodes are available: pod has unbound immediate PersistentVolumeClaims." HELPLESS;
	is(look(sc, 20), REASON_CONFIG, false, NEVER);
	hint(sc, sc->pods, HINT_PROVISIONING, 10, NULL);
	is(look(sc, 20), REASON_CONFIG, false, NEVER);
	/* The scheduler has not refused it, or gates hold it. */
	sc->pods[0].scheduled = TRI_UNKNOWN;
	is(look(sc, 20), REASON_PENDING, false, NEVER);
	sc->pods[0].scheduled = TRI_FALSE;
	sc->pods[0].scheduled_reason = "SchedulingGated";
	is(look(sc, 20), REASON_GATED, false, NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(a_no_is_definite),        STORY(the_words_are_cut),     STORY(one_no_stands_for_all),
		STORY(a_promise_is_waited_for), STORY(the_later_word_counts), STORY(what_came_since_outdates_a_no),
		STORY(the_pod_is_the_truth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
