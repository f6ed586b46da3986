package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Everything that the API server shows of one namespace, past the proxy, and what must be true of it at any time.
type recorder struct {
	api *api

	mu      sync.Mutex
	objects map[string]map[string]object // plural -> name -> object
	names   *names
	made    map[string]map[string]bool // "deployments/llm-best-r1" -> uids
	changed chan struct{}              // closed with the next change
	errors  []string
	closing bool

	desired  int // the lowest number of instances that was wanted in this step or before it
	maxAlive int // pods that are not being ended
	lastFell int // Ready ones at the last look
}

var recordedKinds = map[string]string{
	"instancepoolendpoints": groupPath,
	"deployments":           "/apis/apps/v1",
	"pods":                  "/api/v1",
	"services":              "/api/v1",
	"poddisruptionbudgets":  "/apis/policy/v1",
}

func newRecorder(ctx context.Context, a *api, namespace string) *recorder {
	r := &recorder{api: a, objects: map[string]map[string]object{}, names: newNames(), made: map[string]map[string]bool{},
		changed: make(chan struct{})}
	for plural, group := range recordedKinds {
		r.objects[plural] = map[string]object{}
		go func() {
			err := a.watch(ctx, fmt.Sprintf("%s/namespaces/%s/%s", group, namespace, plural), func(e watchEvent) {
				r.see(plural, e)
			})
			if ctx.Err() == nil {
				r.fail("the recorder's watch of %s ended: %v", plural, err)
			}
		}()
	}
	return r
}

func (r *recorder) fail(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failLocked(format, args...)
}

func (r *recorder) failLocked(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if !r.closing && !slices.Contains(r.errors, message) {
		r.errors = append(r.errors, message)
	}
	r.tell()
}

func (r *recorder) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *recorder) see(plural string, e watchEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := text(e.Object, "metadata", "name")
	if e.Type == "BOOKMARK" {
		return
	}
	if e.Type == "DELETED" {
		delete(r.objects[plural], name)
	} else {
		r.objects[plural][name] = e.Object
	}
	key := plural + "/" + r.names.learn(plural, e.Object)
	if r.made[key] == nil {
		r.made[key] = map[string]bool{}
	}
	r.made[key][text(e.Object, "metadata", "uid")] = true
	r.check()
	r.tell()
}

// step is called before the world changes: from now on at least so many are wanted (a step that wants fewer lowers it at
// once, one that wants more when that was reached), and so many pods may be there.
func (r *recorder) step(desired, maxAlive int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.desired, r.maxAlive = desired, maxAlive
}

func isReady(o object) bool {
	if at(o, "metadata", "deletionTimestamp") != nil {
		return false
	}
	for _, c := range list(o, "status", "conditions") {
		if text(c, "type") == "Ready" {
			return text(c, "status") == "True"
		}
	}
	return false
}

// What must hold whenever anything changes.
func (r *recorder) check() {
	ready, alive := 0, 0
	for _, p := range r.objects["pods"] {
		if at(p, "metadata", "deletionTimestamp") == nil {
			alive++
		}
		if isReady(p) {
			ready++
		}
	}
	// Nobody but the operator takes instances away here.
	if ready < r.lastFell && ready < min(r.desired, r.lastFell) {
		r.failLocked("Ready instances were lost: %d of %d stay, %d are wanted", ready, r.lastFell, r.desired)
	}
	r.lastFell = ready
	if alive > r.maxAlive {
		r.failLocked("%d instances at a time, at most %d make sense here", alive, r.maxAlive)
	}
	revisions := map[string]string{}
	for name, d := range r.objects["deployments"] {
		l := at(d, "metadata", "labels")
		key := text(l, labels+"endpoint") + "/" + text(l, labels+"pool") + "/" + text(l, labels+"revision")
		if other, twice := revisions[key]; twice {
			r.failLocked("two Deployments of one pool and revision: %s and %s", name, other)
		}
		revisions[key] = name
	}
}

