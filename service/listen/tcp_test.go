package listen_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goslo/goslo/service/listen"
)

func TestThePortIsKnownBeforeAnythingIsStarted(t *testing.T) {
	l := tcp(t, "api", "127.0.0.1:0")
	if l.Port() == 0 {
		t.Fatal("Port = 0")
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("a client cannot connect before anybody accepts: %v", err)
	}
	defer conn.Close()
	a := accepting(t, l)
	served, err := a.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	if got := a.Addr().(*net.TCPAddr).Port; got != l.Port() {
		t.Errorf("port of what accepts = %d, want %d", got, l.Port())
	}
}

func TestAcceptingCanBeClosedAndMadeAnew(t *testing.T) {
	for name, opts := range map[string][]listen.TCPOption{"shared socket": nil, "sockets of their own": {listen.WithReusePort()}} {
		t.Run(name, func(t *testing.T) {
			l := tcp(t, "api", "127.0.0.1:0", opts...)
			for range 3 {
				a := accepting(t, l)
				conn, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				served, err := a.Accept()
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(served.Close(), a.Close()); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestConnectionsHaveTheKeepIdleOfTheirListener(t *testing.T) {
	for name, test := range map[string]struct {
		opts []listen.TCPOption
		want int
	}{
		"default":        {nil, 600},
		"option":         {[]listen.TCPOption{listen.WithKeepIdle(90 * time.Second)}, 90},
		"part of second": {[]listen.TCPOption{listen.WithKeepIdle(1500 * time.Millisecond)}, 2},
		"kernel's":       {[]listen.TCPOption{listen.WithKeepIdle(0)}, kernelsKeepIdle(t)},
	} {
		t.Run(name, func(t *testing.T) {
			l := tcp(t, "api", "127.0.0.1:0", test.opts...)
			a := accepting(t, l)
			client, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			conn, err := a.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			for what, socket := range map[string]syscall.Conn{"listener": listen.Inherited()[0].File, "connection": conn.(*net.TCPConn)} {
				if got := option(t, socket, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE); got != test.want {
					t.Errorf("TCP_KEEPIDLE of the %s = %d, want %d", what, got, test.want)
				}
				if option(t, socket, unix.SOL_SOCKET, unix.SO_KEEPALIVE) == 0 {
					t.Errorf("the %s has no SO_KEEPALIVE", what)
				}
			}
			if option(t, listen.Inherited()[0].File, unix.SOL_SOCKET, unix.SO_REUSEADDR) == 0 {
				t.Error("the listener has no SO_REUSEADDR")
			}
		})
	}
}

func kernelsKeepIdle(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	seconds, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
	if err != nil {
		t.Fatal(err)
	}
	return seconds
}

func TestTheBacklogLimitsWhoWaits(t *testing.T) {
	const size = 3
	l := tcp(t, "api", "127.0.0.1:0", listen.WithBacklog(size))
	connected := 0
	for range 4 * size {
		conn, err := net.DialTimeout("tcp", l.Addr().String(), 200*time.Millisecond)
		if err != nil {
			break
		}
		defer conn.Close()
		connected++
	}
	if connected < size || connected > size+1 { // Linux takes one more than it was told
		t.Errorf("%d connections wait with a backlog of %d", connected, size)
	}
}

func TestAllAddressesAreOfBothFamilies(t *testing.T) {
	l := tcp(t, "api", ":0")
	a := accepting(t, l)
	hosts := []string{"127.0.0.1"}
	if hasIPv6() { // a machine without it shows that one family is enough
		hosts = append(hosts, "::1")
	}
	for _, host := range hosts {
		conn, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(l.Port())))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		served, err := a.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer served.Close()
	}
}

func hasIPv6() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func TestErrorsAreOneLineWithNameAndAddress(t *testing.T) {
	busy := tcp(t, "busy", "127.0.0.1:0").Addr().String()
	for name, test := range map[string]struct {
		name, addr string
		opts       []listen.TCPOption
		want       string
		is         error
	}{
		"busy port":         {"api", busy, nil, `listener "api" on ` + busy + `: bind: address already in use`, unix.EADDRINUSE},
		"reserved port":     {"api", busy, []listen.TCPOption{listen.WithReusePort()}, `listener "api" on ` + busy + `: bind: address already in use`, unix.EADDRINUSE},
		"foreign address":   {"api", "192.0.2.1:80", nil, `listener "api" on 192.0.2.1:80: bind: cannot assign requested address`, unix.EADDRNOTAVAIL},
		"no port":           {"api", "127.0.0.1", nil, `listener "api" on 127.0.0.1: missing port in address`, nil},
		"port out of range": {"api", "127.0.0.1:65536", nil, `listener "api" on 127.0.0.1:65536: invalid port`, nil},
		"unknown host":      {"api", "no.host.invalid:80", nil, `listener "api" on no.host.invalid:80: lookup no.host.invalid`, nil},
		"no backlog":        {"api", "127.0.0.1:0", []listen.TCPOption{listen.WithBacklog(0)}, `listener "api" on 127.0.0.1:0: backlog must be at least 1, got 0`, nil},
		"negative idle":     {"api", "127.0.0.1:0", []listen.TCPOption{listen.WithKeepIdle(-1)}, `tcp_keepidle must not be negative, got -1ns`, nil},
		"no name":           {"", "127.0.0.1:0", nil, `a listener needs a name`, nil},
		"name twice":        {"busy", "127.0.0.1:0", nil, `listener "busy" on 127.0.0.1:0: there is an open listener of this name already`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(listen.Inherited())
			l, err := listen.TCP(test.name, test.addr, test.opts...)
			if err == nil {
				t.Fatalf("opened, want error %q", errors.Join(errors.New(test.want), l.Close()))
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error = %q, want one line with %q", err, test.want)
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error %q does not match %q", err, test.is)
			}
			if after := len(listen.Inherited()); after != before {
				t.Errorf("%d listeners are open after the error, %d before", after, before)
			}
		})
	}
}

func TestMissingPermissionIsOneLine(t *testing.T) {
	locked := filepath.Join(t.TempDir(), "locked")
	if err := os.Mkdir(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	wants := map[string]func() (*listen.Listener, error){
		`listener "api" on ` + locked + `/s: bind: permission denied`: func() (*listen.Listener, error) {
			return listen.Unix("api", locked+"/s", 0)
		},
	}
	if unprivilegedPortStart(t) > 1 { // where it is not, as in many containers, the kernel refuses nobody
		wants[`listener "api" on 127.0.0.1:1: bind: permission denied`] = func() (*listen.Listener, error) {
			return listen.TCP("api", "127.0.0.1:1")
		}
	}
	for want, open := range wants {
		_, err := withoutPrivileges(t, open)
		if err == nil || err.Error() != want || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
}

// withoutPrivileges runs open on a thread of its own that is no superuser's, whoever runs the test.
func withoutPrivileges(t *testing.T, open func() (*listen.Listener, error)) (l *listen.Listener, err error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		none := [2]unix.CapUserData{}
		err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0])
		if err == nil {
			l, err = open()
		}
		done <- err
	}()
	err = <-done
	return l, err
}

func unprivilegedPortStart(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		t.Fatal(err)
	}
	start := 0
	for _, digit := range strings.TrimSpace(string(text)) {
		start = 10*start + int(digit-'0')
	}
	return start
}

