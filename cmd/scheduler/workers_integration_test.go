//go:build integration

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/cmd/scheduler/internal/nova"
	"github.com/goslo/goslo/cmd/scheduler/internal/rpcapi"
	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
)

// rate is how many calls, and as many requests, are begun in a second, each for as long as a step lasts.
const (
	rate     = 200
	stepTime = 3 * time.Second
	workers  = 2 // of each parent
)

// tally is what callers of one kind counted.
type tally struct{ sent, answered, failed atomic.Int64 }

func (c *tally) String() string {
	return fmt.Sprintf("sent %d answered %d failed %d", c.sent.Load(), c.answered.Load(), c.failed.Load())
}

// load begins calls of one kind at the rate, and waits for them all.
func (c *tally) load(t *testing.T, do func() error) {
	ticker := time.NewTicker(time.Second / rate)
	defer ticker.Stop()
	end := time.After(stepTime)
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-end:
			return
		case <-ticker.C:
		}
		c.sent.Add(1)
		wg.Go(func() {
			if err := do(); err != nil {
				c.failed.Add(1)
				if c.failed.Load() <= 3 {
					t.Logf("failed: %v", err)
				}
				return
			}
			c.answered.Add(1)
		})
	}
}

// childrenOf are the processes that pid has started.
func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var children []int
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) > 1 && fields[0] != "Z" && fields[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			children = append(children, child)
		}
	}
	slices.Sort(children)
	return children
}

// awaitChildren waits until a parent has its workers of which none is among gone.
func awaitChildren(t *testing.T, pid int, gone ...int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		children := childrenOf(t, pid)
		if len(children) == workers && !slices.ContainsFunc(gone, func(pid int) bool { return slices.Contains(children, pid) }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the workers of %d are %v, want %d others than %v", pid, children, workers, gone)
		}
		<-ticker.C
	}
}

