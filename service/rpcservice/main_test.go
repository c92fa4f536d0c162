package rpcservice_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// programVariable makes the test binary a program of its own, with as many workers as it says.
const programVariable = "GOSLO_RPCSERVICE_TEST_WORKERS"

// programMain is that program, where there is one.
var programMain func(workers string) (status int)

func TestMain(m *testing.M) {
	if workers, set := os.LookupEnv(programVariable); set {
		os.Exit(programMain(workers)) //nolint:forbidigo // the program's status
	}
	goleak.VerifyTestMain(m)
}
