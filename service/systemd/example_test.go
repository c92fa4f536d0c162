package systemd_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/goslo/goslo/service/systemd"
)

func Example() {
	// What systemd does: bind a socket and name it in the service's environment.
	manager, err := systemd.ListenReady("@goslo-example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()
	_ = os.Setenv("NOTIFY_SOCKET", "@goslo-example")
	defer os.Unsetenv("NOTIFY_SOCKET")

	// What the service does once its workers are ready.
	systemd.Notifier{}.Notify(systemd.Ready)

	fmt.Println(manager.Wait(context.Background(), time.Minute))
	// Output: ready <nil>
}

func ExampleWatchdog() {
	var polls atomic.Uint64 // the consume loop adds one each time it polls, also in vain
	interval, err := systemd.WatchdogInterval()
	if err != nil {
		fmt.Println(err)
		return
	}
	w, err := systemd.NewWatchdog(systemd.WatchdogConfig{Interval: interval, Progress: systemd.Moving(polls.Load)})
	if err != nil {
		fmt.Println(err)
		return
	}
	w.Start()
	defer func() { _ = w.Stop(context.Background()) }()
	fmt.Println("watched every", interval)
	// Output: watched every 0s
}
