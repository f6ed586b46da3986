package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// A fault meets the k-th occurrence of something that the reference run has shown: a request ("patch.deployments.llm-best-r1")
// or an event of a watch ("event.pods.best-r1.MODIFIED"). Names are those of names.go, without hashes.
type fault struct {
	what string
	k    int
	kind string
}

func (f fault) String() string { return fmt.Sprintf("%s.%d/%s", f.what, f.k, f.kind) }

// SCENARIO/WHAT.K/KIND, with a second fault after a '+': it is counted from the first one on.
type plan struct {
	scenario string
	faults   []fault
}

func (p plan) String() string {
	var parts []string
	for _, f := range p.faults {
		parts = append(parts, f.String())
	}
	return p.scenario + "/" + strings.Join(parts, "+")
}

func parsePlan(id string) (plan, error) {
	scenario, rest, _ := strings.Cut(id, "/")
	p := plan{scenario: scenario}
	for part := range strings.SplitSeq(rest, "+") {
		where, kind, _ := strings.Cut(part, "/")
		dot := strings.LastIndexByte(where, '.')
		k, err := strconv.Atoi(where[dot+1:])
		if dot < 0 || err != nil || !slices.Contains(allKinds(), kind) {
			return p, fmt.Errorf("not a plan: %q", id)
		}
		p.faults = append(p.faults, fault{where[:dot], k, kind})
	}
	return p, nil
}

// What can become of a write. "applied": the API server has carried it out, the operator does not hear of it.
var writeKinds = []string{
	"kill-before",              // the operator dies, the write does not arrive
	"kill-applied",             // it arrives, the operator dies before the answer
	"kill-after",               // the operator dies right after the answer
	"409", "429", "500", "503", // answered without asking the server
	"500-applied", "504-applied",
	"reset", "reset-applied", // of this stream alone
	"hangup", "hangup-applied", // of the whole connection, with all watches on it
	"goaway",        // the connection takes no further requests
	"cut-applied",   // half of the answer, then a reset
	"short-applied", // half of the answer, as if that were all
	"slow-applied",  // the answer takes three seconds
	"hold",          // from this write on, no watch brings anything for four seconds
}

// Dry runs and Events: nothing depends on them but that they end.
var minorKinds = []string{"kill-before", "kill-applied", "kill-after", "409", "429", "500", "504-applied", "hangup",
	"cut-applied", "short-applied"}

// Against the second API server, which does not see what is written from the fault on (see stale.go).
var staleKinds = []string{
	"stale", "stale-applied",
	"past", // it goes on for two more writes, and only then falls back to where it was
}

var frozenKinds = []string{"frozen-applied"}

// What can become of a list, a watch that is opened, or a look at one object.
var readKinds = []string{"kill-before", "429", "500", "503", "410", "reset", "hangup", "goaway", "cut", "short", "slow"}

// What can become of an event. Those that come later on the same stream wait, too.
var eventKinds = []string{
	"delay",  // three seconds
	"close",  // the stream ends before it
	"twice",  // it comes twice
	"drop",   // it does not come, those after it do, and then the version is too old: a list has to show it
	"expire", // the version is too old instead
	"cut",    // half of it, then a reset
	"short",  // half of it, then an end
	"hangup",
	"hold",        // no watch brings anything for four seconds
	"kill-before", // the operator dies before it hears of it
	"kill-after",  // or right after
}

// Requests fail for two seconds, whatever they ask.
var outageKinds = []string{"outage-503", "outage-hangup"}

func allKinds() []string {
	return slices.Concat(writeKinds, staleKinds, frozenKinds, readKinds, eventKinds, outageKinds)
}

// After a first fault of these kinds something is half done, or not known.
var halfDone = []string{"500-applied", "hangup-applied", "cut-applied", "409"}

func isKill(kind string) bool { return strings.HasPrefix(kind, "kill") }
func isStale(kind string) bool {
	return slices.Contains(staleKinds, kind) || slices.Contains(frozenKinds, kind)
}

// Does the operator not get to write what it has decided, or not hear that it was done?
func (f fault) losesMemory() bool {
	return isKill(f.kind) || isStale(f.kind) || strings.HasSuffix(f.kind, "-applied")
}

func (p plan) needsStaleServer() bool {
	return slices.ContainsFunc(p.faults, func(f fault) bool { return isStale(f.kind) })
}

func kindsFor(what string) []string {
	verb, rest, _ := strings.Cut(what, ".")
	switch {
	case verb == "event":
		return eventKinds
	case verb == "list" || verb == "watch" || verb == "get":
		return readKinds
	case strings.HasPrefix(rest, "events.") || verb == "try":
		return minorKinds
	default:
		return slices.Concat(writeKinds, staleKinds, outageKinds)
	}
}

// Is it asked once or twice, however the run goes? Counts that follow the cluster's own pace come in any number.
const maxEvents = 4

// All plans for a scenario, by what its reference runs have in common, in a fixed order.
func plansFor(scenario string, ref *reference) []plan {
	var plans []plan
	add := func(faults ...fault) { plans = append(plans, plan{scenario, faults}) }
	for _, what := range sortedKeys(ref.seen) {
		verb, rest, _ := strings.Cut(what, ".")
		if verb == "write" { // any of the others
			continue
		}
		n := ref.seen[what] - ref.refused[what]
		if verb == "event" {
			n = min(n, maxEvents)
		}
		for k := 1; k <= n; k++ {
			for _, kind := range kindsFor(what) {
				add(fault{what, k, kind})
			}
			if verb != "create" && verb != "patch" && verb != "delete" || strings.HasPrefix(rest, "events.") {
				continue
			}
			if k == 1 {
				add(fault{what, k, frozenKinds[0]})
			}
			if k <= ref.followed[what] {
				for _, kind := range halfDone {
					add(fault{what, k, kind}, fault{"write", 1, "kill-applied"})
				}
				// The next operator may find a status as it would write it, and then nothing is left to write.
				if !strings.Contains(rest, "-status.") {
					add(fault{what, k, "kill-applied"}, fault{"write", 1, "kill-before"})
				}
			}
			for i, kind := range []string{"503", "cut", "short", "410", "slow"} {
				add(fault{what, k, "kill-applied"}, fault{"list." + watchedKinds[(k+i+len(plans))%len(watchedKinds)], 1, kind})
			}
		}
	}
	return plans
}

// So many of them by the seed: of all scenarios and all kinds alike, whichever have most plans.
func sample(plans []plan, count int, seed uint64) []plan {
	random := rand.New(rand.NewPCG(seed, 0))
	groups := map[string][]plan{}
	for _, p := range plans {
		f := p.faults[len(p.faults)-1]
		verb, _, _ := strings.Cut(p.faults[0].what, ".")
		key := fmt.Sprintf("%s %s %d", verb, f.kind, len(p.faults))
		groups[key] = append(groups[key], p)
	}
	keys := sortedKeys(groups)
	for _, key := range keys {
		g := groups[key]
		random.Shuffle(len(g), func(i, j int) { g[i], g[j] = g[j], g[i] })
	}
	var picked []plan
	for len(picked) < count && len(picked) < len(plans) {
		random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		for _, key := range keys {
			if g := groups[key]; len(g) > 0 && len(picked) < count {
				picked, groups[key] = append(picked, g[0]), g[1:]
			}
		}
	}
	return picked
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
