package main

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The part of the API that the peer works with; the copies are what controller-gen would write.

const (
	group         = "inference.instancepool.dev"
	labelEndpoint = group + "/endpoint"
	labelPool     = group + "/pool"
	labelType     = group + "/instance-type"
	labelRevision = group + "/revision"
	labelTrack    = group + "/track"
	nodeTypeLabel = "node.kubernetes.io/instance-type"
	gpuTaint      = "nvidia.com/gpu"
)

var groupVersion = schema.GroupVersion{Group: group, Version: "v1alpha1"}

func addToScheme(s *runtime.Scheme) error {
	s.AddKnownTypeWithName(groupVersion.WithKind("InstancePoolEndpoint"), &Endpoint{})
	s.AddKnownTypeWithName(groupVersion.WithKind("InstancePoolEndpointList"), &EndpointList{})
	s.AddKnownTypeWithName(groupVersion.WithKind("Model"), &Model{})
	s.AddKnownTypeWithName(groupVersion.WithKind("ModelList"), &ModelList{})
	metav1.AddToGroupVersion(s, groupVersion)
	return nil
}

type Pool struct {
	Name              string `json:"name,omitempty"`
	InstanceType      string `json:"instanceType"`
	Priority          int32  `json:"priority"`
	ModelNameOverride string `json:"modelNameOverride,omitempty"`
	MaxInstanceCount  *int32 `json:"maxInstanceCount,omitempty"`
}

type Capacity struct {
	RetryAfterSeconds *int64 `json:"retryAfterSeconds,omitempty"`
}

type EndpointSpec struct {
	ModelName     string    `json:"modelName"`
	InstanceCount *int32    `json:"instanceCount,omitempty"`
	InstancePools []Pool    `json:"instancePools,omitempty"`
	Capacity      *Capacity `json:"capacity,omitempty"`
}

type PoolStatus struct {
	Name                  string       `json:"name"`
	InstanceType          string       `json:"instanceType,omitempty"`
	Priority              int32        `json:"priority"`
	ModelName             string       `json:"modelName,omitempty"`
	DesiredInstanceCount  int32        `json:"desiredInstanceCount"`
	CurrentInstanceCount  int32        `json:"currentInstanceCount"`
	StartingInstanceCount int32        `json:"startingInstanceCount"`
	WaitingInstanceCount  int32        `json:"waitingInstanceCount"`
	State                 string       `json:"state,omitempty"`
	Reason                string       `json:"reason,omitempty"`
	Message               string       `json:"message,omitempty"`
	Since                 *metav1.Time `json:"since,omitempty"`
	NextRetryTime         *metav1.Time `json:"nextRetryTime,omitempty"`
	Strikes               int32        `json:"strikes"`
}

type EndpointStatus struct {
	Phase                string             `json:"phase,omitempty"`
	ObservedGeneration   int64              `json:"observedGeneration,omitempty"`
	DesiredInstanceCount int32              `json:"desiredInstanceCount"`
	CurrentInstanceCount int32              `json:"currentInstanceCount"`
	Selector             string             `json:"selector,omitempty"`
	PoolSummary          string             `json:"poolSummary,omitempty"`
	InstancePools        []PoolStatus       `json:"instancePools,omitempty"`
	Conditions           []metav1.Condition `json:"conditions,omitempty"`
}

type Endpoint struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              EndpointSpec   `json:"spec"`
	Status            EndpointStatus `json:"status,omitempty"`
}

type EndpointList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Endpoint `json:"items"`
}

type Server struct {
	Port       int32  `json:"port,omitempty"`
	HealthPath string `json:"healthPath,omitempty"`
}

type ModelSpec struct {
	Server   Server                 `json:"server,omitempty"`
	Template corev1.PodTemplateSpec `json:"template"`
}

type Model struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              ModelSpec `json:"spec"`
}

type ModelList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Model `json:"items"`
}

func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

func (in *EndpointSpec) copyInto(out *EndpointSpec) {
	*out = *in
	out.InstanceCount = copyOf(in.InstanceCount)
	out.InstancePools = make([]Pool, len(in.InstancePools))
	for i, p := range in.InstancePools {
		p.MaxInstanceCount = copyOf(p.MaxInstanceCount)
		out.InstancePools[i] = p
	}
	if out.Capacity = copyOf(in.Capacity); out.Capacity != nil {
		out.Capacity.RetryAfterSeconds = copyOf(in.Capacity.RetryAfterSeconds)
	}
}

func (in *EndpointStatus) copyInto(out *EndpointStatus) {
	*out = *in
	out.InstancePools = make([]PoolStatus, len(in.InstancePools))
	for i, p := range in.InstancePools {
		p.Since, p.NextRetryTime = p.Since.DeepCopy(), p.NextRetryTime.DeepCopy()
		out.InstancePools[i] = p
	}
	out.Conditions = append([]metav1.Condition(nil), in.Conditions...)
}

func (in *Endpoint) copyInto(out *Endpoint) {
	out.TypeMeta = in.TypeMeta
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	in.Spec.copyInto(&out.Spec)
	in.Status.copyInto(&out.Status)
}

func (in *Endpoint) DeepCopy() *Endpoint {
	out := &Endpoint{}
	in.copyInto(out)
	return out
}

func (in *Endpoint) DeepCopyObject() runtime.Object { return in.DeepCopy() }

func (in *EndpointList) DeepCopyObject() runtime.Object {
	out := &EndpointList{TypeMeta: in.TypeMeta, Items: make([]Endpoint, len(in.Items))}
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range in.Items {
		in.Items[i].copyInto(&out.Items[i])
	}
	return out
}

func (in *Model) copyInto(out *Model) {
	*out = *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	in.Spec.Template.DeepCopyInto(&out.Spec.Template)
}

func (in *Model) DeepCopyObject() runtime.Object {
	out := &Model{}
	in.copyInto(out)
	return out
}

func (in *ModelList) DeepCopyObject() runtime.Object {
	out := &ModelList{TypeMeta: in.TypeMeta, Items: make([]Model, len(in.Items))}
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range in.Items {
		in.Items[i].copyInto(&out.Items[i])
	}
	return out
}
