// Command bench measures goslo's RPC beside the same written by hand on the AMQP library, in one run.
//
// Client and server are two processes and talk through a real RabbitMQ. The hand-written way, called raw, gives
// what oslo.messaging guarantees (a request is acknowledged before it is run, requests and replies are confirmed,
// replies are mandatory, every message has a goroutine) and nothing else: it sends bodies of the same length,
// made beforehand, and reads none. Rounds of both take turns, so that what else happens on the machine hits both.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/goslo/goslo/integration/broker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// plan is what to measure.
type plan struct {
	callers []int
	rounds  int
	round   time.Duration
	payload int
	profile string
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 2 && args[0] == serveCommand {
		return serve(ctx, args[1], stdin, stdout)
	}
	p, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	b, err := broker.Start(ctx)
	if err != nil {
		return err
	}
	err = measureAll(ctx, b.AMQPURL(), p, stdout)
	return errors.Join(err, b.Close())
}

func parse(args []string, stderr io.Writer) (plan, error) {
	var p plan
	var callers string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&callers, "callers", "1,16,64", "how many callers at once, one measurement each")
	flags.IntVar(&p.rounds, "rounds", 5, "how many rounds of each way, which take turns")
	flags.DurationVar(&p.round, "round", 2*time.Second, "how long a round takes")
	flags.IntVar(&p.payload, "payload", 1024, "bytes of argument and result")
	flags.StringVar(&p.profile, "profile", "", "write CPU profiles of goslo's rounds to this file (client) and, with .server behind it, of the server")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	for text := range strings.SplitSeq(callers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return p, fmt.Errorf("--callers: want positive numbers with commas, got %q", callers)
		}
		p.callers = append(p.callers, n)
	}
	if p.rounds < 1 || p.round <= 0 || p.payload < 0 {
		return p, errors.New("--rounds and --round must be positive, --payload not negative")
	}
	return p, nil
}
