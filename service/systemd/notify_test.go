package systemd_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/goslo/goslo/service/systemd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// manager is the service manager's end of a notification socket.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

func listen(t *testing.T, name string) *manager {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	return &manager{t, conn}
}

func (m *manager) read() string {
	m.t.Helper()
	var buf [4096]byte
	if err := m.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		m.t.Fatal(err)
	}
	n, err := m.conn.Read(buf[:])
	if err != nil {
		m.t.Fatal(err)
	}
	return string(buf[:n])
}

// wantSilence checks that nothing is in the socket: what was sent is there when Send has returned.
func (m *manager) wantSilence() {
	m.t.Helper()
	var buf [4096]byte
	if err := m.conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		m.t.Fatal(err)
	}
	if n, err := m.conn.Read(buf[:]); err == nil {
		m.t.Errorf("got %q, want nothing", buf[:n])
	}
}

func socketPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "notify")
}

func abstractName(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("@goslo-%d-%s", os.Getpid(), t.Name())
}

func quiet() (systemd.Notifier, *test.Hook) {
	log, hook := test.NewNullLogger()
	log.SetLevel(logrus.DebugLevel)
	return systemd.Notifier{Log: log}, hook
}

func TestOneDatagramReachesAPathOrAnAbstractName(t *testing.T) {
	for _, name := range []func(*testing.T) string{socketPath, abstractName} {
		m := listen(t, name(t))
		n, _ := quiet()
		if !n.Notify(systemd.Ready, systemd.Status("serving\ntwo topics")) {
			t.Error("Notify = false, want sent")
		}
		if got, want := m.read(), "READY=1\nSTATUS=serving two topics"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if !n.Notify(systemd.Stopping) {
			t.Error("the second Notify = false: the variable must stay")
		}
		if got := m.read(); got != "STOPPING=1" {
			t.Errorf("got %q, want STOPPING=1", got)
		}
	}
}

// launcherNotifier is the interface of package service, which this one does not import.
type launcherNotifier interface {
	Ready()
	Reloading()
	Stopping()
	Watchdog()
}

func TestLaunchersTellSystemdEachMoment(t *testing.T) {
	m := listen(t, abstractName(t))
	n, _ := quiet()
	var launched launcherNotifier = n
	for want, tell := range map[string]func(){
		"READY=1": launched.Ready, "RELOADING=1\nMONOTONIC_USEC=": launched.Reloading, "STOPPING=1": launched.Stopping, "WATCHDOG=1": launched.Watchdog,
	} {
		tell()
		if got := m.read(); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		m.wantSilence()
	}
}

func TestReloadingCarriesTheMonotonicTime(t *testing.T) {
	m := listen(t, abstractName(t))
	n, _ := quiet()
	before := monotonic(t)
	n.Reloading()
	after := monotonic(t)
	text, found := strings.CutPrefix(m.read(), "RELOADING=1\nMONOTONIC_USEC=")
	usec, err := strconv.ParseInt(text, 10, 64)
	if !found || err != nil || usec < before || usec > after {
		t.Errorf("MONOTONIC_USEC=%s, %v, want %d to %d", text, err, before, after)
	}
}

func monotonic(t *testing.T) int64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano() / 1000
}

func TestNotifyOnceRemovesTheVariableAfterASuccessOnly(t *testing.T) {
	n, hook := quiet()
	t.Setenv("NOTIFY_SOCKET", socketPath(t)) // nobody listens
	if n.NotifyOnce(systemd.Ready) {
		t.Error("NotifyOnce = true without a manager")
	}
	if os.Getenv("NOTIFY_SOCKET") == "" {
		t.Error("the variable is gone after a failure")
	}
	if e := hook.LastEntry(); e == nil || e.Level != logrus.DebugLevel || e.Data["error"] == nil {
		t.Errorf("log line = %v, want a debug line with the error", e)
	}

	m := listen(t, socketPath(t))
	if !n.NotifyOnce(systemd.Ready) {
		t.Error("NotifyOnce = false, want sent")
	}
	if got := m.read(); got != "READY=1" {
		t.Errorf("got %q, want READY=1", got)
	}
	if v, found := os.LookupEnv("NOTIFY_SOCKET"); found {
		t.Errorf("NOTIFY_SOCKET = %q after a success, want none", v)
	}
	if n.NotifyOnce(systemd.Ready) {
		t.Error("the second NotifyOnce = true")
	}
	m.wantSilence()
}

func TestWithoutAManagerNothingHappens(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if sent, err := systemd.Send(systemd.Ready); sent || err != nil {
		t.Errorf("Send = %v, %v, want nothing", sent, err)
	}
}

func TestASocketThatIsNoneIsNamed(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "relative/path")
	if sent, err := systemd.Send(systemd.Ready); sent || !errors.Is(err, systemd.ErrBadSocket) {
		t.Errorf("Send = %v, %v, want ErrBadSocket", sent, err)
	}
}

func TestWorkersGetNothingThatSystemdMeantForTheParent(t *testing.T) {
	env := []string{
		"PATH=/bin", "NOTIFY_SOCKET=/run/x", "LISTEN_PID=1", "LISTEN_PIDFDID=2", "LISTEN_FDS=1", "LISTEN_FDNAMES=api",
		"WATCHDOG_USEC=30000000", "WATCHDOG_PID=1", "LISTEN_ADDRESS=::1", "MY_WATCHDOG_USEC=3", "EMPTY=",
	}
	before := strings.Join(env, " ")
	want := []string{"PATH=/bin", "LISTEN_ADDRESS=::1", "MY_WATCHDOG_USEC=3", "EMPTY="}
	if diff := cmp.Diff(want, systemd.Strip(env)); diff != "" {
		t.Errorf("Strip (-want +got):\n%s", diff)
	}
	if strings.Join(env, " ") != before {
		t.Error("Strip has changed its argument")
	}

	t.Setenv("WATCHDOG_USEC", "1")
	t.Setenv("GOSLO_KEPT", "yes")
	got := strings.Join(systemd.Environment(), "\n")
	if strings.Contains(got, "WATCHDOG_USEC") || !strings.Contains(got, "GOSLO_KEPT=yes") {
		t.Error("Environment is not this process's without systemd's")
	}
}
