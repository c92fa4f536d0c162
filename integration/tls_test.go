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
	"github.com/goslo/goslo/internal/testca"
	"github.com/goslo/goslo/messaging"
)

// TestBusRunsOverTLS has a broker of its own with a certificate, and a client with one.
func TestBusRunsOverTLS(t *testing.T) {
	t.Parallel()
	ca, foreign := testca.New(t), testca.New(t)
	authorities, err := os.ReadFile(ca.File)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key := ca.Issue("broker", nil, "127.0.0.1")
	own := broker.ForTest(t, broker.WithTLS(broker.TLS{Authorities: string(authorities), Certificate: certificate, Key: key}))
	u, err := url.Parse(own.TLSURL())
	if err != nil || u.Scheme != "amqps" {
		t.Fatalf("the broker's URL for TLS is %s, %v", own.TLSURL(), err)
	}
	if u.Hostname() != "127.0.0.1" {
		t.Skipf("the engine is at %s, and the certificate is for this machine", u.Hostname())
	}
	trusted := own.TLSURL() + "?ssl_ca_file=" + ca.File
	byName := strings.Replace(trusted, "127.0.0.1", "localhost", 1) // for which the certificate is not

	t.Run("calls", func(t *testing.T) {
		b := busOf(t, own)
		b.url = trusted
		p := join(t, b.url)
		p.serve(t, b.target("host1"), newEndpoints("host1", p.notes)...)
		if err := p.client(t, b).Call(patient(t), "who", nil, nil); err != nil {
			t.Fatal(err)
		}
		until(t, "the broker's list of connections", func(ctx context.Context) error {
			list, err := own.Ctl(ctx, "list_connections", "ssl", "ssl_protocol")
			if err == nil && strings.Count(list, "true\ttlsv1.3") != 2 {
				err = fmt.Errorf("want two with TLS 1.3, got %q", list)
			}
			return err
		})
		if strings.Contains(hookText(p.log), "guest:guest") || p.logged("connected to the broker") != 2 {
			t.Errorf("a password was logged, or not two connections:\n%s", hookText(p.log))
		}
	})

	t.Run("verification", func(t *testing.T) {
		plain := strings.Replace(own.TLSURL(), "amqps", "rabbit", 1)
		for what, c := range map[string]struct{ url, want string }{
			"trusted":                 {trusted, ""},
			"trusted by ssl=1":        {plain + "?ssl=1&ssl_version=TLSv1_2&ssl_ca_file=" + ca.File, ""},
			"a name of its own":       {byName, "TLS: tls: failed to verify certificate: x509: certificate is "},
			"any name":                {byName + "&ssl_enforce_hostname_verification=false", ""},
			"the system's":            {own.TLSURL(), "TLS: tls: failed to verify certificate: x509: certificate signed by unknown authority"},
			"another authority":       {own.TLSURL() + "?ssl_ca_file=" + foreign.File, "certificate signed by unknown authority"},
			"insecure":                {own.TLSURL() + "?ssl_insecure=true", ""},
			"plain on the TLS port":   {plain, "handshake: "},
			"TLS on the plain port":   {strings.Replace(own.URL(), "rabbit", "amqps", 1), "TLS: "},
			"no certificate to login": {trusted + "&rabbit_login_method=EXTERNAL", "username or password not allowed"},
		} {
			p := join(t, c.url)
			switch err := p.Ping(patient(t)); {
			case c.want == "" && err != nil:
				t.Errorf("%s: Ping = %v", what, err)
			case c.want != "" && (!errors.Is(err, messaging.ErrNotConnected) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%s: Ping = %v, want %s", what, err, c.want)
			}
			if strings.Contains(hookText(p.log), "guest:guest") {
				t.Errorf("%s: a password was logged:\n%s", what, hookText(p.log))
			}
		}
	})

	t.Run("client certificates", func(t *testing.T) {
		user := unique("user")
		addUser(t, own, user, "never used")
		dir := t.TempDir()
		issue := func(a *testca.Authority) {
			certificate, key := a.Issue(user, nil)
			write(t, filepath.Join(dir, "cert"), certificate)
			write(t, filepath.Join(dir, "key"), key)
		}
		asUser := strings.Replace(trusted, "guest:guest@", "", 1) + "&rabbit_login_method=EXTERNAL&ssl_cert_file=" + dir + "/cert&ssl_key_file=" + dir + "/key"
		issue(foreign)
		p := join(t, asUser)
		if err := p.Ping(patient(t)); !errors.Is(err, messaging.ErrNotConnected) || !strings.Contains(err.Error(), "remote error: tls: ") {
			t.Errorf("Ping with a foreign certificate = %v", err)
		}
		issue(ca) // the same transport reads it for its next attempt
		until(t, "the certificate is taken", p.Ping)
		if list := ctl(t, own, "list_connections", "user", "auth_mechanism"); !strings.Contains(list, user+"\tEXTERNAL") {
			t.Errorf("connections %q, want one of %s by EXTERNAL", list, user)
		}
	})
}
