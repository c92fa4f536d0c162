package rpcservice_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/executor"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/service"
	"github.com/goslo/goslo/service/rpcservice"
	"github.com/goslo/goslo/service/systemd"
)

func init() { programMain = hangingProgram }

// hanger has a method that never returns. With the blocking executor the consume loop hangs with it.
type hanger struct{ rpcservice.BaseManager }

func (hanger) Endpoint() *messaging.Endpoint {
	ep := messaging.NewEndpoint()
	messaging.HandleCast(ep, "hang", func(context.Context, struct{}) error {
		fmt.Fprintf(os.Stdout, "hangs %d\n", os.Getpid())
		select {}
	})
	return ep
}

// InitHostWithRPC has the process that reads the next byte of standard input, which workers share, hang.
func (hanger) InitHostWithRPC(context.Context) error {
	go func() { // until the process ends
		if n, _ := os.Stdin.Read(make([]byte, 1)); n == 1 {
			cast(os.Getpid())
		}
	}()
	return nil
}

// cast reaches the one server of this process: the bus is in it.
func cast(pid int) {
	bus, err := messaging.Open("memory://hanger")
	if err != nil {
		panic(err)
	}
	client, err := messaging.NewClient(bus, messaging.Target{Topic: "hanger", Server: strconv.Itoa(pid)})
	if err != nil {
		panic(err)
	}
	if err := client.Cast(context.Background(), "hang", nil); err != nil {
		panic(err)
	}
}

// hangingProgram is a daemon as the documentation has it.
func hangingProgram(workers string) int {
	count, err := strconv.Atoi(workers)
	if err != nil {
		panic(err)
	}
	bus, err := messaging.Open("memory://hanger")
	if err != nil {
		panic(err)
	}
	svc, err := rpcservice.New(bus, hanger{}, rpcservice.Config{Topic: "hanger", Host: strconv.Itoa(os.Getpid())},
		messaging.WithExecutor(executor.Blocking))
	if err != nil {
		panic(err)
	}
	conf := service.DefaultConfig()
	conf.Notifier = systemd.Notifier{Log: logrus.StandardLogger()}
	if conf.WatchdogInterval, err = systemd.WatchdogInterval(); err != nil {
		panic(err)
	}
	conf.Progress = systemd.Moving(svc.Progress)
	l, err := service.Launch(conf, svc, service.WithWorkers(count), service.WithName("hanger"))
	if err != nil {
		panic(err)
	}
	return l.Wait()
}

// serviceManager is systemd's end of the notification socket.
type serviceManager struct{ *net.UnixConn }

// hear waits for a message; none is empty.
func (m serviceManager) hear(t *testing.T, wait time.Duration) string {
	t.Helper()
	if err := m.SetReadDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	var buf [4096]byte
	n, err := m.Read(buf[:])
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// expect waits for a message; that all is well may be said at any time.
func (m serviceManager) expect(t *testing.T, want string) {
	t.Helper()
	for {
		got := m.hear(t, processPatience)
		if got == want {
			return
		}
		if got != systemd.Alive {
			t.Fatalf("systemd hears %q, want %q", got, want)
		}
	}
}

const processPatience = time.Minute

// watchdogInterval is that of the daemon: four times as long as a consume loop takes for a turn.
const watchdogInterval = 4 * time.Second

func TestSystemdHearsNothingOnceTheConsumeLoopOfOneProcessHangs(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, workers)
			d.manager.expect(t, systemd.Ready)
			d.manager.expect(t, systemd.Alive)
			pid := d.hang(t)
			d.awaitSilence(t)
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if workers == 1 {
				return // it was the daemon itself
			}
			d.manager.expect(t, systemd.Alive)
			if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			d.manager.expect(t, systemd.Stopping)
			if err := d.cmd.Wait(); err != nil {
				t.Errorf("the daemon ended with %v, want status 0", err)
			}
		})
	}
}

// daemon is the program with its service manager.
type daemon struct {
	manager serviceManager
	cmd     *exec.Cmd
	stdin   io.Writer
	stdout  *bufio.Scanner
}

func startDaemon(t *testing.T, workers int) *daemon {
	t.Helper()
	address := fmt.Sprintf("@goslo-%d-%s", os.Getpid(), t.Name())
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	d := &daemon{manager: serviceManager{conn}, cmd: exec.Command(os.Args[0])}
	d.cmd.Env = append(os.Environ(), programVariable+"="+strconv.Itoa(workers), "NOTIFY_SOCKET="+address,
		fmt.Sprintf("WATCHDOG_USEC=%d", watchdogInterval.Microseconds()))
	stdin, err := d.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.stdin, d.stdout = stdin, bufio.NewScanner(stdout)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.cmd.ProcessState == nil {
			_ = d.cmd.Process.Kill()
			_ = d.cmd.Wait()
		}
	})
	return d
}

// hang has one process hang and returns its id.
func (d *daemon) hang(t *testing.T) (pid int) {
	t.Helper()
	if _, err := d.stdin.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	for d.stdout.Scan() {
		if _, text, found := strings.Cut(d.stdout.Text(), "hangs "); found {
			pid, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatal("no process hangs")
	return 0
}

// awaitSilence wants to hear nothing for an interval, in which it would twice, after the few messages that may still come before the
// parent misses the worker.
func (d *daemon) awaitSilence(t *testing.T) {
	t.Helper()
	const few = 6
	for range few {
		said := d.manager.hear(t, watchdogInterval)
		if said == "" {
			return
		}
		if said != systemd.Alive {
			t.Fatalf("systemd hears %q", said)
		}
	}
	t.Error("the watchdog is fed while a consume loop hangs")
}
