package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// A second API server for the same etcd, whose way there can be frozen: then it shows what was, and hears of nothing new.
type staleServer struct {
	url  string
	lock sync.Mutex // of the plan that uses it

	mu     sync.Mutex
	thawed chan struct{} // closed while it is not frozen
}

var etcdFlag = regexp.MustCompile(`^--etcd-servers=http://(.*)$`)

// startStaleServer takes the command line of the cluster's API server, with another port and another way to etcd.
func startStaleServer(clusterDir string, client *http.Client) (*staleServer, error) {
	pid, err := os.ReadFile(filepath.Join(clusterDir, "run", "kube-apiserver.pid"))
	if err != nil {
		return nil, err
	}
	line, err := os.ReadFile(filepath.Join("/proc", strings.Fields(string(pid))[0], "cmdline"))
	if err != nil {
		return nil, err
	}
	s := &staleServer{thawed: make(chan struct{})}
	close(s.thawed)
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s.url = fmt.Sprintf("https://127.0.0.1:%d", port)
	var args []string
	for arg := range bytes.SplitSeq(bytes.TrimRight(line, "\x00"), []byte{0}) {
		a := string(arg)
		if m := etcdFlag.FindStringSubmatch(a); m != nil {
			way, err := s.forward(m[1])
			if err != nil {
				return nil, err
			}
			a = "--etcd-servers=http://" + way
		} else if strings.HasPrefix(a, "--secure-port=") {
			a = fmt.Sprintf("--secure-port=%d", port)
		} else if strings.HasPrefix(a, "--audit-") {
			continue
		}
		args = append(args, a)
	}
	c := exec.Command(args[0], args[1:]...)
	log, err := os.Create(filepath.Join(clusterDir, "log", "kube-apiserver-stale.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.Stdout, c.Stderr, c.Dir = log, log, "/"
	if err := startChild(c); err != nil {
		return nil, err
	}
	go func() { _ = c.Wait() }()
	return s, s.await(client)
}

// Ready, and with the kinds of the CRDs in its cache.
func (s *staleServer) await(client *http.Client) error {
	a := &api{s.url, client}
	deadline := time.Now().Add(60 * time.Second)
	for {
		_, err := a.get(groupPath + "/instancepoolendpoints")
		for _, path := range []string{groupPath + "/models", "/apis/apps/v1/deployments", "/api/v1/pods", "/api/v1/nodes"} {
			if err == nil {
				_, err = a.get(path + "?resourceVersion=0")
			}
		}
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the second API server does not serve: %w", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (s *staleServer) forward(to string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			etcd, err := net.Dial("tcp", to)
			if err != nil {
				c.Close()
				continue
			}
			go s.pipe(etcd, c)
			go s.pipe(c, etcd)
		}
	}()
	return l.Addr().String(), nil
}

func (s *staleServer) pipe(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		s.mu.Lock()
		thawed := s.thawed
		s.mu.Unlock()
		<-thawed
		if _, werr := to.Write(buf[:n]); werr != nil || err == io.EOF || err != nil {
			return
		}
	}
}

func (s *staleServer) freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.thawed = make(chan struct{})
}

func (s *staleServer) thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.thawed:
	default:
		close(s.thawed)
	}
}
