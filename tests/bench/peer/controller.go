package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	indexEndpoint = "endpoint"
	fieldManager  = client.FieldOwner("instancepool-bench-peer")
	protected     = "inference.instancepool.dev/protected-until-ready"
)

// What an instance is born with, so that nothing moves it while it loads.
var protection = map[string]string{
	protected: "true", "karpenter.sh/do-not-disrupt": "true", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
}

type reconciler struct {
	client.Client
	scheme   *runtime.Scheme
	recorder events.EventRecorder
	lifted   sync.Map // pods, by uid, whose protection the cache may still show
}

func setup(m ctrl.Manager) error {
	r := &reconciler{Client: m.GetClient(), scheme: m.GetScheme(), recorder: m.GetEventRecorder("instancepool-bench-peer")}
	byLabel := func(o client.Object) []string { return []string{o.GetLabels()[labelEndpoint]} }
	for _, o := range []client.Object{&corev1.Pod{}, &appsv1.Deployment{}} {
		if err := m.GetFieldIndexer().IndexField(context.Background(), o, indexEndpoint, byLabel); err != nil {
			return err
		}
	}
	return ctrl.NewControllerManagedBy(m).
		For(&Endpoint{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&appsv1.Deployment{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&corev1.Service{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&policyv1.PodDisruptionBudget{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(podToEndpoint), builder.WithPredicates(podPredicate)).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(r.nodeToEndpoints), builder.WithPredicates(nodePredicate)).
		Watches(&Model{}, handler.EnqueueRequestsFromMapFunc(r.modelToEndpoints), builder.WithPredicates(
			predicate.GenerationChangedPredicate{}, notInInitialList)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
}

// From changes to endpoints. What a first list shows concerns nobody who is not looked at anyway.

var notInInitialList = predicate.Funcs{CreateFunc: func(e event.CreateEvent) bool { return !e.IsInInitialList }}

var podPredicate = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return !e.IsInInitialList },
	UpdateFunc: func(e event.UpdateEvent) bool {
		a, b := e.ObjectOld.(*corev1.Pod), e.ObjectNew.(*corev1.Pod)
		return a.Spec.NodeName != b.Spec.NodeName || a.Status.Phase != b.Status.Phase || podReady(a) != podReady(b) ||
			(a.DeletionTimestamp == nil) != (b.DeletionTimestamp == nil) ||
			!equality.Semantic.DeepEqual(refused(a), refused(b))
	},
}

var nodePredicate = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return !e.IsInInitialList },
	UpdateFunc: func(e event.UpdateEvent) bool {
		a, b := e.ObjectOld.(*corev1.Node), e.ObjectNew.(*corev1.Node)
		return nodeReady(a) != nodeReady(b) || a.Spec.Unschedulable != b.Spec.Unschedulable ||
			!equality.Semantic.DeepEqual(a.Status.Allocatable, b.Status.Allocatable)
	},
}

func nodeReady(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

func podToEndpoint(_ context.Context, o client.Object) []reconcile.Request {
	name := types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetLabels()[labelEndpoint]}
	return []reconcile.Request{{NamespacedName: name}}
}