// snapshot is what two runs must have alike: no times, no uids, no hashes, no messages. Without memory what the status tells
// of earlier tries is left out.
func (r *recorder) snapshot(memory bool) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	uid := ""
	for name, e := range r.objects["instancepoolendpoints"] {
		uid = text(e, "metadata", "uid")
		s := at(e, "status")
		add("endpoint %s: %s, current generation %t, desired %d, current %d, reason %q", name, text(s, "phase"),
			number(s, "observedGeneration") == number(e, "metadata", "generation"), number(s, "desiredInstanceCount"),
			number(s, "currentInstanceCount"), text(s, "failureReason"))
		for i, p := range list(s, "instancePools") {
			// How many strikes, and what an idle pool tells besides, is history: a slower machine tries it once more or less.
			why := ""
			if memory {
				why = text(p, "state")
			}
			if memory && why != "Idle" {
				why = fmt.Sprintf("%s %q, struck %t", why, text(p, "reason"), number(p, "strikes") > 0)
			}
			add("  pool %d %s: %s, desired %d, current %d, starting %d, waiting %d", i, text(p, "name"), why,
				number(p, "desiredInstanceCount"), number(p, "currentInstanceCount"), number(p, "startingInstanceCount"),
				number(p, "waitingInstanceCount"))
		}
		for _, c := range list(s, "conditions") {
			add("  condition %s %s %s", text(c, "type"), text(c, "status"), text(c, "reason"))
		}
	}
	for _, plural := range []string{"deployments", "services", "poddisruptionbudgets"} {
		for name, o := range r.objects[plural] {
			owner := "nobody"
			for _, ref := range list(o, "metadata", "ownerReferences") {
				if text(ref, "uid") == uid {
					owner = "the endpoint"
				}
			}
			if plural == "deployments" {
				add("%s %s: of %s, replicas %d, ready %d", plural, r.names.of(plural, name), owner,
					number(o, "spec", "replicas"), number(o, "status", "readyReplicas"))
			} else {
				add("%s %s: of %s", plural, name, owner)
			}
		}
	}
	pods := map[string]int{}
	for name, p := range r.objects["pods"] {
		state := "not Ready"
		if at(p, "metadata", "deletionTimestamp") != nil {
			state = "ending"
		} else if isReady(p) {
			state = "Ready"
		}
		if text(p, "metadata", "annotations", labels+"protected-until-ready") != "" {
			state += ", protected"
		}
		pods[r.names.of("pods", name)+" "+state]++
	}
	for key, n := range pods {
		add("pods %s: %d", key, n)
	}
	// The lines of an endpoint stay together and in their order.
	head := slices.IndexFunc(lines, func(l string) bool {
		return !strings.HasPrefix(l, "endpoint") && !strings.HasPrefix(l, "  ")
	})
	if head >= 0 {
		slices.Sort(lines[head:])
	}
	return strings.Join(lines, "\n")
}

// How often each object was made, by its name.
func (r *recorder) creations() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := map[string]int{}
	for key, uids := range r.made {
		counts[key] = len(uids)
	}
	return counts
}

func (r *recorder) failures() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.errors)
}

// What is taken down from now on is the harness's own doing.
func (r *recorder) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closing = true
}

// await returns when ok is true, or false at the deadline, which may move; it looks whenever something changes.
func (r *recorder) await(deadline func() time.Time, ok func() bool) bool {
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if ok() {
			return true
		}
		if time.Now().After(deadline()) {
			return false
		}
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Are exactly these instances there, all Ready, and is nothing under way? nil: the endpoint is gone with all that it owned.
func (r *recorder) settled(want map[string]int, image string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if want == nil {
		for _, objects := range r.objects {
			if len(objects) > 0 {
				return false
			}
		}
		return true
	}
	if len(r.objects["instancepoolendpoints"]) != 1 || len(r.objects["deployments"]) != len(want) ||
		len(r.objects["services"]) != 1 || len(r.objects["poddisruptionbudgets"]) != 1 {
		return false
	}
	ready := map[string]int{}
	for pool := range want {
		ready[pool] = 0
	}
	for _, p := range r.objects["pods"] {
		c, _ := list(p, "spec", "containers")[0].(object)
		if !isReady(p) || image != "" && text(c, "image") != image {
			return false
		}
		ready[text(p, "metadata", "labels", labels+"pool")]++
	}
	for _, e := range r.objects["instancepoolendpoints"] {
		total := 0
		for _, p := range list(e, "status", "instancePools") {
			n := want[text(p, "name")]
			total += n
			if number(p, "currentInstanceCount") != n || number(p, "desiredInstanceCount") != n {
				return false
			}
		}
		if number(e, "status", "observedGeneration") != number(e, "metadata", "generation") ||
			number(e, "status", "currentInstanceCount") != total {
			return false
		}
	}
	return maps.Equal(ready, want)
}
