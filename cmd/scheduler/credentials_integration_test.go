//go:build integration

package main

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goslo/goslo/integration/broker"
)

// A password that has changed in the file counts after SIGHUP where that reloads, with one process and with several: nobody is
// cut off, since what serves already keeps its connection. Where SIGHUP only mutates, the log says that it does not count.
func TestChangedCredentialsCountAfterAReload(t *testing.T) {
	t.Parallel()
	b := broker.Shared(t)
	b.RequireControl(t)
	for _, test := range []struct{ method, workers, want string }{
		{"reload", "1", "second"}, {"reload", "2", "second"}, {"mutate", "1", "first"},
	} {
		t.Run(test.method+" of "+test.workers, func(t *testing.T) {
			t.Parallel()
			name := "goslo-it-" + strings.ToLower(rand.Text()[:10])
			for _, user := range []string{name + "-first", name + "-second"} {
				tell(t, b, "add_user", user, "s3cr3t")
				tell(t, b, "set_permissions", "-p", "/", user, ".*", ".*", ".*")
				t.Cleanup(func() {
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					defer cancel()
					_, _ = b.Ctl(ctx, "delete_user", user) // the broker goes with the tests
				})
			}
			path := filepath.Join(t.TempDir(), "nova.conf")
			configure := func(user string) {
				u, err := url.Parse(b.URL())
				if err != nil {
					t.Fatal(err)
				}
				u.User = url.UserPassword(name+"-"+user, "s3cr3t")
				text := "[DEFAULT]\ntransport_url = " + u.String() + "\ncontrol_exchange = " + name + "\nrestart_method = " + test.method +
					"\n[oslo_messaging_rabbit]\namqp_auto_delete = true\n[scheduler]\nworkers = " + test.workers + "\n"
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			configure("first")
			c := startChild(t, "main", "serve", "--config-file", path)
			c.stdout.await(t, "READY\n")
			configure("second")
			c.signal(t, syscall.SIGHUP)
			if test.method == "mutate" {
				c.stderr.await(t, `the change of an option is ignored until a restart option="[DEFAULT] transport_url" source=`+path+":2")
			} else {
				c.stderr.await(t, `an option has changed new=**** old=**** option="[DEFAULT] transport_url"`)
			}
			awaitUsers(t, b, name+"-", test.want)
			c.signal(t, syscall.SIGTERM)
			c.end(t, 0)
			if strings.Contains(c.stderr.String(), "s3cr3t") {
				t.Errorf("the log has a password:\n%s", c.stderr.String())
			}
		})
	}
}

func tell(t *testing.T, b *broker.Broker, args ...string) string {
	t.Helper()
	out, err := b.Ctl(t.Context(), args...)
	if err != nil {
		t.Fatalf("%s: %v", args[0], err)
	}
	return out
}

// awaitUsers waits until the broker's connections of users with that prefix are those of one user.
func awaitUsers(t *testing.T, b *broker.Broker, prefix, want string) {
	t.Helper()
	deadline := time.Now().Add(2 * patience)
	for {
		var users []string
		for line := range strings.Lines(tell(t, b, "--quiet", "list_connections", "user")) {
			if name, ours := strings.CutPrefix(strings.TrimSpace(line), prefix); ours && !slices.Contains(users, name) {
				users = append(users, name)
			}
		}
		if slices.Equal(users, []string{want}) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("connections are those of %q, want %q", users, want)
		}
	}
}
