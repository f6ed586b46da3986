// Plays what the operator does, again and again, with one or two faults each time, and sees whether it ends as it does
// without. See README.md; hack/faults starts it.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

var (
	adminFile   = flag.String("admin", "", "kubeconfig of the administrator, as JSON")
	accountFile = flag.String("account", "", "kubeconfig of the operator's ServiceAccount, as JSON")
	clusterDir  = flag.String("cluster", "", "the folder of the hack/cluster, for a second API server")
	program     = flag.String("operator", "", "the operator")
	out         = flag.String("out", "", "folder for the logs of what failed")
	all         = flag.Bool("all", false, "every plan")
	count       = flag.Int("count", 60, "so many plans, by the seed")
	seed        = flag.Uint64("seed", 1, "which plans")
	only        = flag.String("scenario", "", "of this scenario alone")
	match       = flag.String("match", "", "of those that match this regular expression alone")
	planID      = flag.String("plan", "", "this plan alone")
	jobs        = flag.Int("jobs", 8, "runs side by side")
	printOnly   = flag.Bool("list", false, "print the plans instead")
	keep        = flag.Bool("keep", false, "keep the logs of what passed, too")
)

const (
	references = 2
	tries      = 3 // of a plan whose fault does not fire
)

// A certificate for the proxies, its own authority.
func certificate() (*tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "faults"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

func newHarness() (*harness, error) {
	h := &harness{program: *program, dir: *out, keepLogs: *keep, runName: fmt.Sprintf("%x", time.Now().Unix()&0xffffff)}
	var err error
	if h.admin, err = readKubeconfig(*adminFile); err != nil {
		return nil, err
	}
	if h.account, err = readKubeconfig(*accountFile); err != nil {
		return nil, err
	}
	transport, err := h.admin.transport(true)
	if err != nil {
		return nil, err
	}
	h.api = &api{h.admin.server(), &http.Client{Transport: transport}}
	if h.upstream, err = h.account.transport(false); err != nil {
		return nil, err
	}
	h.cert, h.certPEM, err = certificate()
	return h, err
}

// each runs fn for all n, so many side by side.
func each(n, width int, fn func(i int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, width) {
		wg.Go(func() {
			for i := range next {
				fn(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

func (h *harness) referenceOf(names []string) (map[string]*reference, error) {
	refs := make([]*reference, len(names)*references)
	errs := make([]error, len(refs))
	each(len(refs), *jobs, func(i int) {
		res, ref := h.run(scenarioNamed(names[i%len(names)]), nil, nil)
		if len(res.errors) > 0 {
			errs[i] = fmt.Errorf("%s without faults (%s): %s", names[i%len(names)], res.dir, strings.Join(res.errors, "\n"))
		}
		refs[i] = ref
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	of := map[string]*reference{}
	for i, ref := range refs {
		name := names[i%len(names)]
		if of[name] == nil {
			of[name] = ref
		} else if err := of[name].merge(ref); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return of, nil
}

func choose(names []string, refs map[string]*reference) ([]plan, error) {
	if *planID != "" {
		p, err := parsePlan(*planID)
		return []plan{p}, err
	}
	var plans []plan
	for _, name := range names {
		plans = append(plans, plansFor(name, refs[name])...)
	}
	expr, err := regexp.Compile(*match)
	if err != nil {
		return nil, err
	}
	plans = slices.DeleteFunc(plans, func(p plan) bool { return !expr.MatchString(p.String()) })
	if !*all {
		plans = sample(plans, *count, *seed)
	}
	return plans, nil
}

// The plans that share the one stale server wait for each other: spread among the others.
func spread(plans []plan) []plan {
	var one, other []plan
	for _, p := range plans {
		if p.needsStaleServer() {
			one = append(one, p)
		} else {
			other = append(other, p)
		}
	}
	if len(one) == 0 {
		return plans
	}
	var mixed []plan
	step := len(other)/len(one) + 1
	for i, p := range one {
		mixed = append(mixed, p)
		mixed = append(mixed, other[min(i*step, len(other)):min((i+1)*step, len(other))]...)
	}
	return append(mixed, other[min(len(one)*step, len(other)):]...)
}

type tally struct {
	mu                       sync.Mutex
	passed, failed, notFired int
	total                    int
	began                    time.Time
}

func (t *tally) tell(p plan, res result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	verdict := "ok"
	if len(res.errors) > 0 {
		verdict = "FAIL"
		t.failed++
		if res.notFired {
			t.notFired++
		}
	} else {
		t.passed++
	}
	fmt.Printf("%-4s %5.1f s  %s\n", verdict, res.took.Seconds(), p)
	for _, e := range res.errors {
		fmt.Println("    " + strings.ReplaceAll(e, "\n", "\n      "))
	}
	if len(res.errors) > 0 {
		fmt.Println("    logs: " + res.dir)
	}
	if done := t.passed + t.failed; done%100 == 0 {
		fmt.Printf("-- %d of %d after %.0f s, %d failed\n", done, t.total, time.Since(t.began).Seconds(), t.failed)
	}
}

func (h *harness) runPlan(p plan, ref *reference) result {
	var res result
	for range tries {
		if res, _ = h.run(scenarioNamed(p.scenario), p.faults, ref); !res.notFired {
			break
		}
	}
	return res
}

func work() error {
	h, err := newHarness()
	if err != nil {
		return err
	}
	var names []string
	for _, s := range scenarios {
		if (*only == "" || *only == s.name) && (*planID == "" || strings.HasPrefix(*planID, s.name+"/")) {
			names = append(names, s.name)
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("there is no such scenario")
	}
	began := time.Now()
	refs, err := h.referenceOf(names)
	if err != nil {
		return err
	}
	plans, err := choose(names, refs)
	if err != nil {
		return err
	}
	for _, name := range names {
		n := 0
		for _, w := range refs[name].accepted {
			n += w
		}
		fmt.Printf("reference %s: %d writes, %d plans\n", name, n, len(plansFor(name, refs[name])))
	}
	if *printOnly {
		for _, p := range plans {
			fmt.Println(p)
		}
		return nil
	}
	if slices.ContainsFunc(plans, plan.needsStaleServer) {
		if h.stale, err = startStaleServer(*clusterDir, h.api.client); err != nil {
			return err
		}
	}
	fmt.Printf("seed %d: %d plans, %d side by side, after %.0f s\n", *seed, len(plans), *jobs, time.Since(began).Seconds())
	t := &tally{began: time.Now(), total: len(plans)}
	plans = spread(plans)
	each(len(plans), *jobs, func(i int) { t.tell(plans[i], h.runPlan(plans[i], refs[plans[i].scenario])) })
	if t.notFired > 0 {
		fmt.Printf("of those that failed, %d faults never fired\n", t.notFired)
	}
	fmt.Printf("%d passed, %d failed\n", t.passed, t.failed)
	if t.failed > 0 || t.passed == 0 {
		return errors.New("")
	}
	return nil
}

func main() {
	flag.Parse()
	if err := work(); err != nil {
		if err.Error() != "" {
			fmt.Fprintf(os.Stderr, "faults: %v\n", err)
		}
		os.Exit(1)
	}
}
