package service

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goslo/goslo/service/internal/early"
)

func becomeSubreaper() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// isZombie tells whether a process has ended and only waits to be reaped: by the first process of the machine, for an orphan.
func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	return string(fields[0]) == "Z"
}

func onePool(workers int) []programPool { return []programPool{{"pool", workers}} }

const started = `service started`

func TestKilledWorkerIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	within(t, 0, 200*time.Millisecond, "from kill -9 until the replacement's service has started", func(t *testing.T) time.Duration {
		r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute})
		pids := r.expectPids(t, 2, started)
		killed := kill(t, pids[0], syscall.SIGKILL)
		found, at := r.expect(t, started+` (\d+)$`)
		if pid := atoi(t, found[1]); slices.Contains(pids, pid) {
			t.Errorf("process %d has started again, want another", pid)
		}
		r.expect(t, `worker killed by a signal.* signal=SIGKILL`)
		r.signal(t, syscall.SIGTERM)
		if code, _ := r.wait(t); code != 0 {
			t.Errorf("exit status %d, want 0", code)
		}
		return at.Sub(killed)
	})
}

func TestWorkerKilledAgainIsReplacedAfterTheThrottle(t *testing.T) {
	t.Parallel()
	within(t, 950*time.Millisecond, 1300*time.Millisecond, "the second replacement", func(t *testing.T) time.Duration {
		r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute})
		pids := r.expectPids(t, 2, started)
		kill(t, pids[0], syscall.SIGKILL)
		fresh := r.expectPids(t, 1, started)
		killed := kill(t, fresh[0], syscall.SIGKILL)
		r.expect(t, `too fast`)
		_, at := r.expect(t, started)
		return at.Sub(killed)
	})
}

func TestWorkersEndWithTheirParent(t *testing.T) {
	t.Parallel()
	within(t, 0, 500*time.Millisecond, "the end of idle workers after that of the parent", func(t *testing.T) time.Duration {
		r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute})
		pids := r.expectPids(t, 2, started)
		killed := r.signal(t, syscall.SIGKILL)
		return gone(t, pids).Sub(killed)
	})
}

func TestWorkersThatHangBeforeLaunchEndWithTheirParent(t *testing.T) {
	t.Parallel()
	for name, hangs := range map[string]struct {
		program testProgram
		env     []string
	}{
		"in main":                            {testProgram{Hang: true}, []string{"GOMAXPROCS=1"}},
		"in the initialisation of a package": {testProgram{}, []string{early.Variable + "=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			within(t, 0, 500*time.Millisecond, "the end of workers after that of the parent", func(t *testing.T) time.Duration {
				p := hangs.program
				p.Pools, p.Timeout = onePool(2), time.Minute
				r := start(t, p, hangs.env...)
				pids := r.expectPids(t, 2, `\] hanging`)
				killed := r.signal(t, syscall.SIGKILL)
				return gone(t, pids).Sub(killed)
			})
		})
	}
}

func TestBusyWorkersFinishWithinTheirOwnTimeoutAfterTheParentsEnd(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		job     time.Duration
		timeout time.Duration
		from    time.Duration
	}{
		{"work that ends in time is finished", 1500 * time.Millisecond, time.Minute, 500 * time.Millisecond},
		{"work that does not is cut", time.Minute, time.Second, 800 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, testProgram{Pools: onePool(2), Timeout: test.timeout, Job: test.job, Stubborn: true})
			pids := r.expectPids(t, 2, started)
			killed := r.signal(t, syscall.SIGKILL)
			if took := gone(t, pids).Sub(killed); took < test.from {
				t.Errorf("workers were gone after %s, want %s at least", took, test.from)
			}
		})
	}
}

