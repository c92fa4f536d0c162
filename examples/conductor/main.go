// Command conductor shows a service between services, as nova's conductor is one: it takes work that lasts, asks the
// scheduler, and has hosts do it, on the bus that all of them share. Here they are in one process:
//
//	go run ./examples/conductor
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/cmd/scheduler/cloud"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service/rpcservice"
)

func main() {
	if err := run(context.Background(), os.Stdout, 3*time.Second); err != nil {
		log.Fatal(err)
	}
}

// hosts have room for six instances, but the scheduler chooses the same one for all who ask at the same time: it claims
// nothing.
var hosts = []cloud.Host{
	{Name: "host-1", VCPUs: 3, MemoryMB: 16384, DiskGB: 100},
	{Name: "host-2", VCPUs: 2, MemoryMB: 8192, DiskGB: 100},
	{Name: "host-3", VCPUs: 1, MemoryMB: 4096, DiskGB: 100},
}

// run tells the story.
func run(ctx context.Context, out io.Writer, buildTime time.Duration) (err error) {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	t, err := messaging.Open("memory://", messaging.WithLogger(quiet))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close(ctx)) }()
	c, err := cloud.Start(ctx, t, quiet, buildTime)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop(ctx)) }()
	for _, h := range hosts {
		if err := c.AddHost(ctx, h); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s has %d vcpus\n", h.Name, h.VCPUs)
	}
	if err := awaitHosts(ctx, c); err != nil {
		return err
	}
	svc, err := startConductor(ctx, t, quiet)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, svc.Stop(ctx)) }()
	return build(ctx, out, t, 7)
}

// awaitHosts waits until the scheduler has heard of all hosts.
func awaitHosts(ctx context.Context, c *cloud.Cloud) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		known, err := c.Hosts(ctx)
		if err != nil || len(known) == len(hosts) {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the scheduler knows %d hosts of %d: %w", len(known), len(hosts), ctx.Err())
		}
	}
}

// startConductor starts what a daemon hands to a launcher (service.Launch), which starts and stops it.
func startConductor(ctx context.Context, t *messaging.Transport, log logrus.FieldLogger) (*rpcservice.RPCService, error) {
	c, err := newConductor(t)
	if err != nil {
		return nil, err
	}
	svc, err := rpcservice.New(t, c, rpcservice.Config{Topic: "conductor", Host: "conductor-1", Log: log})
	if err != nil {
		return nil, err
	}
	return svc, svc.Start(ctx)
}

// build is what an API service does: it hands the work to the conductor, and knows by heartbeats that somebody is at it.
func build(ctx context.Context, out io.Writer, t *messaging.Transport, instances int) error {
	client, err := messaging.NewClient(t, messaging.Target{Topic: "conductor", Version: "1.0"},
		messaging.WithTimeout(buildTimeout), messaging.WithCallMonitor(2*time.Second))
	if err != nil {
		return err
	}
	args := buildArgs{Flavor: flavor{VCPUs: 1, MemoryMB: 512, RootGB: 1}}
	for n := range instances {
		args.InstanceUUIDs = append(args.InstanceUUIDs, fmt.Sprintf("11111111-1111-4111-8111-%012d", n+1))
	}
	fmt.Fprintf(out, "building %d instances of 1 vcpu\n", instances)
	results, err := messaging.Call[[]built](ctx, client, "build_instances", args)
	if err != nil {
		return err
	}
	slices.SortStableFunc(results, func(a, b built) int { return strings.Compare(a.Host+"~", b.Host+"~") })
	for _, r := range results {
		tell(out, r)
	}
	return nil
}

func tell(out io.Writer, r built) {
	name := "instance " + strings.TrimLeft(r.InstanceUUID[24:], "0")
	switch {
	case r.Problem != "":
		fmt.Fprintf(out, "%s is on no host: %s (refused by %s)\n", name, r.Problem, strings.Join(r.Refused, ", "))
	case len(r.Refused) > 0:
		fmt.Fprintf(out, "%s is on %s (refused by %s)\n", name, r.Host, strings.Join(r.Refused, ", "))
	default:
		fmt.Fprintf(out, "%s is on %s\n", name, r.Host)
	}
}
