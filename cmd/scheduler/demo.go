package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/goslo/goslo/cmd/scheduler/internal/demo"
	"github.com/goslo/goslo/messaging"
)

const demoHelp = `Place instances on simulated hosts by several schedulers and print a table.

All in one process: schedulers share a topic, hosts report to all of them by
fanout, callers ask for hosts as nova's conductor does. A host that is full
refuses the instance, and the caller asks again. The bus is in the process too,
unless a transport URL is given; exchange and topic are the demo's own there and
vanish with it.

Exits with status 0 if every call was answered right, 1 if not, and 130 after
Ctrl-C, with a table of what was done until then.`

func (p *program) newDemo() *cobra.Command {
	c := demo.Config{Terminal: p.stderr}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show several schedulers at work",
		Long:  demoHelp,
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkDemo(&c); err != nil {
				return err
			}
			return supervise(cmd.Context(), p.signals, func(ctx context.Context) error { return runDemo(ctx, c, p.stdout) })
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&c.TransportURL, "transport-url", "", "`URL` of the bus, as rabbit://USER:PASSWORD@HOST/ (default one in this process)")
	flags.IntVar(&c.Workers, "workers", 3, "`number` of schedulers")
	flags.IntVar(&c.Hosts, "hosts", 10, "`number` of compute hosts")
	flags.IntVar(&c.Calls, "calls", 20_000, "`number` of instances to place")
	flags.IntVar(&c.Concurrency, "concurrency", 64, "`number` of callers")
	return cmd
}

// checkDemo finds a wrong flag. The limits are what one process has memory for.
func checkDemo(c *demo.Config) error {
	for _, number := range []struct {
		name       string
		value, max int
	}{
		{"workers", c.Workers, 100},
		{"hosts", c.Hosts, 1000},
		{"calls", c.Calls, 1_000_000},
		{"concurrency", c.Concurrency, 10_000},
	} {
		if number.value < 1 || number.value > number.max {
			return wanted(number.name, "1 to %d, got %d", number.max, number.value)
		}
	}
	if c.TransportURL == "" {
		return nil
	}
	return checkTransport(c.TransportURL)
}

// checkTransport opens the bus once, which does not dial.
func checkTransport(url string) error {
	t, err := messaging.Open(url)
	if err == nil {
		err = t.Close(context.Background())
	}
	if err != nil {
		return wrongFlag("transport-url", err)
	}
	return nil
}

func runDemo(ctx context.Context, c demo.Config, stdout io.Writer) error {
	result, err := demo.Run(ctx, c)
	if err == nil {
		err = result.WriteTable(stdout)
	}
	return verdict(ctx, result, err)
}

// verdict is the error that the command ends with: none only for a run that was whole and right.
func verdict(ctx context.Context, result *demo.Result, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case len(result.Problems) > 0:
		return fmt.Errorf("%d errors", len(result.Problems))
	}
	return nil
}