func TestTermLetsWorkFinish(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2} {
		t.Run(strconv.Itoa(workers)+" workers", func(t *testing.T) {
			t.Parallel()
			r := start(t, testProgram{Pools: onePool(workers), Timeout: time.Minute, Job: 2 * time.Second})
			r.expectPids(t, workers, started)
			r.signal(t, syscall.SIGTERM)
			r.expectPids(t, workers, "service stopping")
			r.signal(t, syscall.SIGTERM) // the second is ignored
			r.expectPids(t, workers, "job done")
			if code, _ := r.wait(t); code != 0 {
				t.Errorf("exit status %d, want 0", code)
			}
			if n := r.count("service stopping"); n != workers {
				t.Errorf("%d services were stopped, want %d", n, workers)
			}
		})
	}
}

func TestGracefulTimeoutEndsEverythingWithStatusOne(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2} {
		for _, stubborn := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d workers, stubborn %t", workers, stubborn), func(t *testing.T) {
				t.Parallel()
				r := start(t, testProgram{Pools: onePool(workers), Timeout: time.Second, Job: time.Minute, Stubborn: stubborn})
				pids := r.expectPids(t, workers, started)
				sent := r.signal(t, syscall.SIGTERM)
				code, at := r.wait(t)
				if code != 1 {
					t.Errorf("exit status %d, want 1", code)
				}
				if took := at.Sub(sent); took < 800*time.Millisecond { // and not a minute
					t.Errorf("ended after %s, want 1 s", took)
				}
				if anyAlive(pids) {
					t.Error("a process is left")
				}
				r.expect(t, `graceful shutdown timeout exceeded`)
			})
		}
	}
}

func TestTermDuringTheThrottleStartsNoMoreWorkers(t *testing.T) {
	t.Parallel()
	fail := filepath.Join(t.TempDir(), "fail")
	if err := touch(fail); err != nil {
		t.Fatal(err)
	}
	within(t, 0, 100*time.Millisecond, "the end after TERM", func(t *testing.T) time.Duration {
		r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute, FailFile: fail})
		r.expect(t, `too fast`)
		for range 3 {
			r.expect(t, `worker exited.* code=1`)
		}
		sent := r.signal(t, syscall.SIGTERM)
		code, at := r.wait(t)
		if code != 0 {
			t.Errorf("exit status %d, want 0", code)
		}
		r.expect(t, `msg=stopped code=0`)
		stopping := false
		for _, l := range r.all() {
			stopping = stopping || strings.Contains(l.text, "msg=stopping reason=SIGTERM")
			if stopping && strings.Contains(l.text, "worker started") {
				t.Errorf("after TERM: %s", l.text)
			}
		}
		if !stopping {
			t.Error("the log does not say that the parent stops")
		}
		return at.Sub(sent)
	})
}

func TestInterruptEndsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2} {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
			t.Run(fmt.Sprintf("%d workers, %s", workers, sig), func(t *testing.T) {
				t.Parallel()
				r := start(t, testProgram{Pools: onePool(workers), Timeout: time.Minute, Job: time.Minute})
				pids := r.expectPids(t, workers, started)
				r.signal(t, sig)
				if code, _ := r.wait(t); code != 1 { // wait and gone have less patience than the jobs take
					t.Errorf("exit status %d, want 1", code)
				}
				gone(t, pids)
				if n := r.count(`service stopping`); n != 0 {
					t.Errorf("%d services were stopped, want none", n)
				}
			})
		}
	}
}

