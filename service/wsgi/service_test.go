package wsgi_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/service/listen"
	"github.com/goslo/goslo/service/wsgi"
)

// launchable is package service's Service.
type launchable interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Wait(ctx context.Context) error
	Reset(ctx context.Context) error
}

var (
	_ launchable = (*wsgi.Server)(nil)
	_ launchable = (*wsgi.Service)(nil)
)

// manager is a function as a [wsgi.Manager].
type manager func(context.Context) error

func (m manager) InitHost(ctx context.Context) error { return m(ctx) }

func quiet() wsgi.ServiceConfig {
	conf := wsgi.DefaultServiceConfig()
	log := logrus.New()
	log.SetOutput(io.Discard)
	conf.Listen, conf.Server.Log = "127.0.0.1", log
	return conf
}

func TestWorkersAreTheOptionOrTheCPUs(t *testing.T) {
	for configured, want := range map[int]int{0: runtime.NumCPU(), 1: 1, 7: 7} {
		conf := quiet()
		conf.Workers = configured
		s, err := wsgi.NewService("api", http.HandlerFunc(ok), conf)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Workers(); got != want {
			t.Errorf("Workers with %d = %d, want %d", configured, got, want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAWrongServiceIsOneLineAndLeavesNothingOpen(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for want, change := range map[string]func(*wsgi.ServiceConfig){
		`osapi_compute_workers must be at least 1, or 0 for one for each CPU, got -1`: func(c *wsgi.ServiceConfig) { c.Workers = -1 },
		`osapi_compute_listen_port must be between 0 and 65535, got 65536`:            func(c *wsgi.ServiceConfig) { c.ListenPort = 65536 },
		`osapi_compute_listen_port must be between 0 and 65535, got -1`:               func(c *wsgi.ServiceConfig) { c.ListenPort = -1 },
		`listener "osapi_compute" on ` + busy.Addr().String() + `: bind: address already in use`: func(c *wsgi.ServiceConfig) {
			c.ListenPort = busy.Addr().(*net.TCPAddr).Port
		},
		`listener "osapi_compute" on /: there is a file of this name, which is no socket`: func(c *wsgi.ServiceConfig) { c.SocketFile = "/" },
		`HTTP server "osapi_compute": wsgi_default_pool_size must be at least 1, got 0`:   func(c *wsgi.ServiceConfig) { c.Server.PoolSize = 0 },
	} {
		conf := quiet()
		change(&conf)
		if _, err := wsgi.NewService("osapi_compute", http.HandlerFunc(ok), conf); err == nil || err.Error() != want {
			t.Errorf("error = %v, want %q", err, want)
		}
		if open := listen.Inherited(); len(open) != 0 {
			t.Errorf("%q left listeners open: %v", want, open)
		}
	}
}

func TestTheManagerPreparesTheHostBeforeTheFirstRequest(t *testing.T) {
	prepared := 0
	conf := quiet()
	conf.Manager = manager(func(context.Context) error { prepared++; return nil })
	s, err := wsgi.NewService("api", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK + prepared)
	}), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Port() == 0 || prepared != 0 {
		t.Errorf("before Start: port %d, prepared %d times", s.Port(), prepared)
	}
	for restart := range 2 {
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Get("http://" + s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if want := http.StatusOK + restart + 1; resp.StatusCode != want {
			t.Errorf("status = %d, want %d", resp.StatusCode, want)
		}
		if err := errors.Join(s.Stop(t.Context()), s.Wait(t.Context()), s.Reset(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAHostThatCannotBePreparedStartsNothing(t *testing.T) {
	broken := errors.New("no hypervisor")
	conf := quiet()
	conf.Manager = manager(func(context.Context) error { return broken })
	s, err := wsgi.NewService("api", http.HandlerFunc(ok), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Start(t.Context())
	if want := `HTTP server "api": prepare the host: no hypervisor`; !errors.Is(err, broken) || err.Error() != want {
		t.Errorf("Start = %v, want %q", err, want)
	}
	if err := errors.Join(s.Stop(t.Context()), s.Wait(t.Context())); err != nil {
		t.Errorf("Stop and Wait: %v", err)
	}
}

func TestAServiceOnAUnixSocketHasItsMode(t *testing.T) {
	conf := quiet()
	conf.SocketFile, conf.SocketMode = filepath.Join(t.TempDir(), "api.sock"), 0o660
	s, err := wsgi.NewService("api", http.HandlerFunc(ok), conf)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(conf.SocketFile)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode = %v, %v", info.Mode(), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(conf.SocketFile); !os.IsNotExist(err) {
		t.Errorf("the socket's file is left: %v", err)
	}
}

func TestDefaultsOfAServiceAreThoseOfTheReference(t *testing.T) {
	conf := wsgi.DefaultServiceConfig()
	if conf.Listen != "0.0.0.0" || conf.ListenPort != 0 || conf.Workers != 0 {
		t.Errorf("defaults = %+v", conf)
	}
	if s := conf.Server; s.PoolSize != 100 || !s.KeepAlive || s.ClientSocketTimeout.Seconds() != 900 ||
		s.MaxHeaderLine != 16384 || s.Debug || s.UseSSL || !strings.Contains(s.LogFormat, "%(wall_seconds).7f") {
		t.Errorf("defaults = %+v", s)
	}
}