func TestCloseFreesPortAndName(t *testing.T) {
	l, err := listen.TCP("api", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if _, err := l.Accepting(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accepting after Close = %v, want net.ErrClosed", err)
	}
	tcp(t, "api", addr)
}

func TestAParentsReservationTakesNoConnection(t *testing.T) {
	l := tcp(t, "api", "127.0.0.1:0", listen.WithReusePort())
	if conn, err := net.Dial("tcp", l.Addr().String()); !errors.Is(err, unix.ECONNREFUSED) {
		t.Fatalf("Dial = %v, %v; want connection refused, since nobody accepts", conn, err)
	}
	if _, err := listen.TCP("other", l.Addr().String()); !errors.Is(err, unix.EADDRINUSE) {
		t.Fatalf("another listener on the reserved address: %v, want EADDRINUSE", err)
	}
}

func TestAReservedAddressCanBeHadAgainAtOnce(t *testing.T) {
	l := tcp(t, "api", "127.0.0.1:0", listen.WithReusePort())
	addr := l.Addr().String()
	for range 2 {
		a := accepting(t, l)
		client, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := a.Accept()
		if err != nil {
			t.Fatal(err)
		}
		// The server closes first, so that the connection lingers on its side (TIME_WAIT).
		if err := errors.Join(conn.Close(), client.Close(), a.Close(), l.Close()); err != nil {
			t.Fatal(err)
		}
		l = tcp(t, "api", addr, listen.WithReusePort())
	}
}