func TestHangupReloadReplacesWorkersAndMutateKeepsThem(t *testing.T) {
	t.Parallel()
	t.Run("reload", func(t *testing.T) {
		t.Parallel()
		r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute, Method: Reload})
		old := r.expectPids(t, 2, started)
		r.expect(t, `all workers are ready`)
		r.signal(t, syscall.SIGHUP)
		r.expect(t, fmt.Sprintf(`^reload %d$`, r.cmd.Process.Pid))
		fresh := r.expectPids(t, 2, started)
		if slices.Contains(old, fresh[0]) || slices.Contains(old, fresh[1]) {
			t.Errorf("workers %v and then %v, want other processes", old, fresh)
		}
		gone(t, old)
		r.signal(t, syscall.SIGTERM)
		if code, _ := r.wait(t); code != 0 {
			t.Errorf("exit status %d, want 0", code)
		}
	})
	t.Run("mutate, twice", func(t *testing.T) {
		t.Parallel()
		r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute, Method: Mutate})
		old := r.expectPids(t, 2, started)
		r.expect(t, `all workers are ready`)
		for range 2 {
			r.signal(t, syscall.SIGHUP)
			reset := r.expectPids(t, 2, "service reset")
			slices.Sort(old)
			if slices.Sort(reset); !slices.Equal(old, reset) {
				t.Errorf("workers %v were reset, want %v", reset, old)
			}
		}
		if n := r.count(`worker started`); n != 2 {
			t.Errorf("%d workers were started, want 2", n)
		}
		if n := r.count(`\] mutate`); n != 4 {
			t.Errorf("workers have read the configuration %d times, want 4", n)
		}
	})
}

func TestTwoHangupsAtOnceAreOneReloadAndLoseNoWork(t *testing.T) {
	t.Parallel()
	r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute, Method: Reload, Job: time.Second})
	r.expectPids(t, 2, started)
	r.expect(t, `all workers are ready`)
	r.signal(t, syscall.SIGHUP)
	r.expect(t, `^reload`)
	r.signal(t, syscall.SIGHUP)
	r.expect(t, `^reload`)
	r.expectPids(t, 2, "job done") // a second TERM would have killed
	r.expectPids(t, 2, started)
	if n := r.count(`killed by a signal`); n != 0 {
		t.Errorf("%d workers were killed, want none", n)
	}
}

func TestHangupOfOneProcessRestartsTheSameObject(t *testing.T) {
	t.Parallel()
	r := start(t, testProgram{Pools: onePool(1), Timeout: time.Minute, Method: Reload})
	pid := r.expectPids(t, 1, started)
	for range 2 {
		r.signal(t, syscall.SIGHUP)
		r.expect(t, `^reload`)
		r.expect(t, `service stopping`)
		r.expect(t, `service reset`)
		if again := r.expectPids(t, 1, started); again[0] != pid[0] {
			t.Errorf("process %d, want %d", again[0], pid[0])
		}
	}
}

func TestRollingReloadKeepsEveryPlaceFilled(t *testing.T) {
	t.Parallel()
	r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute, Method: Reload, Strategy: Rolling})
	old := r.expectPids(t, 2, started)
	r.expect(t, `all workers are ready`)
	r.signal(t, syscall.SIGHUP)
	for range 2 {
		fresh := r.expectPids(t, 1, started)
		r.expect(t, fmt.Sprintf(`worker ready.* pid=%d `, fresh[0]))
		stopping := r.expectPids(t, 1, "service stopping")
		if !slices.Contains(old, stopping[0]) {
			t.Errorf("worker %d was stopped, want one of %v", stopping[0], old)
		}
		r.expect(t, fmt.Sprintf(`worker exited.* pid=%d `, stopping[0]))
	}
	r.expect(t, `all workers are ready`)
	gone(t, old)
}

func TestStillbornReplacementLeavesTheOldWorkers(t *testing.T) {
	t.Parallel()
	fail := filepath.Join(t.TempDir(), "fail")
	r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute, Method: Reload, Strategy: Rolling, FailFile: fail})
	old := r.expectPids(t, 2, started)
	r.expect(t, `all workers are ready`)
	if err := touch(fail); err != nil {
		t.Fatal(err)
	}
	r.signal(t, syscall.SIGHUP)
	r.expect(t, `the service cannot start`)
	r.expect(t, `the replacement ended before it was ready`)
	r.expect(t, `all workers are ready`)
	for _, pid := range old {
		if !anyAlive([]int{pid}) {
			t.Errorf("worker %d has ended, want it to stay", pid)
		}
	}
}

