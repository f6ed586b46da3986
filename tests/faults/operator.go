package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Children are to end with this program, however it ends: the kernel sees to that, but for the thread that started them.
// So one thread starts all of them and stays.
var spawn = make(chan func())

func init() {
	go func() {
		runtime.LockOSThread()
		for f := range spawn {
			f()
		}
	}()
}

func startChild(c *exec.Cmd) error {
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	done := make(chan error)
	spawn <- func() { done <- c.Start() }
	return <-done
}

// The operator's process of one plan, started as often as need be.
type operator struct {
	program, kubeconfig, namespace, dir string
	onExit                              func(string) // it ended, and nobody had asked it to

	mu      sync.Mutex
	starts  int
	current *process
	stopped bool // for good
}

type process struct {
	cmd    *exec.Cmd
	asked  bool
	ended  chan struct{}
	status error
}

func (o *operator) log(n int) string { return filepath.Join(o.dir, fmt.Sprintf("operator.%d.log", n)) }

func (o *operator) start() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stopped || o.current != nil {
		return nil
	}
	log, err := os.Create(o.log(o.starts))
	if err != nil {
		return err
	}
	defer log.Close()
	o.starts++
	p := &process{ended: make(chan struct{}), cmd: exec.Command(o.program, "--kubeconfig", o.kubeconfig,
		"--namespace", o.namespace, "--node-autoscaler", "none",
		"--metrics-bind-address", "0", "--health-probe-bind-address", "0")}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=1:abort_on_error=0", "UBSAN_OPTIONS=print_stacktrace=1")
	if err := startChild(p.cmd); err != nil {
		return err
	}
	o.current = p
	go o.await(p)
	return nil
}

func (o *operator) await(p *process) {
	p.status = p.cmd.Wait()
	o.mu.Lock()
	asked := p.asked
	if o.current == p {
		o.current = nil
	}
	o.mu.Unlock()
	close(p.ended)
	if !asked {
		o.onExit(fmt.Sprintf("the operator ended by itself: %v", p.status))
	}
}

func (o *operator) signal(s os.Signal) *process {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.current
	if p != nil {
		p.asked = true
		_ = p.cmd.Process.Signal(s)
	}
	return p
}

// Returns when it is dead.
func (o *operator) kill() {
	if p := o.signal(syscall.SIGKILL); p != nil {
		<-p.ended
	}
}

// Ends it as a kubelet does, for good: quickly and with exit code 0.
func (o *operator) stop() error {
	o.mu.Lock()
	o.stopped = true
	o.mu.Unlock()
	p := o.signal(syscall.SIGTERM)
	if p == nil {
		return nil
	}
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		o.kill()
		return fmt.Errorf("the operator did not end within 10 s of SIGTERM")
	}
	if p.status != nil {
		return fmt.Errorf("the operator ended with: %v", p.status)
	}
	return nil
}

var badLine = regexp.MustCompile(
	`AddressSanitizer|LeakSanitizer|runtime error|fatal:|Assertion|"level":"error"|"httpStatus":40[13]`)

// The lines of all its logs that must not be.
func (o *operator) badLines() []string {
	var bad []string
	for n := range o.starts {
		text, err := os.ReadFile(o.log(n))
		if err != nil {
			return []string{err.Error()}
		}
		for line := range bytes.Lines(text) {
			if badLine.Match(line) {
				bad = append(bad, fmt.Sprintf("in the log of start %d: %s", n+1, bytes.TrimSpace(line)))
			}
		}
	}
	return bad
}
