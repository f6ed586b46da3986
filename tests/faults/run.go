package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// After its last fault, or its step, whichever is later, and beside the time that the step takes without faults.
	convergeWithin = 30 * time.Second
	// A step without faults, however busy the machine is.
	referenceWithin = 120 * time.Second
	// How long a fault may keep a step waiting before it fires.
	fireWithin = 60 * time.Second
	// Nothing may be written so long at the end.
	quietFor = time.Second
	// A reference has to stay as it is.
	stableFor = 1500 * time.Millisecond
)

// What a run without faults has shown.
type reference struct {
	snapshots []string // after each step
	counts    []string // the same without the memory of the pools
	took      []time.Duration
	seen      map[string]int // requests and events
	followed  map[string]int // of how many of each of these writes two more come after
	accepted  map[string]int // writes
	refused   map[string]int // of what was seen, as often it did not come to that: by chance, as a conflict
	made      map[string]int // objects
}

// A second run has to end alike; of what differs in number the smaller is planned for and the larger allowed.
func (r *reference) merge(o *reference) error {
	for i, s := range r.snapshots {
		r.took[i] = max(r.took[i], o.took[i])
		if s != o.snapshots[i] {
			return fmt.Errorf("two runs without faults differ after step %d:\n%s\nand\n%s", i, s, o.snapshots[i])
		}
	}
	for key, n := range o.made {
		r.made[key] = max(n, r.made[key])
	}
	for what, n := range o.refused {
		r.refused[what] = max(n, r.refused[what])
	}
	for what, n := range r.seen {
		if r.seen[what] = min(n, o.seen[what]); r.seen[what] == 0 {
			delete(r.seen, what)
		}
	}
	for what, n := range r.followed {
		r.followed[what] = min(n, o.followed[what])
	}
	for what, n := range o.accepted {
		r.accepted[what] = max(n, r.accepted[what])
	}
	return nil
}

func followed(order []string) map[string]int {
	n := map[string]int{}
	for _, what := range order[:max(0, len(order)-2)] {
		n[what]++
	}
	return n
}

type harness struct {
	api       *api
	admin     *kubeconfig
	account   *kubeconfig
	upstream  *http.Transport
	stale     *staleServer
	cert      *tls.Certificate
	certPEM   []byte
	program   string
	dir       string
	keepLogs  bool
	runName   string
	runNumber atomic.Int64
}

type result struct {
	errors   []string
	notFired bool
	took     time.Duration
	dir      string
}