func TestStartFailureEndsOneProcessWithStatusOne(t *testing.T) {
	t.Parallel()
	fail := filepath.Join(t.TempDir(), "fail")
	if err := touch(fail); err != nil {
		t.Fatal(err)
	}
	r := start(t, testProgram{Pools: onePool(1), Timeout: time.Minute, FailFile: fail})
	if code, _ := r.wait(t); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
	r.expect(t, `service stopping`)
	if n := r.count(`service stopping`); n != 1 {
		t.Errorf("the service was stopped %d times, want once", n)
	}
}

func TestRawOutputOfWorkersIsPassedOnAsItIs(t *testing.T) {
	t.Parallel()
	r := start(t, testProgram{Pools: []programPool{{"http", 1}, {"rpc", 2}}, Timeout: time.Minute, Raw: true})
	r.expect(t, `all workers are ready`)
	for _, worker := range []string{"http 0", "rpc 0", "rpc 1"} {
		r.expect(t, `^service of &\{`+worker+`\}, error <nil>$`)
	}
	if n := r.count(`^\[`); n != 0 {
		t.Errorf("%d lines have something before them", n)
	}
	one := start(t, testProgram{Pools: onePool(1), Timeout: time.Minute, Raw: true})
	one.expect(t, `^service of <nil>, error <nil>$`)
}

func TestPanicAtStartIsStatusTwo(t *testing.T) {
	t.Parallel()
	r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute, Panic: true})
	r.expect(t, `worker exited.* code=2`)
	one := start(t, testProgram{Pools: onePool(1), Timeout: time.Minute, Panic: true})
	if code, _ := one.wait(t); code != 2 {
		t.Errorf("exit status %d of one process, want 2", code)
	}
}

func TestSeveralPoolsRunInOneParent(t *testing.T) {
	t.Parallel()
	r := start(t, testProgram{Pools: []programPool{{"http", 1}, {"rpc", 2}, {"notify", 2}}, Timeout: time.Minute})
	r.expectPids(t, 5, started)
	r.expect(t, `all workers are ready`)
	for _, prefix := range []string{"http/0", "rpc/0", "rpc/1", "notify/0", "notify/1"} {
		if n := r.count(`^\[` + prefix + `\] service started`); n != 1 {
			t.Errorf("%d lines of %s, want 1", n, prefix)
		}
	}
	r.signal(t, syscall.SIGTERM)
	if code, _ := r.wait(t); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
}

func TestHangupInTheForegroundOfATerminalStops(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2} {
		t.Run(strconv.Itoa(workers)+" workers", func(t *testing.T) {
			t.Parallel()
			r := startOnTerminal(t, testProgram{Pools: onePool(workers), Timeout: time.Minute})
			r.expectPids(t, workers, started)
			r.signal(t, syscall.SIGHUP)
			if code, _ := r.wait(t); code != 0 {
				t.Errorf("exit status %d, want 0", code)
			}
			if n := r.count(`reload`); n != 0 {
				t.Errorf("the configuration was read %d times, want never", n)
			}
		})
	}
}

func TestWatchdogIsFedByTheProgressOfWorkers(t *testing.T) {
	t.Parallel()
	r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute, Watchdog: time.Second})
	pids := r.expectPids(t, 2, started)
	r.expect(t, `^READY=1`)
	r.expect(t, `^WATCHDOG=1`)
	kill(t, pids[0], syscall.SIGSTOP)
	r.expect(t, fmt.Sprintf(`worker makes no progress.* pid=%d `, pids[0]))
	before := r.count(`^WATCHDOG=1`)
	r.expect(t, `worker makes no progress`)
	if n := r.count(`^WATCHDOG=1`); n != before {
		t.Errorf("the service manager was told %d times that all is well, want never", n-before)
	}
	kill(t, pids[0], syscall.SIGCONT)
	for r.count(`^WATCHDOG=1`) == before {
		r.expect(t, `^WATCHDOG=1`)
	}
	r.signal(t, syscall.SIGTERM)
	if code, _ := r.wait(t); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
	if n := r.count(`^READY=1`); n != 1 {
		t.Errorf("READY %d times, want once", n)
	}
	r.expect(t, `^STOPPING=1`)
}

