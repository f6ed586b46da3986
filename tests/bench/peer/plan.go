package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	settle            = 3 * time.Second // a verdict is believed so long after the second in which it was given
	defaultRetryAfter = 180 * time.Second
)

// What is seen and decided of one pool.
type poolPlan struct {
	Pool
	model      string
	deployment string
	exists     bool
	want       int32
	bound      int32
	ready      int32
	grown      []*corev1.Pod // Ready, and still protected
	definite   time.Time     // when the refusal of its waiting pods counts; zero: they are not refused
	givenUp    bool
	target     int32
	status     PoolStatus
}

func (p *poolPlan) limit() int32 {
	if p.MaxInstanceCount != nil {
		return *p.MaxInstanceCount
	}
	return 1 << 30
}

func (p *poolPlan) open() bool { return p.status.State == "BackOff" }

func condition(p *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == t {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

func podReady(p *corev1.Pod) bool {
	c := condition(p, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

func refused(p *corev1.Pod) *corev1.PodCondition {
	c := condition(p, corev1.PodScheduled)
	if c != nil && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable &&
		strings.Contains(c.Message, "Insufficient") {
		return c
	}
	return nil
}

func (p *poolPlan) count(pods []corev1.Pod) {
	for i := range pods {
		pod := &pods[i]
		if pod.Labels[labelPool] != p.Name || pod.DeletionTimestamp != nil ||
			pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
			continue
		}
		if pod.Spec.NodeName != "" {
			p.bound++
			if podReady(pod) {
				p.ready++
				if pod.Annotations[protected] != "" {
					p.grown = append(p.grown, pod)
				}
			}
		} else if c := refused(pod); c != nil {
			at := c.LastTransitionTime.Add(time.Second + settle)
			if p.definite.IsZero() || at.Before(p.definite) {
				p.definite = at
			}
		}
	}
	p.bound, p.ready = min(p.bound, p.want), min(p.ready, p.want)
}

func desired(e *Endpoint) int32 {
	if e.Spec.InstanceCount != nil {
		return *e.Spec.InstanceCount
	}
	return 1
}

func retryAfter(e *Endpoint) time.Duration {
	if c := e.Spec.Capacity; c != nil && c.RetryAfterSeconds != nil {
		return time.Duration(*c.RetryAfterSeconds) * time.Second
	}
	return defaultRetryAfter
}

// decide gives every pool its target. Returns when to look again, 0 for never.
func decide(e *Endpoint, pools []*poolPlan, now time.Time) time.Duration {
	var wake time.Time
	wakeAt := func(t time.Time) {
		if wake.IsZero() || t.Before(wake) {
			wake = t
		}
	}
	unmet := desired(e)
	for _, p := range pools {
		unmet -= p.bound
		if p.open() && (p.status.NextRetryTime == nil || !now.Before(p.status.NextRetryTime.Time)) {
			p.status.State, p.status.NextRetryTime = "", nil
		}
		if p.want > p.bound && !p.definite.IsZero() {
			if p.givenUp = !now.Before(p.definite); p.givenUp {
				retry := metav1.NewTime(now.Add(retryAfter(e)).Truncate(time.Second))
				p.status.State, p.status.NextRetryTime, p.status.Reason = "BackOff", &retry, "StockOut"
				p.status.Strikes++
			} else {
				wakeAt(p.definite)
			}
		}
		if p.open() {
			wakeAt(p.status.NextRetryTime.Time)
		}
	}
	surplus := max(0, -unmet)
	for _, p := range pools {
		share := int32(0)
		if !p.open() {
			share = max(0, min(unmet, p.limit()-p.bound))
		}
		unmet -= share
		p.target = p.bound + share
	}
	for _, p := range slices.Backward(pools) {
		taken := min(surplus, p.bound)
		p.target -= taken
		surplus -= taken
	}
	if wake.IsZero() {
		return 0
	}
	return max(wake.Sub(now), time.Millisecond)
}

func poolState(p *poolPlan) string {
	switch {
	case p.open():
		return "BackOff"
	case p.target == 0:
		return "Idle"
	case p.target > p.bound:
		return "Waiting"
	case p.bound > p.ready:
		return "Starting"
	}
	return "Ready"
}

func setCondition(s *EndpointStatus, generation int64, kind string, is bool, reason, message string) {
	status := metav1.ConditionFalse
	if is {
		status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&s.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: generation})
}

// report makes the status as it is once the targets are written.
func report(e *Endpoint, pools []*poolPlan, now time.Time) EndpointStatus {
	var s EndpointStatus
	e.Status.copyInto(&s)
	s.ObservedGeneration = e.Generation
	s.DesiredInstanceCount = desired(e)
	s.CurrentInstanceCount = 0
	s.Selector = labelEndpoint + "=" + e.Name
	s.InstancePools = nil
	var summary []string
	var asked, waiting, fallback int32
	open := false
	for i, p := range pools {
		was := p.status
		st := &p.status
		st.Name, st.InstanceType, st.Priority, st.ModelName = p.Name, p.InstanceType, p.Priority, p.model
		bound := min(p.bound, p.target)
		st.DesiredInstanceCount = p.target
		st.CurrentInstanceCount = min(p.ready, p.target)
		st.StartingInstanceCount = bound - st.CurrentInstanceCount
		st.WaitingInstanceCount = p.target - bound
		st.State = poolState(p)
		if st.State != was.State || st.Since == nil {
			t := metav1.NewTime(now.Truncate(time.Second))
			st.Since = &t
		}
		if !p.open() && st.WaitingInstanceCount == 0 {
			st.Reason = ""
		} else if st.Reason == "" {
			st.Reason = "Pending"
		}
		if p.target > 0 {
			summary = append(summary, fmt.Sprintf("%s=%d", p.InstanceType, st.CurrentInstanceCount))
		}
		asked += p.target
		waiting += st.WaitingInstanceCount
		s.CurrentInstanceCount += st.CurrentInstanceCount
		open = open || p.open()
		if i > 0 {
			fallback += st.CurrentInstanceCount
		}
		s.InstancePools = append(s.InstancePools, *st)
	}
	s.PoolSummary = strings.Join(summary, " ")
	all := s.CurrentInstanceCount >= s.DesiredInstanceCount
	switch {
	case all || s.Phase == "InService" && s.CurrentInstanceCount > 0:
		s.Phase = "InService"
	case s.Phase == "" || s.Phase == "Creating":
		s.Phase = "Creating"
	default:
		s.Phase = "Updating"
	}
	words := fmt.Sprintf("%d of %d instances are Ready", s.CurrentInstanceCount, s.DesiredInstanceCount)
	setCondition(&s, e.Generation, "Ready", all, s.Phase, words)
	setCondition(&s, e.Generation, "Reconciling", !all, s.Phase, words)
	setCondition(&s, e.Generation, "InsufficientCapacity", open && asked < s.DesiredInstanceCount, "Pools", words)
	setCondition(&s, e.Generation, "OnFallback", fallback > 0, "Pools", s.PoolSummary)
	return s
}
