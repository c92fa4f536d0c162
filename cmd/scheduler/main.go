// Command scheduler is nova's scheduler on goslo: a worker for the bus, and a demonstration of several.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 2) // both matter: the first ends in order, the second at once
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr, signals))
}