func TestListenerStaysNonBlocking(t *testing.T) {
	t.Parallel()
	die := filepath.Join(t.TempDir(), "die")
	r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute, Listen: true, DieFile: die})
	pids := r.expectPids(t, 2, started)
	isNonBlocking := func(when string) {
		t.Helper()
		r.signal(t, syscall.SIGUSR1)
		if found, _ := r.expect(t, `^nonblocking (\w+)$`); found[1] != "true" {
			t.Errorf("the listener is blocking %s", when)
		}
	}
	isNonBlocking("after the start")
	kill(t, pids[0], syscall.SIGKILL)
	r.expectPids(t, 1, started)
	isNonBlocking("after a respawn")

	if err := touch(die); err != nil {
		t.Fatal(err)
	}
	kill(t, pids[1], syscall.SIGKILL)
	r.expect(t, `worker exited.* code=3`)
	isNonBlocking("after a stillborn respawn")
	r.signal(t, syscall.SIGTERM)
	if code, _ := r.wait(t); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
}

func TestWorkersHaveNothingOfTheServiceManager(t *testing.T) {
	t.Parallel()
	r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute, Child: true, Listen: true},
		"NOTIFY_SOCKET=/nowhere", "LISTEN_PID=1", "LISTEN_FDS=1", "LISTEN_FDNAMES=x", "WATCHDOG_USEC=1000", "WATCHDOG_PID=1")
	r.expectPids(t, 2, started)
	if n := r.count(`env PATH=`); n != 2 {
		t.Errorf("%d environments were printed, want 2", n)
	}
	if n := r.count(`env (NOTIFY_SOCKET|LISTEN_|WATCHDOG_)`); n != 0 {
		t.Errorf("%d variables of the service manager are with workers, want none", n)
	}
}

func TestWorkersProcessesInheritNeitherIdentityNorDescriptors(t *testing.T) {
	t.Parallel()
	r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute, Child: true, Listen: true})
	r.expectPids(t, 2, started)
	if n := r.count(`env GOSLO_WORKER`); n != 0 {
		t.Errorf("%d workers hand on their identity, want none", n)
	}
	if n := r.count(`fd /proc/self/fd/1 pipe`); n != 2 {
		t.Errorf("%d lists of descriptors were printed, want 2", n)
	}
	if n := r.count(`fd /proc/self/fd/\d+ socket`); n != 0 {
		t.Errorf("%d listeners are with processes of workers, want none", n)
	}
	if n := r.count(`fd /proc/self/fd/[3-9] pipe`); n != 0 {
		t.Errorf("%d pipes are with processes of workers, want none", n)
	}
}