func (r *result) fail(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// One run of a scenario, with the faults of a plan, against a reference; or without both, to become one.
type run struct {
	h        *harness
	scenario *scenario
	faults   []fault
	ref      *reference
	env      *env
	rec      *recorder
	op       *operator
	proxy    *proxy
	result   result
	got      *reference
}

func (h *harness) run(s *scenario, faults []fault, ref *reference) (result, *reference) {
	started := time.Now()
	id := fmt.Sprintf("%s-%d", h.runName, h.runNumber.Add(1))
	r := &run{h: h, scenario: s, faults: faults, ref: ref,
		env: &env{api: h.api, namespace: "faults-" + id, id: id}, got: &reference{}}
	r.result.dir = filepath.Join(h.dir, id)
	if (plan{faults: faults}).needsStaleServer() {
		h.stale.lock.Lock()
		defer h.stale.lock.Unlock()
		defer h.stale.thaw()
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := r.prepare(ctx); err != nil {
		r.result.fail("cannot prepare: %v", err)
	} else if r.play() {
		r.judge()
	}
	r.end(cancel)
	r.result.took = time.Since(started)
	return r.result, r.got
}

func (r *run) prepare(ctx context.Context) error {
	h, e := r.h, r.env
	if err := os.MkdirAll(r.result.dir, 0o755); err != nil {
		return err
	}
	err := e.api.create("/api/v1/namespaces", object{"apiVersion": "v1", "kind": "Namespace",
		"metadata": object{"name": e.namespace}})
	if err != nil {
		return err
	}
	r.rec = newRecorder(ctx, e.api, e.namespace)
	r.op = &operator{program: h.program, kubeconfig: filepath.Join(r.result.dir, "kubeconfig"), namespace: e.namespace,
		dir: r.result.dir, onExit: func(why string) { r.rec.fail("%s", why) }}
	r.proxy, err = newProxy(h.account.server(), h.upstream, h.stale, h.cert, e.namespace, r.op, r.faults)
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.op.kubeconfig, h.account.by(r.proxy.url(), h.certPEM), 0o600); err != nil {
		return err
	}
	if err := r.scenario.steps[0].do(e); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err = e.api.get(e.path("serviceaccounts", "default")); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// play does all steps; false if one does not come to its end.
func (r *run) play() bool {
	desired := 0
	for i := 1; i < len(r.scenario.steps); i++ {
		s := &r.scenario.steps[i]
		if i == r.scenario.armAt {
			r.proxy.arm()
		}
		total := 0
		for _, n := range s.want {
			total += n
		}
		if s.anew {
			desired = 0
		}
		alive := s.maxAlive + len(r.faults) // one more try for each
		r.rec.step(min(desired, total), alive)
		desired = total
		if err := s.do(r.env); err != nil {
			r.result.fail("step %d: %v", i, err)
			return false
		}
		if i == 1 {
			if err := r.op.start(); err != nil {
				r.result.fail("the operator does not start: %v", err)
				return false
			}
		}
		if !r.awaitStep(i, s) {
			return false
		}
		r.rec.step(desired, alive)
	}
	return r.awaitQuiet()
}

func (r *run) awaitStep(i int, s *step) bool {
	began := time.Now()
	deadline := func() time.Time {
		done, over := r.proxy.state()
		limit := began.Add(convergeWithin)
		if end := over.Add(convergeWithin); end.After(limit) {
			limit = end
		}
		if !done && r.ref != nil && i >= r.scenario.armAt {
			limit = began.Add(fireWithin)
		}
		if r.ref == nil {
			return began.Add(referenceWithin)
		}
		return limit.Add(r.ref.took[i-1])
	}
	var ok func() bool
	if r.ref == nil {
		stable := r.stable(s)
		ok = func() bool { return len(r.rec.failures()) > 0 || stable() }
	} else {
		ok = func() bool { return len(r.rec.failures()) > 0 || r.asInReference(i-1) }
	}
	if !r.rec.await(deadline, ok) {
		r.result.fail("step %d did not converge in time", i)
		if r.ref != nil {
			r.result.fail("wanted:\n%s", r.ref.snapshots[i-1])
		}
		r.result.fail("is:\n%s", r.rec.snapshot(true))
		r.result.errors = append(r.result.errors, r.rec.failures()...)
		return false
	}
	r.got.snapshots = append(r.got.snapshots, r.rec.snapshot(true))
	r.got.counts = append(r.got.counts, r.rec.snapshot(false))
	r.got.took = append(r.got.took, time.Since(began))
	if broken := r.rec.failures(); len(broken) > 0 {
		r.result.errors = append(r.result.errors, broken...)
		return false
	}
	return true
}

// A plan whose end the operator did not see, or did not live to write down, may have one more try of a pool before it, or a
// pause that is forgotten or not ended (docs/design/planner.md: "a crash costs at most one more try, never an instance").
func (r *run) asInReference(step int) bool {
	if slices.ContainsFunc(r.faults, fault.losesMemory) {
		return r.rec.snapshot(false) == r.ref.counts[step]
	}
	return r.rec.snapshot(true) == r.ref.snapshots[step]
}

// stable: settled as wanted, and nothing has changed for a while.
func (r *run) stable(s *step) func() bool {
	last, since := "", time.Now()
	return func() bool {
		if !r.rec.settled(s.want, s.image) {
			last = ""
			return false
		}
		if now := r.rec.snapshot(true); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) >= stableFor
	}
}

// awaitQuiet: all faults have fired, the end is as it should be, and nobody writes any more.
func (r *run) awaitQuiet() bool {
	began := time.Now()
	if r.ref != nil {
		r.rec.await(func() time.Time { return began.Add(4 * time.Second) }, func() bool {
			done, _ := r.proxy.state()
			return done || r.proxy.firedCount() < len(r.faults) && time.Since(r.proxy.quietSince()) > 3*time.Second
		})
		if r.proxy.firedCount() < len(r.faults) {
			r.result.notFired = true
			r.result.fail("the fault never fired: %v", r.faults[r.proxy.firedCount()])
			return false
		}
	}
	began = time.Now()
	last := len(r.scenario.steps) - 2
	ok := r.rec.await(func() time.Time {
		_, over := r.proxy.state()
		if over.After(began) {
			return over.Add(convergeWithin)
		}
		return began.Add(convergeWithin)
	}, func() bool {
		done, over := r.proxy.state()
		quiet := time.Since(r.proxy.quietSince()) >= quietFor && time.Since(over) >= quietFor
		return done && quiet && (r.ref == nil || r.asInReference(last))
	})
	if !ok {
		r.result.fail("does not come to rest at the end\nwanted:\n%s\nis:\n%s", r.got.snapshots[last], r.rec.snapshot(true))
	}
	return ok
}

// How many more writes of one kind than without faults a single fault may cause.
const writesMore = 2

func (r *run) judge() {
	var order []string
	r.got.seen, r.got.accepted, order = r.proxy.numbers()
	r.got.followed, r.got.refused = followed(order), map[string]int{}
	for _, what := range order {
		r.got.refused[what] = r.got.seen[what] - r.got.accepted[what]
	}
	r.got.made = r.rec.creations()
	r.rec.close()
	if err := r.op.stop(); err != nil {
		r.result.fail("%v", err)
	}
	r.result.errors = append(r.result.errors, r.op.badLines()...)
	r.result.errors = append(r.result.errors, r.rec.failures()...)
	if r.ref == nil {
		return
	}
	for _, key := range sortedKeys(r.got.made) {
		allowed := r.ref.made[key]
		if strings.HasPrefix(key, "pods/") { // one more try, as planner.md says
			allowed += len(r.faults)
		}
		if n := r.got.made[key]; n > allowed {
			r.result.fail("%s was made %d times, %d without faults", key, n, r.ref.made[key])
		}
	}
	for _, what := range sortedKeys(r.got.accepted) {
		allowed := r.ref.accepted[what] + writesMore*len(r.faults)
		if strings.Contains(what, "-status.") { // counts that come one by one on a slow machine
			allowed += r.ref.accepted[what]
		}
		if n := r.got.accepted[what]; n > allowed {
			r.result.fail("%s was written %d times, at most %d make sense", what, n, allowed)
		}
	}
}

func (r *run) end(cancel context.CancelFunc) {
	if r.rec != nil {
		r.rec.close()
	}
	if r.op != nil {
		if err := r.op.stop(); err != nil && len(r.result.errors) == 0 {
			r.result.fail("%v", err)
		}
	}
	if r.proxy != nil {
		r.proxy.close()
	}
	cancel()
	// The namespace first, so that nothing is made anew; no kubelet answers for the pods of a node that is gone.
	e := r.env
	errs := []error{
		e.api.remove("/api/v1/namespaces/" + e.namespace),
		e.api.remove(e.path("pods", "") + "?gracePeriodSeconds=0"),
		e.api.remove("/api/v1/nodes?labelSelector=" + nodeLabel + "%3D" + e.namespace),
	}
	if err := errors.Join(errs...); err != nil {
		r.result.fail("cannot clean up: %v", err)
	}
	if len(r.result.errors) == 0 && !r.h.keepLogs {
		_ = os.RemoveAll(r.result.dir)
	} else if len(r.result.errors) > 0 {
		_ = os.WriteFile(filepath.Join(r.result.dir, "verdict"), []byte(strings.Join(r.result.errors, "\n")+"\n"), 0o644)
	}
}