func (r *reconciler) endpoints(ctx context.Context, concerned func(*Endpoint) bool, in ...client.ListOption) []reconcile.Request {
	var list EndpointList
	var requests []reconcile.Request
	if err := r.List(ctx, &list, append(in, client.UnsafeDisableDeepCopy)...); err != nil {
		return nil
	}
	for i := range list.Items {
		if concerned(&list.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return requests
}

func (r *reconciler) nodeToEndpoints(ctx context.Context, n client.Object) []reconcile.Request {
	return r.endpoints(ctx, func(e *Endpoint) bool {
		return slices.ContainsFunc(e.Status.InstancePools, func(p PoolStatus) bool {
			return p.InstanceType == n.GetLabels()[nodeTypeLabel] && (p.WaitingInstanceCount > 0 || p.State == "BackOff")
		})
	})
}

func (r *reconciler) modelToEndpoints(ctx context.Context, m client.Object) []reconcile.Request {
	return r.endpoints(ctx, func(e *Endpoint) bool {
		return e.Spec.ModelName == m.GetName() || slices.ContainsFunc(e.Spec.InstancePools, func(p Pool) bool {
			return p.ModelNameOverride == m.GetName()
		})
	}, client.InNamespace(m.GetNamespace()))
}

// observe gives the pools by priority, with their Models.
func (r *reconciler) observe(ctx context.Context, e *Endpoint) ([]*poolPlan, map[string]*Model, error) {
	var pods corev1.PodList
	var deployments appsv1.DeploymentList
	mine := []client.ListOption{client.InNamespace(e.Namespace), client.MatchingFields{indexEndpoint: e.Name}}
	if err := r.List(ctx, &pods, mine...); err != nil {
		return nil, nil, err
	}
	if err := r.List(ctx, &deployments, mine...); err != nil {
		return nil, nil, err
	}
	models := map[string]*Model{}
	var pools []*poolPlan
	for _, spec := range e.Spec.InstancePools {
		p := &poolPlan{Pool: spec, model: e.Spec.ModelName}
		p.InstanceType = strings.TrimPrefix(p.InstanceType, "ml.")
		if p.Name == "" {
			p.Name = strings.ReplaceAll(p.InstanceType, ".", "-")
		}
		if p.ModelNameOverride != "" {
			p.model = p.ModelNameOverride
		}
		if models[p.model] == nil {
			m := &Model{}
			if err := r.Get(ctx, types.NamespacedName{Namespace: e.Namespace, Name: p.model}, m); err != nil {
				return nil, nil, err
			}
			models[p.model] = m
		}
		p.deployment = e.Name + "-" + p.Name + "-" + revision(p, models[p.model])
		for i := range deployments.Items {
			if d := &deployments.Items[i]; d.Name == p.deployment && d.Spec.Replicas != nil {
				p.exists, p.want = true, *d.Spec.Replicas
			}
		}
		for _, s := range e.Status.InstancePools {
			if s.Name == p.Name {
				p.status = s
			}
		}
		p.count(pods.Items)
		pools = append(pools, p)
	}
	slices.SortStableFunc(pools, func(a, b *poolPlan) int { return int(a.Priority - b.Priority) })
	return pools, models, nil
}

func revision(p *poolPlan, m *Model) string {
	h := fnv.New64a()
	json.NewEncoder(h).Encode(m.Spec)
	h.Write([]byte(p.InstanceType))
	return fmt.Sprintf("%010x", h.Sum64()&0xffffffffff)
}

func (r *reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	e := &Endpoint{}
	if err := r.Get(ctx, req.NamespacedName, e); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if e.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	pools, models, err := r.observe(ctx, e)
	if apierrors.IsNotFound(err) { // a Model; its coming brings the endpoint back
		return ctrl.Result{}, nil
	} else if err != nil {
		return ctrl.Result{}, err
	}
	now := time.Now()
	again := decide(e, pools, now)
	status := report(e, pools, now)
	if err := r.act(ctx, e, pools, models, status); apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsInvalid(err) {
		return ctrl.Result{RequeueAfter: 100 * time.Millisecond}, nil // the cache is behind
	} else if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: again}, nil
}

// act raises first, then lowers; the status last.
func (r *reconciler) act(ctx context.Context, e *Endpoint, pools []*poolPlan, models map[string]*Model, s EndpointStatus) error {
	for _, p := range pools {
		if p.target > p.want {
			if err := r.write(ctx, e, p, models[p.model]); err != nil {
				return err
			}
		}
	}
	for _, p := range pools {
		if p.target < p.want || !p.exists && p.target == 0 {
			if err := r.write(ctx, e, p, models[p.model]); err != nil {
				return err
			}
		}
	}
	for _, p := range pools {
		for _, pod := range p.grown {
			if err := r.lift(ctx, pod); err != nil {
				return err
			}
		}
	}
	service := &corev1.Service{}
	err := r.Get(ctx, client.ObjectKeyFromObject(e), service)
	if apierrors.IsNotFound(err) {
		err = r.createService(ctx, e, models[pools[0].model])
	}
	if err != nil {
		return err
	}
	err = r.Get(ctx, client.ObjectKeyFromObject(e), &policyv1.PodDisruptionBudget{})
	if apierrors.IsNotFound(err) {
		err = r.createBudget(ctx, e)
	}
	if err != nil || equality.Semantic.DeepEqual(e.Status, s) {
		return err
	}
	before := e.DeepCopy()
	e.Status = s
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Status().Patch(ctx, e, patch, fieldManager); err != nil {
		return err
	}
	r.say(before, e, pools)
	return nil
}

func (r *reconciler) lift(ctx context.Context, pod *corev1.Pod) error {
	if _, done := r.lifted.LoadOrStore(pod.UID, nil); done {
		return nil
	}
	gone := map[string]any{}
	for key := range protection {
		gone[key] = nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID, "annotations": gone}})
	if err != nil {
		return err
	}
	err = r.Patch(ctx, pod.DeepCopy(), client.RawPatch(types.MergePatchType, patch), fieldManager)
	return client.IgnoreNotFound(err)
}