func TestForeignIdentityIsAnErrorOfOneLine(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"no JSON":             `yes`,
		"another version":     `{"version":7}`,
		"descriptors missing": `{"version":1,"pool":"pool"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute}, "GOSLO_WORKER="+value)
			if code, _ := r.wait(t); code != 1 {
				t.Errorf("exit status %d, want 1", code)
			}
			r.expect(t, `GOSLO_WORKER`)
			if lines := r.all(); len(lines) != 1 {
				t.Errorf("%d lines, want 1", len(lines))
			}
		})
	}
}

func TestUserSignalWritesStacks(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2} {
		t.Run(strconv.Itoa(workers)+" workers", func(t *testing.T) {
			t.Parallel()
			r := start(t, testProgram{Pools: onePool(workers), Timeout: time.Minute})
			pids := r.expectPids(t, workers, started)
			r.expect(t, `ready`)
			kill(t, pids[0], syscall.SIGUSR2)
			r.expect(t, `goroutine \d+ \[`)
			r.signal(t, syscall.SIGTERM)
			if code, _ := r.wait(t); code != 0 {
				t.Errorf("exit status %d, want 0", code)
			}
		})
	}
}

func TestAdoptedOrphansAreReaped(t *testing.T) {
	t.Parallel()
	r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute, Orphan: true, Subreaper: true})
	pids := r.expectPids(t, 2, `service started`)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	adopted := false
	for {
		zombies := zombiesOf(t, r.cmd.Process.Pid)
		adopted = adopted || len(zombies) > 0
		if adopted && len(zombies) == 0 {
			break
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("zombies %v are left (some were seen: %t)", zombies, adopted)
		}
	}
	// The exit statuses of workers are not among what is reaped.
	kill(t, pids[0], syscall.SIGTERM)
	r.expect(t, fmt.Sprintf(`worker exited" code=0.* pid=%d`, pids[0]))
}

// zombiesOf are the children of a process that nobody has waited for.
func zombiesOf(t *testing.T, parent int) []int {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, path := range paths {
		if stat, err := os.ReadFile(path); err == nil && isZombieOf(stat, parent) {
			pids = append(pids, atoi(t, filepath.Base(filepath.Dir(path))))
		}
	}
	return pids
}

func TestWorkerIsStartedWhenThereAreDescriptorsAgain(t *testing.T) {
	t.Parallel()
	r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute})
	pids := r.expectPids(t, 2, started)
	if err := unix.Prlimit(r.cmd.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: 1024}, nil); err != nil {
		t.Fatal(err)
	}
	kill(t, pids[0], syscall.SIGKILL)
	for range 3 {
		r.expect(t, `could not be started.*too many open files`)
	}
	if err := unix.Prlimit(r.cmd.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1024, Max: 1024}, nil); err != nil {
		t.Fatal(err)
	}
	r.expectPids(t, 1, started)
	r.signal(t, syscall.SIGTERM)
	if code, _ := r.wait(t); code != 0 {
		t.Errorf("exit status %d, want 0", code)
	}
}

func TestWorkerStaysOneWhenTheProgramComesToAskForOneWorkerOnly(t *testing.T) {
	t.Parallel()
	shrink := filepath.Join(t.TempDir(), "shrink")
	r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute, ShrinkFile: shrink})
	pids := r.expectPids(t, 2, started)
	if err := touch(shrink); err != nil {
		t.Fatal(err)
	}
	kill(t, pids[0], syscall.SIGTERM)
	fresh := r.expectPids(t, 1, started)
	r.expect(t, fmt.Sprintf(`worker ready.* pid=%d `, fresh[0]))
	r.signal(t, syscall.SIGKILL)
	gone(t, append(fresh, pids...))
}

func TestWorkerWhosePoolTheProgramNoLongerLaunchesSaysSo(t *testing.T) {
	t.Parallel()
	rename := filepath.Join(t.TempDir(), "rename")
	r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute, RenameFile: rename})
	pids := r.expectPids(t, 2, started)
	if err := touch(rename); err != nil {
		t.Fatal(err)
	}
	kill(t, pids[0], syscall.SIGTERM)
	r.expect(t, `the worker has nothing to do.*the program launches no pool of that name`)
	r.expect(t, `worker exited" code=1`)
}

func TestWorkersEndWithTheirParentWhateverTheyLog(t *testing.T) {
	t.Parallel()
	r := start(t, testProgram{Pools: onePool(2), Timeout: time.Minute, Job: time.Second, Done: filepath.Join(t.TempDir(), "done")})
	pids := r.expectPids(t, 2, started)
	r.signal(t, syscall.SIGKILL)
	gone(t, pids)
	done, err := filepath.Glob(r.program.Done + "*")
	if err != nil || len(done) != 2 {
		t.Errorf("%d workers finished their work (%v), want 2: their output had no reader any more", len(done), err)
	}
}
