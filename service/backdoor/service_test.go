package backdoor_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/service/backdoor"
)

func TestAServiceIsOpenFromStartToStop(t *testing.T) {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	port := ""
	s := backdoor.NewService(func() backdoor.Config { return backdoor.Config{Port: port, Log: quiet} })
	must := func(f func(context.Context) error) {
		t.Helper()
		if err := f(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	must(s.Stop)
	must(s.Start)
	if s.Port() != 0 || s.Address() != "" {
		t.Errorf("it listens at %q, port %d, want nowhere: it is off", s.Address(), s.Port())
	}
	must(s.Stop)

	port = "0" // a reload
	must(s.Start)
	first := s.Address()
	if s.Port() == 0 || first != net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port())) {
		t.Errorf("it listens at %q, port %d", first, s.Port())
	}
	must(s.Start)
	must(s.Reset)
	if s.Address() != first {
		t.Errorf("it moved from %s to %s", first, s.Address())
	}
	must(s.Stop)
	must(s.Wait)
	if s.Port() != 0 || s.Address() != "" {
		t.Errorf("it listens at %q, port %d after Stop", s.Address(), s.Port())
	}
	if conn, err := net.Dial("tcp", first); err == nil {
		_ = conn.Close()
		t.Errorf("%s is open after Stop", first)
	}
	port = "none"
	var form *backdoor.PortError
	if err := s.Start(t.Context()); !errors.As(err, &form) {
		t.Errorf("Start = %v, want a PortError", err)
	}
}

func TestProcessesEachNeedABackdoorOfTheirOwn(t *testing.T) {
	for _, test := range []struct {
		conf  backdoor.Config
		count int
		want  string // part of the error
	}{
		{backdoor.Config{}, 9, ""},
		{backdoor.Config{Port: "0"}, 9, ""},
		{backdoor.Config{Port: "4444"}, 1, ""},
		{backdoor.Config{Port: "4444"}, 2, "too few for 2 processes"},
		{backdoor.Config{Port: "4444:4446"}, 3, ""},
		{backdoor.Config{Port: "4444:4446"}, 4, "too few for 4 processes"},
		{backdoor.Config{Port: "4446:4444"}, 1, "acceptable values"},
		{backdoor.Config{Socket: "/run/door"}, 1, ""},
		{backdoor.Config{Socket: "/run/door"}, 2, "one path for 2 processes"},
		{backdoor.Config{Socket: "/run/{pid}", Port: "4444"}, 2, ""},
	} {
		err := test.conf.CheckProcesses(test.count)
		if (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v for %d processes: %v, want %q", test.conf, test.count, err, test.want)
		}
	}
	if _, err := os.Stat("/run/door"); err == nil {
		t.Error("a check has made a socket")
	}
}