func (r *reconciler) say(was, is *Endpoint, pools []*poolPlan) {
	for _, p := range pools {
		if p.givenUp {
			r.recorder.Eventf(is, nil, corev1.EventTypeWarning, "PoolOutOfCapacity", "Plan", "%s: no room", p.Name)
		}
	}
	if was.Status.Phase != "" && was.Status.DesiredInstanceCount != is.Status.DesiredInstanceCount {
		r.recorder.Eventf(is, nil, corev1.EventTypeNormal, "Scaled", "Plan", "%d -> %d instances",
			was.Status.DesiredInstanceCount, is.Status.DesiredInstanceCount)
	}
	if was.Status.Phase != is.Status.Phase && is.Status.Phase == "InService" {
		r.recorder.Eventf(is, nil, corev1.EventTypeNormal, "InService", "Plan", "%d of %d instances serve: %s",
			is.Status.CurrentInstanceCount, is.Status.DesiredInstanceCount, is.Status.PoolSummary)
	}
}

func (r *reconciler) write(ctx context.Context, e *Endpoint, p *poolPlan, m *Model) error {
	if !p.exists {
		d := deployment(e, p, m)
		if err := controllerutil.SetControllerReference(e, d, r.scheme); err != nil {
			return err
		}
		if err := r.try(ctx, d); err != nil {
			return err
		}
		return r.Create(ctx, d, fieldManager)
	}
	patch := fmt.Sprintf(`[{"op":"test","path":"/spec/replicas","value":%d},{"op":"replace","path":"/spec/replicas","value":%d}]`,
		p.want, p.target)
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: p.deployment}}
	return r.Patch(ctx, d, client.RawPatch(types.JSONPatchType, []byte(patch)), fieldManager)
}

// try creates a Pod of the Deployment as a dry run.
func (r *reconciler) try(ctx context.Context, d *appsv1.Deployment) error {
	p := &corev1.Pod{ObjectMeta: *d.Spec.Template.ObjectMeta.DeepCopy(), Spec: *d.Spec.Template.Spec.DeepCopy()}
	p.Namespace, p.Name, p.OwnerReferences = d.Namespace, d.Name, d.OwnerReferences
	return r.Create(ctx, p, fieldManager, client.DryRunAll)
}

func deployment(e *Endpoint, p *poolPlan, m *Model) *appsv1.Deployment {
	revision := p.deployment[strings.LastIndexByte(p.deployment, '-')+1:]
	selector := map[string]string{labelEndpoint: e.Name, labelPool: p.Name, labelRevision: revision}
	labels := map[string]string{labelEndpoint: e.Name, labelPool: p.Name, labelRevision: revision,
		labelType: p.InstanceType, labelTrack: "blue"}
	template := m.Spec.Template.DeepCopy()
	template.Labels, template.Annotations = labels, protection
	template.Spec.NodeSelector = map[string]string{nodeTypeLabel: p.InstanceType}
	template.Spec.Tolerations = append(template.Spec.Tolerations, corev1.Toleration{
		Key: gpuTaint, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule})
	template.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
		HTTPGet: &corev1.HTTPGetAction{Path: m.Spec.Server.HealthPath, Port: intstr.FromInt32(m.Spec.Server.Port)}}}
	history, none, one := int32(1), intstr.FromInt32(0), intstr.FromInt32(1)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: p.deployment, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: &p.target, RevisionHistoryLimit: &history, Template: *template,
			Selector: &metav1.LabelSelector{MatchLabels: selector},
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &none, MaxUnavailable: &one}},
		},
	}
}

func (r *reconciler) createService(ctx context.Context, e *Endpoint, m *Model) error {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name, Labels: map[string]string{labelEndpoint: e.Name}},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{labelEndpoint: e.Name, labelTrack: "blue"},
			Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80,
				TargetPort: intstr.FromInt32(m.Spec.Server.Port)}},
		},
	}
	if err := controllerutil.SetControllerReference(e, s, r.scheme); err != nil {
		return err
	}
	return r.Create(ctx, s, fieldManager)
}

func (r *reconciler) createBudget(ctx context.Context, e *Endpoint) error {
	one, always := intstr.FromInt32(1), policyv1.AlwaysAllow
	b := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name, Labels: map[string]string{labelEndpoint: e.Name}},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable:             &one,
			Selector:                   &metav1.LabelSelector{MatchLabels: map[string]string{labelEndpoint: e.Name}},
			UnhealthyPodEvictionPolicy: &always,
		},
	}
	if err := controllerutil.SetControllerReference(e, b, r.scheme); err != nil {
		return err
	}
	return r.Create(ctx, b, fieldManager)
}
