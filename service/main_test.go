package service

import (
	"os"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// programVariable makes the test binary a program of its own, in the process tests.
const programVariable = "GOSLO_SERVICE_TEST_PROGRAM"

// programMain is that program, where there is one.
var programMain func(text string) int

func TestMain(m *testing.M) {
	if text, set := os.LookupEnv(programVariable); set {
		os.Exit(programMain(text)) //nolint:forbidigo // the program's status
	}
	// The goroutine of os/signal must not begin in a synctest bubble, which it would keep open.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGWINCH)
	signal.Stop(signals)
	goleak.VerifyTestMain(m)
}
