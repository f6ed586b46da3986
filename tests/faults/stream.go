package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// How long what comes after a lost event is still passed on.
const dropFor = 700 * time.Millisecond

var expired = fmt.Appendf(nil, `{"type":"ERROR","object":%s}`+"\n", statusBody(410))

// A watch, or a list that is streamed as one, on its way to the operator.
type stream struct {
	w       http.ResponseWriter
	initial bool // the events are still those of a list
	ends    <-chan time.Time
}

func (p *proxy) serveStream(w http.ResponseWriter, c *call, rs *http.Response, kind string) {
	s := &stream{w: w, initial: c.rq.URL.Query().Has("sendInitialEvents")}
	if kind == "slow" {
		time.Sleep(slowFor)
	}
	w.Header().Set("Content-Type", rs.Header.Get("Content-Type"))
	w.WriteHeader(200)
	flush(w)
	// A list breaks with its first line, and so does a watch that was just opened.
	first := kind
	if kind == "goaway" || kind == "slow" {
		first = ""
		p.ended()
	}
	p.mu.Lock()
	back := p.back
	p.mu.Unlock()
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		r := bufio.NewReader(rs.Body)
		for {
			line, err := r.ReadBytes('\n')
			if err != nil {
				return
			}
			select {
			case lines <- line:
			case <-c.rq.Context().Done():
				return
			}
		}
	}()
	for {
		select {
		case line, ok := <-lines:
			if !ok || !p.pass(s, c, line, &first) {
				return
			}
		case <-s.ends:
			_, _ = w.Write(expired)
			p.ended()
			return
		case <-back:
			return
		}
	}
}

// pass handles one line; false: the stream is over.
func (p *proxy) pass(s *stream, c *call, line []byte, first *string) bool {
	kind := *first
	*first = ""
	if kind == "" {
		kind = p.eventOccurs(s, c, line)
	}
	p.mu.Lock()
	held := p.held
	p.mu.Unlock()
	time.Sleep(time.Until(held))
	switch kind {
	case "delay":
		time.Sleep(slowFor)
	case "close":
		p.ended()
		return false
	case "twice":
		_, _ = s.w.Write(line)
	case "drop":
		s.ends = time.After(dropFor)
		return true
	case "expire":
		_, _ = s.w.Write(expired)
		p.ended()
		return false
	case "cut", "short":
		_, _ = s.w.Write(line[:len(line)/2])
		flush(s.w)
		p.ended()
		if kind == "cut" {
			abort()
		}
		return false
	case "hangup":
		p.ended()
		hangup(c.rq)
	case "hold":
		p.holdStreams()
		time.Sleep(holdFor)
	case "kill-before":
		p.killAndRestart()
		abort()
	}
	_, _ = s.w.Write(line)
	flush(s.w)
	switch kind {
	case "delay", "twice":
		p.ended()
	case "kill-after":
		time.Sleep(2 * time.Millisecond)
		p.killAndRestart()
		abort()
	}
	return true
}

func (p *proxy) eventOccurs(s *stream, c *call, line []byte) string {
	var e watchEvent
	if json.Unmarshal(line, &e) != nil {
		return ""
	}
	if e.Type == "BOOKMARK" {
		if at(e.Object, "metadata", "annotations", "k8s.io/initial-events-end") != nil {
			s.initial = false
		}
		return ""
	}
	if e.Type == "ERROR" {
		return ""
	}
	name := p.names.learn(c.resource, e.Object)
	p.note("  %s.%s.%s %s %s", c.resource, name, e.Type, text(e.Object, "metadata", "name"), summary(c.resource, e.Object))
	if s.initial {
		return ""
	}
	return p.occurs(fmt.Sprintf("event.%s.%s.%s", c.resource, name, e.Type))
}

func summary(resource string, o object) string {
	switch resource {
	case "deployments":
		return fmt.Sprintf("replicas %d, ready %d", number(o, "spec", "replicas"), number(o, "status", "readyReplicas"))
	case "pods":
		return fmt.Sprintf("on %q, Ready %t, ending %t", text(o, "spec", "nodeName"), isReady(o),
			at(o, "metadata", "deletionTimestamp") != nil)
	}
	return ""
}
