// Package early is for tests: a worker that hangs before any other package of this module is initialised. Of the packages that
// could be, the one whose path comes first is, and this one needs none of the others.
package early

import (
	"fmt"
	"os"
)

// Variable is the environment variable that makes workers hang.
const Variable = "GOSLO_TEST_HANG_EARLY"

func init() {
	_, hang := os.LookupEnv(Variable)
	if _, worker := os.LookupEnv("GOSLO_WORKER"); hang && worker {
		fmt.Fprintln(os.Stdout, "hanging", os.Getpid())
		for { //nolint:revive,staticcheck // it is to hang; without a goroutine that can go on the runtime would end the process
		}
	}
}
