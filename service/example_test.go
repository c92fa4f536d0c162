package service_test

import (
	"context"
	"fmt"

	"github.com/goslo/goslo/service"
)

// clock is a service without work.
type clock struct{}

func (clock) Start(context.Context) error { fmt.Println("started"); return nil }
func (clock) Stop(context.Context) error  { fmt.Println("stopped"); return nil }
func (clock) Wait(context.Context) error  { return nil }
func (clock) Reset(context.Context) error { return nil }

// A daemon launches its service and exits with what Wait returns. With service.WithWorkers(4) the same lines make it a
// parent of four workers.
func ExampleLaunch() {
	l, err := service.Launch(service.DefaultConfig(), clock{})
	if err != nil {
		fmt.Println(err) // and exit with status 1
		return
	}
	l.Stop() // or SIGTERM
	fmt.Println("exit status", l.Wait())
	// Output:
	// started
	// stopped
	// exit status 0
}
