//go:build integration

package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goslo/goslo/integration/broker"
	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport"
)

// awkward holds every character that means something in a URL, and some that mean something elsewhere.
const awkward = `/ % @ # : ? & = + , ; [ ] " ' \ $ü日本🔑%2F`

// encoded is s with every byte as %XX.
func encoded(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// addUser makes a user who may do everything on the default virtual host, and removes it when the test ends.
func addUser(t *testing.T, b *broker.Broker, name, password string) {
	t.Helper()
	ctl(t, b, "add_user", name, password)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if _, err := b.Ctl(ctx, "delete_user", name); err != nil {
			t.Errorf("delete_user: %v", err)
		}
	})
	ctl(t, b, "set_permissions", "-p", "/", name, ".*", ".*", ".*")
}

func ctl(t *testing.T, b *broker.Broker, args ...string) string {
	t.Helper()
	out, err := b.Ctl(t.Context(), args...)
	if err != nil {
		t.Fatalf("%s: %v", args[0], err)
	}
	return out
}

// at is the broker's URL with other credentials, as they stand in a URL, and options.
func at(t *testing.T, transportURL, credentials, query string) string {
	t.Helper()
	u, err := url.Parse(transportURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Scheme + "://" + credentials + u.Host + "/?" + query
}

func TestPasswordOfAnyCharactersLogsIn(t *testing.T) {
	t.Parallel()
	b := broker.Shared(t)
	b.RequireControl(t)
	user := unique("user") + awkward
	addUser(t, b, user, awkward)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "user"), user+"\n")
	write(t, filepath.Join(dir, "password"), awkward)
	inURL := encoded(user) + ":" + encoded(awkward) + "@"
	files := "&rabbit_username_file=" + dir + "/user&rabbit_password_file=" + dir + "/password"
	for _, method := range []string{"PLAIN", "AMQPLAIN"} {
		for what, transportURL := range map[string]string{
			"URL":   at(t, b.URL(), inURL, "rabbit_login_method="+method),
			"files": at(t, b.URL(), "nobody:wrong@", "rabbit_login_method="+method+files),
		} {
			if err := join(t, transportURL).Ping(patient(t)); err != nil {
				t.Errorf("%s, password from %s: %v", method, what, err)
			}
			if u, err := transport.ParseURL(transportURL); err != nil || strings.Contains(u.String(), encoded(awkward)) {
				t.Errorf("the URL is printed as %s, %v", u, err)
			}
		}
	}
}

// TestRefusedPasswordIsNotShown has the broker refuse a password, a virtual host and a login method.
func TestRefusedPasswordIsNotShown(t *testing.T) {
	t.Parallel()
	b := broker.Shared(t)
	b.RequireControl(t)
	user, password := unique("user"), "s3cr3t"+awkward+"s3cr3t"
	addUser(t, b, user, password)
	file := write(t, filepath.Join(t.TempDir(), "password"), password+"wrong")
	right := encoded(user) + ":" + encoded(password) + "@"
	for what, c := range map[string]struct{ url, want string }{
		"wrong, PLAIN":    {at(t, b.URL(), user+":s3cr3t@", "rabbit_login_method=PLAIN"), "username or password not allowed"},
		"wrong, AMQPLAIN": {at(t, b.URL(), user+":s3cr3t@", "rabbit_login_method=AMQPLAIN"), "username or password not allowed"},
		"wrong, file":     {at(t, b.URL(), user+"@", "rabbit_password_file="+file), "username or password not allowed"},
		"virtual host":    {strings.Replace(at(t, b.URL(), right, ""), "/?", "/nosuch?", 1), "broker: 530 NOT_ALLOWED"},
		"EXTERNAL":        {at(t, b.URL(), right, "rabbit_login_method=EXTERNAL"), "the broker does not offer the login method EXTERNAL"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := join(t, c.url)
			err := p.Ping(patient(t))
			if !errors.Is(err, messaging.ErrNotConnected) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Ping = %v, want %s", err, c.want)
			}
			who := fmt.Sprintf("user %q", user)
			if what == "EXTERNAL" {
				who = "by certificate"
			}
			host := hostOf(t, b.AMQPURL())
			if host = host[strings.Index(host, "@")+1:]; err != nil && !strings.Contains(err.Error(), host+", "+who) {
				t.Errorf("Ping = %v, want it to name %s, %s", err, host, who)
			}
			until(t, "a line in the log", func(context.Context) error {
				if p.logged("cannot connect to the broker, retrying") == 0 {
					return errors.New("there is none")
				}
				return nil
			})
			if all := fmt.Sprintf("%+v\n%s", err, hookText(p.log)); strings.Contains(all, "s3cr3t") {
				t.Errorf("the password shows:\n%s", all)
			}
		})
	}
}

// TestNewPasswordInAFileIsTakenOnReconnecting changes the password at the broker, which then closes the connection.
func TestNewPasswordInAFileIsTakenOnReconnecting(t *testing.T) {
	t.Parallel()
	b := broker.Shared(t)
	b.RequireControl(t)
	user := unique("user")
	addUser(t, b, user, "first")
	file := write(t, filepath.Join(t.TempDir(), "password"), "first")
	p := join(t, at(t, b.URL(), user+"@", "rabbit_password_file="+file))
	if err := p.Ping(patient(t)); err != nil {
		t.Fatal(err)
	}
	ctl(t, b, "change_password", user, "second")
	ctl(t, b, "close_all_user_connections", user, "the test wants it")
	until(t, "the old password is refused", func(ctx context.Context) error {
		if err := p.Ping(ctx); err == nil || !strings.Contains(err.Error(), "username or password not allowed") {
			return fmt.Errorf("Ping: %v, want it refused", err) //nolint:errorlint // it may be nil
		}
		return nil
	})
	write(t, file, "second")
	until(t, "the new password is taken", p.Ping)
}

// write writes a file of the test's and returns its name.
func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
