// The yardstick of make bench: an operator for InstancePoolEndpoints with current controller-runtime, written as its
// authors recommend. It does what instancepool-operator does on the happy path and for a simple stock-out, no more.
package main

import (
	"flag"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const workers = 10

func must(err error) {
	if err != nil {
		ctrl.Log.Error(err, "cannot go on")
		os.Exit(1)
	}
}

// What is not looked at is not kept.

func reducedMeta(m metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: m.Name, Namespace: m.Namespace, UID: m.UID, ResourceVersion: m.ResourceVersion, Generation: m.Generation,
		CreationTimestamp: m.CreationTimestamp, DeletionTimestamp: m.DeletionTimestamp, Labels: m.Labels,
		OwnerReferences: m.OwnerReferences,
	}
}

func reducePod(o any) (any, error) {
	p, ok := o.(*corev1.Pod)
	if !ok {
		return o, nil
	}
	var conditions []corev1.PodCondition
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady || c.Type == corev1.PodScheduled {
			conditions = append(conditions, c)
		}
	}
	meta := reducedMeta(p.ObjectMeta)
	meta.OwnerReferences = nil
	if p.Annotations[protected] != "" {
		meta.Annotations = map[string]string{protected: "true"}
	}
	return &corev1.Pod{
		ObjectMeta: meta,
		Spec:       corev1.PodSpec{NodeName: p.Spec.NodeName},
		Status:     corev1.PodStatus{Phase: p.Status.Phase, Conditions: conditions},
	}, nil
}

func reduceDeployment(o any) (any, error) {
	if d, ok := o.(*appsv1.Deployment); ok {
		return &appsv1.Deployment{
			ObjectMeta: reducedMeta(d.ObjectMeta),
			Spec:       appsv1.DeploymentSpec{Replicas: d.Spec.Replicas},
		}, nil
	}
	return o, nil
}

func reduceNode(o any) (any, error) {
	if n, ok := o.(*corev1.Node); ok {
		return &corev1.Node{
			ObjectMeta: reducedMeta(n.ObjectMeta),
			Spec:       corev1.NodeSpec{Unschedulable: n.Spec.Unschedulable, Taints: n.Spec.Taints},
			Status:     corev1.NodeStatus{Allocatable: n.Status.Allocatable, Conditions: n.Status.Conditions},
		}, nil
	}
	return o, nil
}

func reduceService(o any) (any, error) {
	if s, ok := o.(*corev1.Service); ok {
		return &corev1.Service{ObjectMeta: reducedMeta(s.ObjectMeta)}, nil
	}
	return o, nil
}

func reduceBudget(o any) (any, error) {
	if b, ok := o.(*policyv1.PodDisruptionBudget); ok {
		return &policyv1.PodDisruptionBudget{ObjectMeta: reducedMeta(b.ObjectMeta)}, nil
	}
	return o, nil
}

func cacheOptions() cache.Options {
	labelled, err := labels.NewRequirement(labelEndpoint, selection.Exists, nil)
	must(err)
	ours := labels.NewSelector().Add(*labelled)
	shared := true // the reconciler does not write into what it reads
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}:                   {Label: ours, Transform: reducePod, UnsafeDisableDeepCopy: &shared},
			&appsv1.Deployment{}:            {Label: ours, Transform: reduceDeployment, UnsafeDisableDeepCopy: &shared},
			&corev1.Service{}:               {Label: ours, Transform: reduceService, UnsafeDisableDeepCopy: &shared},
			&policyv1.PodDisruptionBudget{}: {Label: ours, Transform: reduceBudget, UnsafeDisableDeepCopy: &shared},
			&corev1.Node{}:                  {Transform: reduceNode, UnsafeDisableDeepCopy: &shared},
			&Model{}:                        {UnsafeDisableDeepCopy: &shared},
		},
	}
}

func main() {
	metrics := flag.String("metrics-bind-address", "0", "")
	health := flag.String("health-probe-bind-address", "0", "")
	elect := flag.Bool("leader-elect", false, "")
	leaseNamespace := flag.String("leader-elect-resource-namespace", "", "")
	flag.Parse()
	ctrl.SetLogger(zap.New())

	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(addToScheme(scheme))
	config := ctrl.GetConfigOrDie() // --kubeconfig
	config.QPS = -1
	ownWrites := true // reads wait until the cache shows them
	m, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                 scheme,
		Cache:                  cacheOptions(),
		Client:                 client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: &ownWrites}},
		Metrics:                metricsserver.Options{BindAddress: *metrics},
		HealthProbeBindAddress: *health,
		// 15, 10 and 2 s are its defaults. The process ends when the manager does, so the lease may be given up then.
		LeaderElection:                *elect,
		LeaderElectionID:              "instancepool-bench-peer",
		LeaderElectionNamespace:       *leaseNamespace,
		LeaderElectionReleaseOnCancel: true,
	})
	must(err)
	must(m.AddHealthzCheck("ping", healthz.Ping))
	must(m.AddReadyzCheck("ping", healthz.Ping))
	must(setup(m))
	must(m.Start(ctrl.SetupSignalHandler()))
}
