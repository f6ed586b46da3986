package main

import (
	"fmt"
	"strings"
	"sync"
)

const labels = "inference.instancepool.dev/"

// The plural of each kind that the operator watches.
var watchedKinds = []string{"instancepoolendpoints", "models", "deployments", "pods", "nodes", "services",
	"poddisruptionbudgets"}

// Names without hashes, so that those of two runs can be compared: the revisions of a pool are r1, r2, ... in the order in
// which they were seen; a pod is called after its pool and revision, a node after its type.
type names struct {
	mu        sync.Mutex
	revisions map[string][]string // pool -> hashes
	known     map[string]string   // "resource/name" -> name
}

func newNames() *names {
	return &names{revisions: map[string][]string{}, known: map[string]string{}}
}

func (n *names) revision(pool, hash string) string {
	for i, h := range n.revisions[pool] {
		if h == hash {
			return fmt.Sprintf("%s-r%d", pool, i+1)
		}
	}
	n.revisions[pool] = append(n.revisions[pool], hash)
	return fmt.Sprintf("%s-r%d", pool, len(n.revisions[pool]))
}

// learn is given an object that was sent or seen.
func (n *names) learn(resource string, o object) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := at(o, "metadata", "labels")
	name, pool, hash := text(o, "metadata", "name"), text(l, labels+"pool"), text(l, labels+"revision")
	short := name
	switch {
	case resource == "nodes":
		short, _, _ = strings.Cut(text(l, "node.kubernetes.io/instance-type"), ".")
	case resource == "pods" && pool != "":
		short = n.revision(pool, hash)
	case pool != "":
		short = text(l, labels+"endpoint") + "-" + n.revision(pool, hash)
	}
	n.known[resource+"/"+name] = short
	return short
}

// of gives the name of an object that was seen before.
func (n *names) of(resource, name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if short := n.known[resource+"/"+name]; short != "" {
		return short
	}
	return name
}