func kill(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

// doubled is how many requests were run by more than one worker, or twice.
func doubled(log string) int {
	runs := make(map[string]int)
	for _, found := range repliedLine.FindAllStringSubmatch(log, -1) {
		runs[found[1]]++
	}
	twice := 0
	for _, n := range runs {
		if n > 1 {
			twice++
		}
	}
	return twice
}

var repliedLine = regexp.MustCompile(`replied .*method=select_destinations.* msg_id=(\S+)`)

// Schedulers, fronts and an agent on RabbitMQ, each under its own parent, while calls and requests go on: what happens to
// workers costs nothing, but for kill -9, which costs what that worker had in its hands.
func TestWorkersComeAndGoUnderLoad(t *testing.T) {
	url := broker.Shared(t).URL()
	name := "goslo-it-" + strings.ToLower(rand.Text()[:10])
	bus := []string{"--transport-url", url, "--control-exchange", name, "--topic", name, "--oslo-messaging-rabbit-amqp-auto-delete"}
	start := func(args ...string) *child {
		c := startChild(t, "main", append(args, bus...)...)
		c.stdout.await(t, "READY\n")
		return c
	}
	serve := start("serve", "--workers", "2", "--host", "ctl", "--debug")
	front := start("api", "--workers", "2", "--listen", "127.0.0.1:0")
	agent := start("agent", "--host", "cmp-"+name, "--vcpus", "64")
	front.stderr.await(t, "serving address=")
	base := "http://" + servingAt.FindStringSubmatch(front.stderr.String())[1]

	log := logrus.New()
	log.SetLevel(logrus.ErrorLevel)
	transport, err := messaging.Open(url+"?amqp_auto_delete=true", messaging.WithControlExchange(name), messaging.WithLogger(log))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = transport.Close(context.Background()) }()
	schedulers, err := rpcapi.NewScheduler(transport, name)
	if err != nil {
		t.Fatal(err)
	}
	awaitHosts(t, base, "cmp-"+name)

	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	call := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := schedulers.SelectDestinations(ctx, nova.SelectDestinationsArgs{SpecObj: map[string]any{"flavor": map[string]any{"vcpus": 1, "memory_mb": 1}}})
		return err
	}
	ask := func() error {
		resp, err := client.Post(base+"/v1/select_destinations", "application/json", strings.NewReader(question))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	}

	servePid, frontPid := serve.cmd.Process.Pid, front.cmd.Process.Pid
	for _, step := range []struct {
		name  string
		do    func()
		costs bool
	}{
		{"nothing", func() {}, false},
		{"TERM of a scheduler's worker", func() {
			one := childrenOf(t, servePid)[0]
			kill(t, one, syscall.SIGTERM)
			awaitChildren(t, servePid, one)
		}, false},
		{"rolling reload of the schedulers", func() {
			all := childrenOf(t, servePid)
			kill(t, servePid, syscall.SIGHUP)
			awaitChildren(t, servePid, all...)
		}, false},
		{"TERM of a front's worker", func() {
			one := childrenOf(t, frontPid)[0]
			kill(t, one, syscall.SIGTERM)
			awaitChildren(t, frontPid, one)
		}, false},
		{"rolling reload of the fronts", func() {
			all := childrenOf(t, frontPid)
			kill(t, frontPid, syscall.SIGHUP)
			awaitChildren(t, frontPid, all...)
		}, false},
		{"kill -9 of a scheduler's worker", func() {
			one := childrenOf(t, servePid)[0]
			kill(t, one, syscall.SIGKILL)
			awaitChildren(t, servePid, one)
		}, true},
		{"kill -9 of a front's worker", func() {
			one := childrenOf(t, frontPid)[0]
			kill(t, one, syscall.SIGKILL)
			awaitChildren(t, frontPid, one)
		}, true},
	} {
		var calls, requests tally
		var wg sync.WaitGroup
		wg.Go(func() { calls.load(t, call) })
		wg.Go(func() { requests.load(t, ask) })
		timer := time.NewTimer(stepTime / 6)
		<-timer.C
		step.do()
		wg.Wait()
		t.Logf("%-34s calls: %s; requests: %s", step.name, &calls, &requests)
		lost := calls.failed.Load() + requests.failed.Load()
		if lost > 0 && !step.costs || lost > 40 {
			t.Errorf("%s: %d failed", step.name, lost)
		}
		if calls.answered.Load() < calls.sent.Load()*9/10 || calls.sent.Load() < rate {
			t.Errorf("%s: calls: %s", step.name, &calls)
		}
	}
	for _, c := range []*child{front, agent, serve} {
		pids := childrenOf(t, c.cmd.Process.Pid)
		c.signal(t, syscall.SIGTERM)
		c.end(t, 0)
		for _, pid := range pids {
			if syscall.Kill(pid, 0) == nil {
				t.Errorf("process %d has outlived its parent", pid)
			}
		}
		if got := c.stdout.String(); got != "READY\n" {
			t.Errorf("standard output = %q, want READY once", got)
		}
	}
	if n := doubled(serve.stderr.String()); n > 0 {
		t.Errorf("%d requests were run twice", n)
	}
	runs := len(repliedLine.FindAllString(serve.stderr.String(), -1))
	t.Logf("the schedulers' logs have %d runs, %d doubled", runs, doubled(serve.stderr.String()))
	if runs == 0 {
		t.Error("the logs show no run, so that doubled ones would not show either")
	}
}

// On RabbitMQ each of the three services has workers of its own under one parent.
func TestAllRunsThreePoolsOnRabbitMQ(t *testing.T) {
	name := "goslo-it-" + strings.ToLower(rand.Text()[:10])
	c := startChild(t, "main", "all", "--transport-url", broker.Shared(t).URL(), "--control-exchange", name, "--topic", name,
		"--oslo-messaging-rabbit-amqp-auto-delete", "--listen", "127.0.0.1:0", "--host", "box-"+name, "--workers", "2", "--api-workers", "2")
	c.stdout.await(t, "READY\n")
	c.stderr.await(t, "serving address=")
	base := "http://" + servingAt.FindStringSubmatch(c.stderr.String())[1]
	awaitHosts(t, base, "box-"+name)
	if status, answer := request(t, "POST", base+"/v1/select_destinations", question); status != http.StatusOK {
		t.Errorf("select: %d %s, want 200", status, answer)
	}
	workers := childrenOf(t, c.cmd.Process.Pid)
	if len(workers) != 5 {
		t.Errorf("the parent has workers %v, want 2 schedulers, 2 fronts and an agent", workers)
	}
	c.signal(t, syscall.SIGTERM)
	c.end(t, 0)
	if got := c.stdout.String(); got != "READY\n" {
		t.Errorf("standard output = %q, want READY once", got)
	}
}
