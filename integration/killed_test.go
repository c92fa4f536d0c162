//go:build integration

package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goslo/goslo/messaging"
)

// doomedWorker is an environment variable that makes the test binary a worker which is to be killed: see
// [TestDoomedWorkerProcess].
const doomedWorker = "GOSLO_TEST_DOOMED_WORKER"

// doomedJob is what such a worker is told in that variable: when it has begun so many requests, it kills itself (kill -9).
type doomedJob struct {
	URL, Exchange, Topic string
	Kill                 int32
}

// errand is what a request is about.
type errand struct {
	ID int `json:"id"`
}

// TestDoomedWorkerProcess is no test but what the next one runs: a server whose method work prints what it is called with, and
// never returns.
func TestDoomedWorkerProcess(t *testing.T) {
	text := os.Getenv(doomedWorker)
	if text == "" {
		t.Skip("this is run by another test, as a process of its own")
	}
	var job doomedJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		t.Fatal(err)
	}
	var begun atomic.Int32
	ep := messaging.NewEndpoint()
	messaging.HandleCast(ep, "work", func(ctx context.Context, r errand) error {
		fmt.Println("BEGUN", r.ID) //nolint:forbidigo // the parent reads it
		if begun.Add(1) == job.Kill {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		<-ctx.Done()
		return ctx.Err()
	})
	join(t, job.URL).serve(t, messaging.Target{Exchange: job.Exchange, Topic: job.Topic, Server: "host1"}, ep)
	<-t.Context().Done() // until it is killed
}

// TestRequestThatAKilledWorkerHasBegunIsNotRunAgain kills a process at the moment when it has begun so many requests and is about
// to begin more. All others are run by another worker.
func TestRequestThatAKilledWorkerHasBegunIsNotRunAgain(t *testing.T) {
	t.Parallel()
	const all, executorPlaces = 200, 64
	for _, begun := range []int32{1, 10, 40} {
		t.Run(fmt.Sprint("after ", begun), func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			client := join(t, b.url).client(t, b)
			p := startDoomedWorker(t, b, begun)
			eventually(t, "the worker is there", func() bool {
				return client.Prepare(messaging.WithMandatory()).Cast(patient(t), "work", errand{0}) == nil
			})
			for id := 1; id < all; id++ {
				if err := client.Cast(patient(t), "work", errand{id}); err != nil {
					t.Fatal(err)
				}
			}
			first := p.awaitEnd(t)
			if len(first) < int(begun) {
				t.Fatalf("the worker began %d requests, want at least %d", len(first), begun)
			}
			again := make(chan int, all)
			ep := messaging.NewEndpoint()
			messaging.HandleCast(ep, "work", func(_ context.Context, r errand) error { again <- r.ID; return nil })
			join(t, b.url).serve(t, b.target("host2"), ep)
			total := len(first)
			for id := range untilNothing(again) {
				if first[id] {
					t.Errorf("request %d is run by both workers", id)
				}
				total++
			}
			// What was acknowledged in that moment and not begun is lost: at most what there are places for.
			if total > all || total < all-executorPlaces {
				t.Errorf("%d requests were run, of %d", total, all)
			}
		})
	}
}

// untilNothing are the values from c until none comes for a while.
func untilNothing[T any](c <-chan T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for {
			select {
			case v := <-c:
				if !yield(v) {
					return
				}
			case <-time.After(3 * moment):
				return
			}
		}
	}
}

// doomedProcess is a process that runs [TestDoomedWorkerProcess].
type doomedProcess struct {
	cmd    *exec.Cmd
	output *lockedBuffer
}

func startDoomedWorker(t *testing.T, b *bus, begun int32) *doomedProcess {
	t.Helper()
	job, err := json.Marshal(doomedJob{b.url, b.exchange, b.topic, begun})
	if err != nil {
		t.Fatal(err)
	}
	p := &doomedProcess{cmd: exec.Command(os.Args[0], "-test.run=^TestDoomedWorkerProcess$"), output: &lockedBuffer{}} //nolint:noctx // Cleanup ends it
	p.cmd.Env = append(os.Environ(), doomedWorker+"="+string(job))
	p.cmd.Stdout = p.output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // killing twice is harmless
	return p
}

// awaitEnd waits until the process has killed itself, and returns which requests it had begun.
func (p *doomedProcess) awaitEnd(t *testing.T) map[int]bool {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	_ = receive(t, ended) // it was killed
	all := map[int]bool{}
	for line := range strings.Lines(p.output.String()) {
		var id int
		if n, err := fmt.Sscanf(line, "BEGUN %d", &id); err == nil && n == 1 {
			all[id] = true
		}
	}
	return all
}
