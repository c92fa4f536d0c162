// Command scheduler is nova's scheduler on goslo: the service with its HTTP front and compute agents, and a demonstration of
// several.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// From the first moment on: a worker that has just been started must not die of what its parent passes on. A demonstration
	// reads them, launchers of services take over.
	signals := make(chan os.Signal, 2) // both matter: the first ends in order, the second at once
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr, signals))
}
