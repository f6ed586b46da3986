package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	slowFor   = 3 * time.Second
	holdFor   = 4 * time.Second
	outageFor = 2 * time.Second
	// How far the past is away: in writes, but no longer than that.
	pastWrites = 2
	pastWithin = 6 * time.Second
)

// The API server as one operator process sees it. Every request on it belongs to one plan.
type proxy struct {
	upstream  string // where requests go
	stale     *staleServer
	client    *http.Transport
	namespace string
	operator  *operator
	names     *names
	listener  net.Listener
	server    *http.Server

	trace *os.File // what passed, for the eyes of whoever has to find out why a plan failed

	mu       sync.Mutex
	armed    bool
	counts   map[string]int // what was asked and seen since it was armed
	total    map[string]int // the same for all plans to come: counts is begun anew after the first fault
	order    []string       // the writes in total
	accepted map[string]int // writes that the API server carried out
	lastSeen time.Time      // of a write
	faults   []fault
	fired    int
	over     time.Time     // when the last one that fired ended
	pending  int           // those that have not ended yet
	held     time.Time     // no watch brings anything before
	outage   time.Time     // requests fail before
	hangs    bool          // by a broken connection
	back     chan struct{} // closed when the watches are to leave the stale server; nil: they are not there
	mode     string        // of the stale server
	travel   int           // so many writes, then the operator falls back into the past; 0: it does not
}

type connKey struct{}

func newProxy(upstream string, client *http.Transport, stale *staleServer, cert *tls.Certificate, namespace string,
	op *operator, faults []fault) (*proxy, error) {
	trace, err := os.Create(filepath.Join(op.dir, "trace"))
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{upstream: upstream, stale: stale, client: client, namespace: namespace, operator: op, names: newNames(),
		trace: trace, listener: l, counts: map[string]int{}, total: map[string]int{}, accepted: map[string]int{}, faults: faults}
	p.server = &http.Server{
		Handler:     p,
		TLSConfig:   &tls.Config{Certificates: []tls.Certificate{*cert}},
		ErrorLog:    log.New(io.Discard, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	go p.server.ServeTLS(l, "", "")
	return p, nil
}

func (p *proxy) url() string { return "https://" + p.listener.Addr().String() }

func (p *proxy) close() {
	p.server.Close()
	p.trace.Close()
}

func (p *proxy) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	fmt.Fprintf(p.trace, "%s %s\n", time.Now().UTC().Format("15:04:05.000"), line[:min(len(line), 400)])
}

// From now on requests and events are counted.
func (p *proxy) arm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = true
}

// occurs counts, and says which fault meets this, if one does.
func (p *proxy) occurs(whats ...string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.armed {
		return ""
	}
	kind := ""
	for _, what := range whats {
		p.counts[what]++
		p.total[what]++
		if what == "write" {
			p.order = append(p.order, whats[0])
		}
		if p.fired < len(p.faults) && p.faults[p.fired].what == what && p.faults[p.fired].k == p.counts[what] {
			kind = p.faults[p.fired].kind
		}
	}
	if kind != "" {
		p.note("FAULT %s", kind)
		p.fired++
		p.pending++
		p.counts = map[string]int{}
	}
	return kind
}

func (p *proxy) ended() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending--
	p.over = time.Now()
}

// Have all faults fired and ended, and when did the last end?
func (p *proxy) state() (bool, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fired == len(p.faults) && p.pending == 0, p.over
}

func (p *proxy) firedCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fired
}

func (p *proxy) quietSince() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastSeen
}

func (p *proxy) numbers() (seen, accepted map[string]int, order []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.total), maps.Clone(p.accepted), slices.Clone(p.order)
}

func (p *proxy) killAndRestart() {
	p.note("the operator is killed")
	p.operator.kill()
	go func() {
		time.Sleep(50 * time.Millisecond)
		if err := p.operator.start(); err != nil {
			p.operator.onExit(err.Error())
		}
		p.ended()
	}()
}

// What a request is about.
type call struct {
	rq       *http.Request
	body     []byte
	resource string
	name     string
	what     string // "patch.instancepoolendpoints-status.llm"
	write    bool
	watch    bool
	counted  bool // among the writes of which nothing may be sent twice
}

