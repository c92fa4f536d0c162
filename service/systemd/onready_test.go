package systemd_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/goslo/goslo/service/systemd"
)

func TestOnReadyTellsReadyFromOtherAndFromNothing(t *testing.T) {
	for _, tt := range []struct {
		name    string
		lines   []string
		timeout time.Duration
		want    systemd.Outcome
	}{
		{"ready", []string{systemd.Ready}, time.Minute, systemd.HeardReady},
		{"ready and more", []string{systemd.Status("up"), systemd.Ready}, time.Minute, systemd.HeardReady},
		{"another message", []string{systemd.Stopping}, time.Minute, systemd.HeardOther},
		{"not quite ready", []string{"READY=10"}, time.Minute, systemd.HeardOther},
		{"nothing", nil, time.Millisecond, systemd.HeardNothing},
	} {
		for _, name := range []string{socketPath(t), abstractName(t)} {
			t.Run(tt.name, func(t *testing.T) {
				r, err := systemd.ListenReady(name)
				if err != nil {
					t.Fatal(err)
				}
				t.Setenv("NOTIFY_SOCKET", name)
				if tt.lines != nil {
					if sent, err := systemd.Send(tt.lines...); !sent || err != nil {
						t.Fatalf("Send = %v, %v", sent, err)
					}
				}
				if got, err := r.Wait(t.Context(), tt.timeout); got != tt.want || err != nil {
					t.Errorf("Wait = %v, %v, want %v", got, err, tt.want)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
				if _, err := os.Stat(name); !os.IsNotExist(err) {
					t.Errorf("the socket's file is still there: %v", err)
				}
			})
		}
	}
}

func TestOnReadyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := systemd.OnReady(ctx, socketPath(t), time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("OnReady = %v, want Canceled", err)
	}
}

func TestOnReadyOnABusySocketFails(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	r, err := systemd.ListenReady(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := systemd.OnReady(t.Context(), path, time.Minute); err == nil {
		t.Error("OnReady on a socket that is taken succeeded")
	}
}
