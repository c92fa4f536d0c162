package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/pprof"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// way is one way to make a call.
type way struct {
	name string
	call func(ctx context.Context) error
}

// figures are what one round, or the median of several, gave.
type figures struct {
	perSecond      float64
	p50, p99       time.Duration
	client, server float64 // allocations a call
}

// measureAll runs the plan and prints a table a number of callers.
func measureAll(ctx context.Context, url string, p plan, out io.Writer) (err error) {
	srv, err := startServer(ctx, url, p.payload)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	raw, err := newRawClient(url, p.payload)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, raw.close()) }()
	goslo, err := newGosloClient(rabbitURL(url), p.payload)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, goslo.close()) }()

	ways := []way{{"raw", raw.call}, {"goslo", goslo.call}}
	for _, w := range ways { // connections, queues and the compiler's caches
		if _, err := round(ctx, w, srv, 16, p.round/4); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "%d bytes there and back, a context of %d keys; medians of %d rounds of %s in turns\n\n",
		p.payload, len(requestContext()), p.rounds, p.round)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "callers\t\tcalls/s\tp50\tp99\tallocs/call client\tserver\t")
	for _, callers := range p.callers {
		if err := compare(ctx, ways, srv, callers, p, table); err != nil {
			return err
		}
	}
	return table.Flush()
}

// compare lets the ways take turns and prints their medians and the ratios, pair by pair, of the second to the
// first.
func compare(ctx context.Context, ways []way, srv *server, callers int, p plan, out io.Writer) error {
	rounds := make([][]figures, len(ways))
	for range p.rounds {
		for i, w := range ways {
			f, err := profiled(ctx, w, srv, callers, p)
			if err != nil {
				return fmt.Errorf("%s with %d callers: %w", w.name, callers, err)
			}
			rounds[i] = append(rounds[i], f)
		}
	}
	for i, w := range ways {
		printFigures(out, callers, w.name, rounds[i])
	}
	ratio := func(of func(figures) float64) float64 {
		return median(rounds[0], func(f figures) float64 {
			return of(rounds[1][slices.Index(rounds[0], f)]) / of(f)
		})
	}
	fmt.Fprintf(out, "%d\tgoslo/raw\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n\t\t\t\t\t\t\t\n", callers,
		ratio(func(f figures) float64 { return f.perSecond }),
		ratio(func(f figures) float64 { return float64(f.p50) }),
		ratio(func(f figures) float64 { return float64(f.p99) }),
		ratio(func(f figures) float64 { return f.client }),
		ratio(func(f figures) float64 { return f.server }))
	return nil
}

func printFigures(out io.Writer, callers int, name string, rounds []figures) {
	duration := func(of func(figures) time.Duration) time.Duration {
		return time.Duration(median(rounds, func(f figures) float64 { return float64(of(f)) })).Round(time.Microsecond)
	}
	fmt.Fprintf(out, "%d\t%s\t%.0f\t%s\t%s\t%.0f\t%.0f\t\n", callers, name,
		median(rounds, func(f figures) float64 { return f.perSecond }),
		duration(func(f figures) time.Duration { return f.p50 }),
		duration(func(f figures) time.Duration { return f.p99 }),
		median(rounds, func(f figures) float64 { return f.client }),
		median(rounds, func(f figures) float64 { return f.server }))
}

// median of what of gives; a copy is sorted, so that callers may index the rounds.
func median(rounds []figures, of func(figures) float64) float64 {
	values := make([]float64, len(rounds))
	for i, f := range rounds {
		values[i] = of(f)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// profiled is a round, with CPU profiles of both processes where the plan wants them. A profile holds the last
// round that was written to it.
func profiled(ctx context.Context, w way, srv *server, callers int, p plan) (f figures, err error) {
	if p.profile == "" || w.name != "goslo" {
		return round(ctx, w, srv, callers, p.round)
	}
	if err := profileTo(p.profile); err != nil {
		return f, err
	}
	if _, err := srv.ask(startProfile + p.profile + ".server"); err != nil {
		return f, err
	}
	f, err = round(ctx, w, srv, callers, p.round)
	pprof.StopCPUProfile()
	_, stopErr := srv.ask(stopProfile)
	return f, errors.Join(err, stopErr)
}

// round lets callers call for a while.
func round(ctx context.Context, w way, srv *server, callers int, length time.Duration) (f figures, err error) {
	serverBefore, err := srv.allocations()
	if err != nil {
		return f, err
	}
	before, begun := allocations(), time.Now()
	took, err := callAll(ctx, w, callers, begun.Add(length))
	elapsed, after := time.Since(begun), allocations()
	if err != nil {
		return f, err
	}
	serverAfter, err := srv.allocations()
	if err != nil {
		return f, err
	}
	n := float64(len(took))
	slices.SortFunc(took, cmp.Compare[time.Duration])
	return figures{
		perSecond: n / elapsed.Seconds(),
		p50:       took[len(took)/2], p99: took[len(took)*99/100],
		client: float64(after-before) / n, server: float64(serverAfter-serverBefore) / n,
	}, nil
}

// callAll returns how long each call took.
func callAll(ctx context.Context, w way, callers int, until time.Time) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Until(until)+30*time.Second)
	defer cancel()
	took := make([][]time.Duration, callers)
	errs := make([]error, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for begun := time.Now(); begun.Before(until); {
				if errs[i] = w.call(ctx); errs[i] != nil {
					return
				}
				now := time.Now()
				took[i] = append(took[i], now.Sub(begun))
				begun = now
			}
		})
	}
	all.Wait()
	return slices.Concat(took...), errors.Join(errs...)
}
