package main

import (
	"fmt"
	"time"
)

const nodeLabel = "instancepool.dev/faults"

// A story: steps that the harness does by the plain API, each with what must come of it.
type scenario struct {
	name string
	// Faults are planned from this step on; the operator starts with the first step, or, where that is 0, after arm().
	armAt int
	steps []step
}

type step struct {
	do func(e *env) error
	// Instances by pool; nil: nothing is left.
	want map[string]int
	// Of all of them; "": any.
	image string
	// The most that may be there at a time: what is wanted, what still waits elsewhere, one that is borrowed.
	maxAlive int
	// What was there before goes: there is nothing that must stay.
	anew bool
}

// What a plan has for itself.
type env struct {
	api       *api
	namespace string
	id        string
}

func (e *env) instanceType(pool string) string { return pool + "." + e.id }

func (e *env) path(plural, name string) string {
	p := groupPath
	if plural == "pods" || plural == "serviceaccounts" {
		p = "/api/v1"
	}
	p += "/namespaces/" + e.namespace + "/" + plural
	if name != "" {
		p += "/" + name
	}
	return p
}

func (e *env) addNodes(pool string, first, count int, behaviour string) error {
	for i := first; i < first+count; i++ {
		name := fmt.Sprintf("%s-%s-%d", pool, e.id, i)
		room := object{"cpu": "192", "memory": "2Ti", "pods": "110", "nvidia.com/gpu": "8"}
		err := e.api.create("/api/v1/nodes", object{
			"apiVersion": "v1", "kind": "Node",
			"metadata": object{
				"name":        name,
				"annotations": object{"kwok.x-k8s.io/node": behaviour},
				"labels": object{
					"type": "kwok", "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
					"kubernetes.io/hostname": name, "node.kubernetes.io/instance-type": e.instanceType(pool),
					nodeLabel: e.namespace,
				},
			},
			"spec":   object{"taints": []object{{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}}},
			"status": object{"capacity": room, "allocatable": room},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Ready, and open to the scheduler.
func (e *env) awaitNodes(count int) error {
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		l, err := e.api.get("/api/v1/nodes?labelSelector=" + nodeLabel + "%3D" + e.namespace)
		if err != nil {
			return err
		}
		open := 0
		for _, n := range list(l, "items") {
			if isReady(n.(object)) && len(list(n, "spec", "taints")) == 1 {
				open++
			}
		}
		if open == count {
			return nil
		}
	}
	return fmt.Errorf("the nodes are not Ready")
}

// What kwok makes of the nodes: on the first pods are Ready, and gone, at once, on the others it takes a second or two.
const instant, realLife = "fake", "real-life"

// nodes are there before anything else: so many of the best pool, so many to spare.
func nodes(best, spare int, behaviour string) func(*env) error {
	return func(e *env) error {
		if err := e.addNodes("best", 0, best, behaviour); err != nil {
			return err
		}
		if err := e.addNodes("spare", 0, spare, behaviour); err != nil {
			return err
		}
		return e.awaitNodes(best + spare)
	}
}

func (e *env) model(image string) object {
	return object{
		"apiVersion": "inference.instancepool.dev/v1alpha1", "kind": "Model", "metadata": object{"name": "llm"},
		"spec": object{"template": object{
			"metadata": object{"annotations": object{
				"kwok.instancepool.dev/ready-after": "1s", "kwok.instancepool.dev/stop-after": "1s"}},
			"spec": object{"containers": []object{{
				"name": "server", "image": image, "resources": object{"limits": object{"nvidia.com/gpu": 8}}}}}}},
	}
}

func (e *env) createModel() error {
	return e.api.create(e.path("models", ""), e.model("example/llm:1"))
}

func (e *env) createEndpoint(count int, capacity object) error {
	return e.api.create(e.path("instancepoolendpoints", ""), object{
		"apiVersion": "inference.instancepool.dev/v1alpha1", "kind": "InstancePoolEndpoint",
		"metadata": object{"name": "llm"},
		"spec": object{
			"modelName": "llm", "instanceCount": count, "capacity": capacity,
			"instancePools": []object{
				{"name": "best", "instanceType": e.instanceType("best"), "priority": 1},
				{"name": "spare", "instanceType": e.instanceType("spare"), "priority": 2},
			},
		},
	})
}

// Long enough that no pause ends in the middle of a plan.
var passive = object{"retryAfterSeconds": 600, "rebalance": "Passive"}

func create(count int, capacity object) func(*env) error {
	return func(e *env) error {
		if err := e.createModel(); err != nil {
			return err
		}
		return e.createEndpoint(count, capacity)
	}
}

func scale(count int) func(*env) error {
	return func(e *env) error {
		return e.api.merge(e.path("instancepoolendpoints", "llm"), object{"spec": object{"instanceCount": count}})
	}
}

const secondImage = "example/llm:2"

func changeImage(e *env) error {
	return e.api.merge(e.path("models", "llm"), object{"spec": e.model(secondImage)["spec"]})
}

func remove(e *env) error { return e.api.remove(e.path("instancepoolendpoints", "llm")) }

func moreNodes(pool string, first, count int) func(*env) error {
	return func(e *env) error { return e.addNodes(pool, first, count, instant) }
}

func both(a, b func(*env) error) func(*env) error {
	return func(e *env) error {
		if err := a(e); err != nil {
			return err
		}
		return b(e)
	}
}

func pools(best, spare int) map[string]int { return map[string]int{"best": best, "spare": spare} }

// The first step of each prepares the nodes and is never planned for.
var scenarios = []scenario{
	{"create", 1, []step{
		{do: nodes(2, 1, instant)},
		{do: create(2, passive), want: pools(2, 0), maxAlive: 2},
	}},
	{"scale", 2, []step{
		{do: nodes(3, 1, instant)},
		{do: create(1, passive), want: pools(1, 0), maxAlive: 1},
		{do: scale(3), want: pools(3, 0), maxAlive: 3},
		{do: scale(1), want: pools(1, 0), maxAlive: 3},
	}},
	{"fallback", 1, []step{
		{do: nodes(1, 2, instant)},
		{do: create(3, passive), want: pools(1, 2), maxAlive: 5},
	}},
	// What no pool had room for goes to the best one when that has a node again.
	{"recovery", 2, []step{
		{do: nodes(0, 1, instant)},
		{do: create(2, passive), want: pools(0, 1), maxAlive: 4},
		{do: moreNodes("best", 0, 1), want: pools(1, 1), maxAlive: 2},
		{do: scale(1), want: pools(1, 0), maxAlive: 2},
	}},
	// It is moved back.
	{"rebalance", 2, []step{
		{do: nodes(0, 1, instant)},
		{do: create(1, object{"retryAfterSeconds": 10, "rebalance": "Active"}), want: pools(0, 1), maxAlive: 2},
		{do: moreNodes("best", 0, 1), want: pools(1, 0), maxAlive: 2},
	}},
	{"deletion", 2, []step{
		{do: nodes(1, 1, instant)},
		{do: create(2, passive), want: pools(1, 1), maxAlive: 3},
		{do: remove, maxAlive: 2},
		{do: func(e *env) error { return e.createEndpoint(1, passive) }, want: pools(1, 0), maxAlive: 1},
	}},
	// The same without a look in between: another uid under the same name.
	{"recreate", 2, []step{
		{do: nodes(2, 1, instant)},
		{do: create(2, passive), want: pools(2, 0), maxAlive: 2},
		{do: both(remove, func(e *env) error { return e.createEndpoint(1, passive) }), want: pools(1, 0), maxAlive: 3,
			anew: true},
	}},
	{"template", 2, []step{
		{do: nodes(3, 1, realLife)},
		{do: create(2, passive), want: pools(2, 0), maxAlive: 2},
		// A new one is asked for right before the old one that it replaces goes.
		{do: changeImage, want: pools(2, 0), maxAlive: 4, image: secondImage},
	}},
	// There is no room beside the old ones but in the other pool.
	{"template-full", 2, []step{
		{do: nodes(2, 1, realLife)},
		{do: create(2, passive), want: pools(2, 0), maxAlive: 2},
		{do: changeImage, want: pools(2, 0), maxAlive: 4, image: secondImage},
	}},
}

func scenarioNamed(name string) *scenario {
	for i := range scenarios {
		if scenarios[i].name == name {
			return &scenarios[i]
		}
	}
	return nil
}