func (p *proxy) read(r *http.Request) (*call, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c := &call{rq: r, body: body}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	skip := 2 // api/v1
	if parts[0] == "apis" {
		skip = 3
	}
	if len(parts) <= skip {
		c.what = "other"
		return c, nil
	}
	parts = parts[skip:]
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	c.resource = parts[0]
	if len(parts) > 1 {
		c.name = p.names.of(c.resource, parts[1])
	}
	resource := c.resource
	if len(parts) > 2 {
		resource += "-" + parts[2]
	}
	q := r.URL.Query()
	verb := strings.ToLower(r.Method)
	switch r.Method {
	case "POST":
		verb = "create"
		var o object
		if json.Unmarshal(body, &o) == nil {
			c.name = p.names.learn(c.resource, o)
			if c.resource == "events" {
				c.name = text(o, "reason")
				p.remember("events/"+text(o, "metadata", "name"), c.name)
			}
		}
		if q.Has("dryRun") {
			verb = "try"
		}
	case "PATCH":
	case "DELETE":
	case "GET":
		c.watch = q.Get("watch") != ""
		switch {
		case c.name != "":
			verb = "get"
		case c.watch && !q.Has("sendInitialEvents"):
			verb = "watch"
		default:
			verb = "list"
		}
	}
	c.write = r.Method != "GET"
	c.counted = c.write && verb != "try" && c.resource != "events"
	c.what = verb + "." + resource
	if c.name != "" {
		c.what += "." + c.name
	}
	return c, nil
}

func (p *proxy) remember(key, name string) {
	p.names.mu.Lock()
	defer p.names.mu.Unlock()
	p.names.known[key] = name
}

func (p *proxy) forward(c *call) (*http.Response, error) {
	p.mu.Lock()
	base, mode := p.upstream, ""
	if p.back != nil && !c.write && (c.watch || c.name == "") {
		base, mode = p.stale.url, p.mode
	}
	p.mu.Unlock()
	u, err := url.Parse(base + c.rq.URL.RequestURI())
	if err != nil {
		return nil, err
	}
	q := u.Query()
	if c.resource == "nodes" && !c.write {
		q.Set("labelSelector", nodeLabel+"="+p.namespace) // those of the other plans are none of its business
	}
	// A list has to be as new as what was written. That a server could not know; this one breaks its word.
	if mode == "stale" && (q.Has("sendInitialEvents") || !c.watch) && q.Get("resourceVersion") == "" {
		q.Set("resourceVersion", "0")
	}
	u.RawQuery = q.Encode()
	rq, err := http.NewRequestWithContext(c.rq.Context(), c.rq.Method, u.String(), bytes.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"Authorization", "Accept", "Content-Type", "User-Agent"} {
		if v := c.rq.Header.Get(key); v != "" {
			rq.Header.Set(key, v)
		}
	}
	rs, err := p.client.RoundTrip(rq)
	if err == nil && c.write {
		p.mu.Lock()
		p.lastSeen = time.Now()
		if c.counted && rs.StatusCode < 300 && p.armed {
			p.accepted[c.what]++
		}
		p.mu.Unlock()
	}
	return rs, err
}

func abort() { panic(http.ErrAbortHandler) }

// hangup breaks the connection as a machine that is gone does.
func hangup(r *http.Request) {
	if c, ok := r.Context().Value(connKey{}).(*tls.Conn); ok {
		if t, ok := c.NetConn().(*net.TCPConn); ok {
			_ = t.SetLinger(0)
			_ = t.Close()
		}
	}
	abort()
}

var reasons = map[int]string{409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError",
	503: "ServiceUnavailable", 504: "Timeout"}

func statusBody(code int) []byte {
	return fmt.Appendf(nil, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",`+
		`"message":"a planned fault","reason":"%s","code":%d}`, reasons[code], code)
}

