package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"github.com/goslo/goslo/cmd/scheduler/cloud"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheStoryFillsEveryHostAndNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		began := time.Now()
		// Two minutes are far longer than the two seconds without a heartbeat after which a call is given up.
		if err := run(t.Context(), &out, 2*time.Minute); err != nil {
			t.Fatalf("run = %v after\n%s", err, out.String())
		}
		for _, h := range hosts {
			if got := strings.Count(out.String(), " is on "+h.Name); got != int(h.VCPUs) {
				t.Errorf("%s has %d instances, want %d:\n%s", h.Name, got, h.VCPUs, out.String())
			}
		}
		if strings.Count(out.String(), " is on no host: ") != 1 || !strings.Contains(out.String(), "refused by host-1") {
			t.Errorf("want one instance on no host, and refusals:\n%s", out.String())
		}
		if took := time.Since(began); took > 3*time.Minute {
			t.Errorf("it took %s, want builds side by side", took)
		}
	})
}

// stage is a cloud with a conductor, inside a bubble.
func stage(t *testing.T, hosts ...cloud.Host) *messaging.Transport {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	bus := messaging.NewTransport(memory.New(), messaging.WithLogger(log))
	c, err := cloud.Start(t.Context(), bus, log, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		if err := c.AddHost(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	svc, err := startConductor(t.Context(), bus, log)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	t.Cleanup(func() {
		ctx := context.Background()
		if err := errors.Join(svc.Stop(ctx), c.Stop(ctx), bus.Close(ctx)); err != nil {
			t.Error(err)
		}
	})
	return bus
}

func TestProblemsOfOneInstanceAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		bus := stage(t)
		if err := build(t.Context(), &out, bus, 1); err != nil {
			t.Fatal(err)
		}
		want := "instance 1 is on no host: ask the scheduler: remote nova.exception.NoValidHost: No valid host was found. There are not enough hosts available."
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%swant %s", out.String(), want)
		}
	})
}

func TestRepeatedBuildsChangeNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := stage(t, cloud.Host{Name: "a", VCPUs: 2, MemoryMB: 1024, DiskGB: 10})
		for range 2 {
			var out strings.Builder
			if err := build(t.Context(), &out, bus, 1); err != nil || !strings.Contains(out.String(), "instance 1 is on a\n") {
				t.Fatalf("build = %v\n%s", err, out.String())
			}
		}
	})
}
