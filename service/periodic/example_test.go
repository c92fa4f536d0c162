package periodic_test

import (
	"context"
	"fmt"
	"time"

	"github.com/goslo/goslo/service/periodic"
)

func Example() {
	var tasks periodic.Tasks
	err := tasks.Periodic("heal_instances", 2*time.Minute, func(context.Context) error {
		fmt.Println("healing")
		return nil
	}, periodic.RunImmediately())
	if err != nil {
		fmt.Println(err)
		return
	}
	idle, err := tasks.RunPeriodicTasks(context.Background())
	fmt.Println("idle for", idle, err)
	// Output:
	// healing
	// idle for 1m0s <nil>
}