func answer(w http.ResponseWriter, code int) {
	w.Header().Set("Content-Type", "application/json")
	if code == 429 {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(code)
	_, _ = w.Write(statusBody(code))
}

func flush(w http.ResponseWriter) {
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := p.read(r)
	if err != nil {
		abort()
	}
	whats := []string{c.what}
	if c.counted {
		whats = append(whats, "write")
	}
	p.mu.Lock()
	out, hangs := time.Now().Before(p.outage), p.hangs
	p.mu.Unlock()
	if out && hangs {
		hangup(r)
	} else if out {
		answer(w, 503)
		return
	}
	p.note("> %s %s", c.what, c.body)
	kind := p.occurs(whats...)
	if p.unasked(w, c, kind) {
		return
	}
	rs, err := p.forward(c)
	if err != nil {
		if kind != "" && kind != "hold" && kind != "past" { // those end by themselves
			p.ended()
		}
		abort()
	}
	defer rs.Body.Close()
	p.note("< %s %d", c.what, rs.StatusCode)
	if c.watch && rs.StatusCode == 200 {
		p.serveStream(w, c, rs, kind)
		return
	}
	body, err := io.ReadAll(rs.Body)
	if err != nil {
		abort()
	}
	p.asked(w, c, kind, rs, body)
}

// The faults that the API server does not hear of. True: the request has its answer.
func (p *proxy) unasked(w http.ResponseWriter, c *call, kind string) bool {
	switch kind {
	case "kill-before":
		p.killAndRestart()
		abort()
	case "stale":
		p.stale.freeze()
		p.goStale("stale")
		abort()
	case "stale-applied", "frozen-applied":
		p.stale.freeze()
	case "past":
		p.stale.freeze()
		p.mu.Lock()
		p.travel = pastWrites
		p.mu.Unlock()
		time.AfterFunc(pastWithin, func() { p.fallBack(true) })
	case "409", "410", "429", "500", "503":
		code := 0
		_, _ = fmt.Sscan(kind, &code)
		answer(w, code)
		p.ended()
		return true
	case "reset":
		p.ended()
		abort()
	case "hangup":
		p.ended()
		hangup(c.rq)
	case "outage-503", "outage-hangup":
		p.mu.Lock()
		p.outage, p.hangs = time.Now().Add(outageFor), kind == "outage-hangup"
		p.mu.Unlock()
		time.AfterFunc(outageFor, p.ended)
		if kind == "outage-hangup" {
			hangup(c.rq)
		}
		answer(w, 503)
		return true
	case "goaway":
		w.Header().Set("Connection", "close") // what makes net/http send a GOAWAY, as kube-apiserver does
	case "hold":
		p.holdStreams()
	}
	return false
}

// What becomes of the answer of the API server.
func (p *proxy) asked(w http.ResponseWriter, c *call, kind string, rs *http.Response, body []byte) {
	switch kind {
	case "kill-applied":
		p.killAndRestart()
		abort()
	case "stale-applied":
		p.goStale("stale")
		abort()
	case "frozen-applied":
		p.goStale("frozen")
		abort()
	case "500-applied", "504-applied":
		code := 500
		if kind == "504-applied" {
			code = 504
		}
		answer(w, code)
		p.ended()
		return
	case "reset-applied":
		p.ended()
		abort()
	case "hangup-applied":
		p.ended()
		hangup(c.rq)
	case "slow-applied", "slow":
		time.Sleep(slowFor)
	}
	for key, values := range rs.Header {
		if key != "Content-Length" {
			w.Header()[key] = values
		}
	}
	half := len(body)
	if kind == "cut-applied" || kind == "cut" {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		half = len(body) / 2
	} else if kind == "short-applied" || kind == "short" {
		half = len(body) / 2
	}
	w.WriteHeader(rs.StatusCode)
	_, _ = w.Write(body[:half])
	switch kind {
	case "cut-applied", "cut":
		flush(w)
		p.ended()
		abort()
	case "kill-after":
		flush(w)
		time.Sleep(2 * time.Millisecond)
		p.killAndRestart()
	case "":
		if c.counted && rs.StatusCode < 300 {
			flush(w)
			p.fallBack(false)
		}
	case "hold", "past": // that end by themselves
	default:
		p.ended()
	}
}

func (p *proxy) holdStreams() {
	p.mu.Lock()
	p.held = time.Now().Add(holdFor)
	p.mu.Unlock()
	time.AfterFunc(holdFor, p.ended)
}

// fallBack is told of each write that was carried out, and at last that there may come none.
func (p *proxy) fallBack(late bool) {
	p.mu.Lock()
	before := p.travel
	p.travel = max(0, before-1)
	if late {
		p.travel = 0
	}
	now := before > 0 && p.travel == 0
	p.mu.Unlock()
	if now {
		p.goStale("stale")
	}
}

// goStale kills the operator and lets it come back with its lists and watches on the second API server, which sees nothing
// of what happens from here on; later it is current again, and the watches end as when a server goes.
func (p *proxy) goStale(mode string) {
	p.mu.Lock()
	p.back, p.mode = make(chan struct{}), mode
	p.mu.Unlock()
	p.operator.kill()
	go func() {
		if err := p.operator.start(); err != nil {
			p.operator.onExit(err.Error())
		}
		time.Sleep(holdFor)
		p.stale.thaw()
		time.Sleep(300 * time.Millisecond)
		p.mu.Lock()
		close(p.back)
		p.back = nil
		p.mu.Unlock()
		p.ended()
	}()
}
