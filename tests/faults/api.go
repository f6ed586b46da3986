package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const groupPath = "/apis/inference.instancepool.dev/v1alpha1"

// A kubeconfig as JSON, as "kubectl config view --flatten --raw -o json" prints it, with one cluster and one user.
type kubeconfig struct {
	Clusters []struct {
		Cluster struct {
			Server string `json:"server"`
			CA     []byte `json:"certificate-authority-data"`
		} `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		User struct {
			Cert  []byte `json:"client-certificate-data"`
			Key   []byte `json:"client-key-data"`
			Token string `json:"token"`
		} `json:"user"`
	} `json:"users"`
}

func readKubeconfig(path string) (*kubeconfig, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := &kubeconfig{}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(c.Clusters) != 1 || len(c.Users) != 1 {
		return nil, fmt.Errorf("%s: one cluster and one user are wanted", path)
	}
	return c, nil
}

func (c *kubeconfig) server() string { return c.Clusters[0].Cluster.Server }

// For requests that bring their own Authorization when withUser is false.
func (c *kubeconfig) transport(withUser bool) (*http.Transport, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(c.Clusters[0].Cluster.CA) {
		return nil, errors.New("no certificate authority in the kubeconfig")
	}
	conf := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if withUser {
		pair, err := tls.X509KeyPair(c.Users[0].User.Cert, c.Users[0].User.Key)
		if err != nil {
			return nil, err
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true, DisableCompression: true,
		MaxIdleConnsPerHost: 8}, nil
}

// The same user by way of another server.
func (c *kubeconfig) by(server string, ca []byte) []byte {
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "faults",
		"clusters": []any{map[string]any{"name": "faults", "cluster": map[string]any{
			"server": server, "certificate-authority-data": base64.StdEncoding.EncodeToString(ca)}}},
		"users": []any{map[string]any{"name": "faults", "user": map[string]any{"token": c.Users[0].User.Token}}},
		"contexts": []any{map[string]any{"name": "faults", "context": map[string]any{
			"cluster": "faults", "user": "faults"}}},
	})
	if err != nil {
		panic(err)
	}
	return text
}

type object = map[string]any

// What the harness itself does, as the administrator and past every proxy.
type api struct {
	base   string
	client *http.Client
}

type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return fmt.Sprintf("%d: %s", e.code, e.text) }

func hasCode(err error, code int) bool {
	var s *statusError
	return errors.As(err, &s) && s.code == code
}

func (a *api) do(method, path, contentType string, body any) (object, error) {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(text)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	rq, err := http.NewRequestWithContext(ctx, method, a.base+path, reader)
	if err != nil {
		return nil, err
	}
	rq.Header.Set("Content-Type", contentType)
	rs, err := a.client.Do(rq)
	if err != nil {
		return nil, err
	}
	defer rs.Body.Close()
	text, err := io.ReadAll(rs.Body)
	if err != nil {
		return nil, err
	}
	if rs.StatusCode >= 300 {
		return nil, fmt.Errorf("%s %s: %w", method, path, &statusError{rs.StatusCode, strings.TrimSpace(string(text))})
	}
	var o object
	return o, json.Unmarshal(text, &o)
}

func (a *api) get(path string) (object, error) { return a.do("GET", path, "application/json", nil) }

func (a *api) create(path string, o object) error {
	_, err := a.do("POST", path, "application/json", o)
	return err
}

func (a *api) merge(path string, patch object) error {
	_, err := a.do("PATCH", path, "application/merge-patch+json", patch)
	return err
}

// What is gone already is no error.
func (a *api) remove(path string) error {
	if _, err := a.do("DELETE", path, "application/json", nil); err != nil && !hasCode(err, 404) {
		return err
	}
	return nil
}

type watchEvent struct {
	Type   string `json:"type"`
	Object object `json:"object"`
}

// All that is there, as ADDED, and all that comes; until ctx ends. An end before that is an error.
func (a *api) watch(ctx context.Context, path string, fn func(watchEvent)) error {
	rq, err := http.NewRequestWithContext(ctx, "GET", a.base+path+"?watch=1&timeoutSeconds=3600", nil)
	if err != nil {
		return err
	}
	rs, err := a.client.Do(rq)
	if err != nil {
		return err
	}
	defer rs.Body.Close()
	if rs.StatusCode == 429 { // the CRD is young: its storage is being made
		time.Sleep(100 * time.Millisecond)
		return a.watch(ctx, path, fn)
	}
	if rs.StatusCode != 200 {
		return &statusError{rs.StatusCode, path}
	}
	lines := bufio.NewReader(rs.Body)
	for seen := false; ; seen = true {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return err
		}
		var e watchEvent
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if e.Type == "ERROR" && !seen && at(e.Object, "code") == float64(504) { // a busy server's cache is behind
			time.Sleep(100 * time.Millisecond)
			return a.watch(ctx, path, fn)
		}
		if e.Type == "ERROR" {
			return fmt.Errorf("%s: %v", path, e.Object)
		}
		fn(e)
	}
}

// Reading what may be anything.

func at(v any, path ...string) any {
	for _, key := range path {
		o, ok := v.(object)
		if !ok {
			return nil
		}
		v = o[key]
	}
	return v
}

func text(v any, path ...string) string {
	s, _ := at(v, path...).(string)
	return s
}

func number(v any, path ...string) int {
	n, _ := at(v, path...).(float64)
	return int(n)
}

func list(v any, path ...string) []any {
	l, _ := at(v, path...).([]any)
	return l
}
