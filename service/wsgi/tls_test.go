package wsgi_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/internal/testca"
	"github.com/goslo/goslo/service/listen"
	"github.com/goslo/goslo/service/wsgi"
)

// issue writes a certificate and its key for the loopback address.
func issue(t *testing.T, ca *testca.Authority, name string) wsgi.SSL {
	t.Helper()
	dir := t.TempDir()
	ssl := wsgi.SSL{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	reissue(t, ca, name, ssl)
	return ssl
}

func reissue(t *testing.T, ca *testca.Authority, name string, ssl wsgi.SSL) {
	t.Helper()
	certificate, key := ca.Issue(name, nil, "127.0.0.1")
	for file, text := range map[string]string{ssl.CertFile: certificate, ssl.KeyFile: key} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// secure makes the fixture's client speak TLS; the server's certificate is checked.
func (f *fixture) secure(ca *testca.Authority, change func(*tls.Config)) {
	conf := &tls.Config{RootCAs: ca.Pool()}
	if change != nil {
		change(conf)
	}
	transport := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}
	f.t.Cleanup(transport.CloseIdleConnections)
	f.client.Transport = transport
	f.url = "https://" + f.Addr().String()
}

func TestHTTPSIsServed(t *testing.T) {
	ca := testca.New(t)
	ssl := issue(t, ca, "api")
	for name, test := range map[string]struct {
		version, ciphers string
		client           func(*tls.Config)
		want             string // of the version, or of the error
	}{
		"default":             {want: "TLS 1.3"},
		"TLS 1.2":             {client: atMost(tls.VersionTLS12), want: "TLS 1.2"},
		"no TLS 1.1":          {client: atMost(tls.VersionTLS11), want: "protocol version not supported"},
		"least 1.3":           {version: "TLSv1_3", client: atMost(tls.VersionTLS12), want: "protocol version not supported"},
		"version in any case": {version: "tlsv1_2", client: atMost(tls.VersionTLS12), want: "TLS 1.2"},
		"cipher of OpenSSL":   {ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384", client: atMost(tls.VersionTLS12), want: "TLS 1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
		"cipher of IANA":      {ciphers: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", client: atMost(tls.VersionTLS12), want: "TLS 1.2 TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
		"two ciphers":         {ciphers: "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305", client: atMost(tls.VersionTLS12), want: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
		"no common cipher":    {ciphers: "ECDHE-RSA-AES128-GCM-SHA256", client: atMost(tls.VersionTLS12), want: "handshake failure"},
	} {
		t.Run(name, func(t *testing.T) {
			f := serving(t, func(w http.ResponseWriter, req *http.Request) {
				_, _ = io.WriteString(w, req.Proto+" "+tls.VersionName(req.TLS.Version)+" "+tls.CipherSuiteName(req.TLS.CipherSuite))
			}, func(c *wsgi.Config) {
				c.UseSSL, c.SSL = true, ssl
				c.SSL.Version, c.SSL.Ciphers = test.version, test.ciphers
			})
			f.secure(ca, test.client)
			_, body, err := f.try("/")
			if err != nil {
				body = err.Error()
			}
			if !strings.Contains(body, test.want) {
				t.Errorf("got %q, want %q", body, test.want)
			}
			if err == nil && !strings.HasPrefix(body, "HTTP/1.1 ") {
				t.Errorf("got %q, want HTTP/1.1", body)
			}
		})
	}
}

func atMost(version uint16) func(*tls.Config) {
	return func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, version }
}

func TestClientsNeedACertificateWhereAuthoritiesAreGiven(t *testing.T) {
	ca, foreign := testca.New(t), testca.New(t)
	f := serving(t, func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.WriteString(w, req.TLS.PeerCertificates[0].Subject.CommonName)
	}, func(c *wsgi.Config) {
		c.UseSSL, c.SSL = true, issue(t, ca, "api")
		c.SSL.CAFile = ca.File
	})
	for name, test := range map[string]struct {
		client *testca.Authority
		want   string
	}{
		"right": {ca, "broker"},
		"wrong": {foreign, "certificate"},
		"none":  {nil, "certificate required"},
	} {
		t.Run(name, func(t *testing.T) {
			f.secure(ca, func(c *tls.Config) {
				if test.client != nil {
					pair := test.client.Pair(nil)
					c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
				}
			})
			_, body, err := f.try("/")
			if (err == nil) != (name == "right") {
				t.Errorf("error = %v", err)
			}
			if err != nil {
				body = err.Error()
			}
			if !strings.Contains(body, test.want) {
				t.Errorf("got %q, want %q", body, test.want)
			}
		})
	}
	f.stop()
	if len(f.logged(logrus.WarnLevel, "a connection failed")) != 2 {
		t.Errorf("refused clients are not logged: %v", f.log.AllEntries())
	}
}

func TestResetReadsCertificatesAnew(t *testing.T) {
	ca := testca.New(t)
	ssl := issue(t, ca, "old")
	f := serving(t, ok, func(c *wsgi.Config) { c.UseSSL, c.SSL = true, ssl })
	seen := ""
	name := func() string {
		f.secure(ca, func(c *tls.Config) {
			c.VerifyPeerCertificate = func(_ [][]byte, chains [][]*x509.Certificate) error {
				seen = chains[0][0].Subject.CommonName
				return nil
			}
		})
		f.get("/")
		return seen
	}
	reissue(t, ca, "new", ssl)
	if got := name(); got != "old" {
		t.Errorf("before Reset the certificate is %q", got)
	}
	if err := f.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := name(); got != "new" {
		t.Errorf("after Reset the certificate is %q", got)
	}
	if err := os.Remove(ssl.KeyFile); err != nil {
		t.Fatal(err)
	}
	if err := f.Reset(t.Context()); err == nil || !strings.Contains(err.Error(), "[ssl] key_file: "+ssl.KeyFile+": no such file") {
		t.Errorf("Reset without the key = %v", err)
	}
	if got := name(); got != "new" {
		t.Errorf("after a failed Reset the certificate is %q", got)
	}
}

func TestPlainHTTPToAnHTTPSServerIsRefused(t *testing.T) {
	ca := testca.New(t)
	f := serving(t, ok, func(c *wsgi.Config) { c.UseSSL, c.SSL = true, issue(t, ca, "api") })
	if status, _ := f.get("/"); status != http.StatusBadRequest {
		t.Errorf("status = %d, want 400", status)
	}
}

func TestCertificatesAreIgnoredWithoutUseSSL(t *testing.T) {
	f := serving(t, ok, func(c *wsgi.Config) { c.SSL.CertFile = "/nowhere" })
	f.get("/")
}

func TestAnHTTPSRequestInFlightIsAnsweredAtStop(t *testing.T) {
	ca := testca.New(t)
	entered, release := make(chan struct{}), make(chan struct{})
	f := serving(t, func(w http.ResponseWriter, req *http.Request) {
		close(entered)
		<-release
		ok(w, req)
	}, func(c *wsgi.Config) { c.UseSSL, c.SSL = true, issue(t, ca, "api") })
	f.secure(ca, nil)
	answered := make(chan string, 1)
	go func() {
		status, body, err := f.try("/")
		answered <- fmt.Sprint(status, body, err)
	}()
	within(t, "the request", entered)
	stopped := make(chan error, 1)
	go func() { stopped <- f.Stop(t.Context()) }()
	select {
	case err := <-stopped:
		t.Fatalf("Stop returned with a request in flight: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if got, want := within(t, "the answer", answered), fmt.Sprint(http.StatusOK, "ok", nil); got != want {
		t.Errorf("answer = %q, want %q", got, want)
	}
	if err := within(t, "Stop", stopped); err != nil {
		t.Errorf("Stop = %v", err)
	}
}

func TestWrongTLSOptionsAreOneLineThatNamesTheOption(t *testing.T) {
	ca := testca.New(t)
	right, other := issue(t, ca, "api"), issue(t, ca, "other")
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := listen.TCP("api", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, test := range map[string]struct {
		change func(*wsgi.SSL)
		want   string
	}{
		"no key":              {func(s *wsgi.SSL) { s.KeyFile = "" }, "[ssl] key_file: HTTPS needs both cert_file and key_file"},
		"no certificate":      {func(s *wsgi.SSL) { s.CertFile = "" }, "[ssl] cert_file: HTTPS needs both cert_file and key_file"},
		"missing certificate": {func(s *wsgi.SSL) { s.CertFile = dir + "/no" }, "[ssl] cert_file: " + dir + "/no: no such file or directory"},
		"missing key":         {func(s *wsgi.SSL) { s.KeyFile = dir + "/no" }, "[ssl] key_file: " + dir + "/no: no such file or directory"},
		"directory":           {func(s *wsgi.SSL) { s.CertFile = dir }, "[ssl] cert_file: " + dir + ": is a directory"},
		"no PEM":              {func(s *wsgi.SSL) { s.CertFile = text }, "[ssl] cert_file and key_file: " + text + ", " + right.KeyFile + ": tls: failed to find any PEM data"},
		"another's key":       {func(s *wsgi.SSL) { s.KeyFile = other.KeyFile }, "private key does not match public key"},
		"missing authorities": {func(s *wsgi.SSL) { s.CAFile = dir + "/no" }, "[ssl] ca_file: " + dir + "/no: no such file or directory"},
		"no authority in it":  {func(s *wsgi.SSL) { s.CAFile = text }, "[ssl] ca_file: " + text + ": no certificate in PEM"},
		"SSLv3":               {func(s *wsgi.SSL) { s.Version = "SSLv3" }, `[ssl] version: want TLSv1_2 or TLSv1_3, got "SSLv3"`},
		"TLS 1.0":             {func(s *wsgi.SSL) { s.Version = "TLSv1" }, `[ssl] version: want TLSv1_2 or TLSv1_3, got "TLSv1"`},
		"unknown cipher":      {func(s *wsgi.SSL) { s.Ciphers = "ROT13" }, `[ssl] ciphers: unknown or insecure cipher "ROT13"`},
		"keyword of OpenSSL":  {func(s *wsgi.SSL) { s.Ciphers = "HIGH:!aNULL" }, `[ssl] ciphers: unknown or insecure cipher "HIGH"`},
		"insecure cipher":     {func(s *wsgi.SSL) { s.Ciphers = "TLS_RSA_WITH_RC4_128_SHA" }, `[ssl] ciphers: unknown or insecure cipher`},
		"cipher of TLS 1.3":   {func(s *wsgi.SSL) { s.Ciphers = "TLS_AES_128_GCM_SHA256" }, `[ssl] ciphers: cipher "TLS_AES_128_GCM_SHA256" is one of TLS 1.3`},
		"list of no ciphers":  {func(s *wsgi.SSL) { s.Ciphers = ":" }, `[ssl] ciphers: no cipher in ":"`},
	} {
		t.Run(name, func(t *testing.T) {
			conf := wsgi.DefaultConfig()
			conf.UseSSL, conf.SSL = true, right
			test.change(&conf.SSL)
			_, err := wsgi.NewServer("api", l, http.HandlerFunc(ok), conf)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error = %v, want one line with %q", err, test.want)
			}
		})
	}
}

func TestAClientThatDoesNotShakeHandsIsCutOff(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	for name, hello := range map[string]string{"silent": "", "halting": "\x16\x03\x01\x02\x00"} {
		t.Run(name, func(t *testing.T) {
			f := serving(t, ok, func(c *wsgi.Config) {
				c.UseSSL, c.SSL, c.ClientSocketTimeout = true, issue(t, ca, "api"), slow
			})
			conn := f.dial()
			write(t, conn, hello)
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Errorf("the connection ends with %v, want its end", err)
			}
		})
	}
}

func TestResetTakesNewAuthoritiesOfClients(t *testing.T) {
	t.Parallel()
	ca, former, latter := testca.New(t), testca.New(t), testca.New(t)
	ssl := issue(t, ca, "api")
	ssl.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	trust := func(authority *testca.Authority) {
		t.Helper()
		text, err := os.ReadFile(authority.File)
		if err == nil {
			err = os.WriteFile(ssl.CAFile, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	trust(former)
	f := serving(t, ok, func(c *wsgi.Config) { c.UseSSL, c.SSL = true, ssl })
	sessions := tls.NewLRUClientSessionCache(2) // with which a client could go on as before
	request := func(authority *testca.Authority) error {
		f.secure(ca, func(c *tls.Config) {
			pair := authority.Pair(nil)
			c.ClientSessionCache = sessions
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		})
		_, _, err := f.try("/")
		return err
	}
	if err := request(former); err != nil {
		t.Fatal(err)
	}
	trust(latter)
	if err := f.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := request(former); err == nil {
		t.Error("a client of an authority that is trusted no more is served")
	}
	if err := request(latter); err != nil {
		t.Errorf("a client of the new authority: %v", err)
	}
}
