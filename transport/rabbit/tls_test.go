package rabbit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/testca"
	"github.com/goslo/goslo/transport"
)

// visit is what a listener learnt of a client.
type visit struct {
	serverName, client string
	version            uint16
}

// listenTLS is a listener that shakes hands, says hello and closes. It hands over who came.
func listenTLS(tb testing.TB, config *tls.Config) (port int, visits <-chan visit) {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	came := make(chan visit, 100)
	var accepted sync.WaitGroup
	accepted.Go(func() {
		for {
			socket, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Go(func() {
				defer socket.Close()
				server := tls.Server(socket, config)
				if server.Handshake() != nil {
					return
				}
				state := server.ConnectionState()
				v := visit{serverName: state.ServerName, version: state.Version}
				if len(state.PeerCertificates) > 0 {
					v.client = state.PeerCertificates[0].Subject.CommonName
				}
				came <- v
				_, _ = server.Write([]byte("hello"))
				_, _ = io.Copy(io.Discard, server)
			})
		}
	})
	tb.Cleanup(func() { _ = l.Close(); accepted.Wait() })
	return portNumber(tb, l.Addr()), came
}

func portNumber(tb testing.TB, address net.Addr) int {
	tb.Helper()
	_, port, err := net.SplitHostPort(address.String())
	if err != nil {
		tb.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		tb.Fatal(err)
	}
	return number
}

// greet connects with the options of a URL's query and reads the listener's hello.
func greet(tb testing.TB, name string, port int, query string) error {
	tb.Helper()
	o, err := parse("amqps://h/?" + query)
	if err != nil {
		tb.Fatal(err)
	}
	socket, err := dialSocket(tb.Context(), transport.Host{Name: name, Port: port, User: "user", Password: "s3cr3t"}, &o)
	if err != nil {
		return err
	}
	defer socket.Close()
	if err := socket.SetReadDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		tb.Fatal(err)
	}
	_, err = io.ReadFull(socket, make([]byte, len("hello")))
	return err
}

func TestBrokersCertificateIsVerifiedAsTheOptionsSay(t *testing.T) {
	t.Parallel()
	ours, foreign := testca.New(t), testca.New(t)
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	forClients := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	brokers := map[string]tls.Certificate{
		"good":    ours.Pair(nil, "localhost", "127.0.0.1"),
		"named":   ours.Pair(nil, "localhost"),
		"other":   ours.Pair(nil, "elsewhere.example"),
		"expired": ours.Pair(expired, "localhost"),
		"misused": ours.Pair(forClients, "localhost"),
	}
	ports := map[string]int{}
	for name, certificate := range brokers {
		ports[name], _ = listenTLS(t, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	}
	const anyName, insecure = "&ssl_enforce_hostname_verification=false", "&ssl_insecure=true"
	trusted, distrusted := "ssl_ca_file="+ours.File, "ssl_ca_file="+foreign.File
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	for _, c := range []struct {
		broker, name, query string
		want                any // nil, or what errors.As takes
	}{
		{"good", "localhost", trusted, nil},
		{"good", "127.0.0.1", trusted, nil},
		{"good", "localhost", "kombu_ssl_ca_certs=" + ours.File, nil},
		{"good", "localhost", distrusted, &unknown},
		{"good", "localhost", "", &unknown}, // the system knows nothing of this authority
		{"good", "localhost", insecure, nil},
		{"good", "localhost", distrusted + insecure, nil},
		{"good", "localhost", distrusted + anyName, &unknown},
		{"good", "localhost", anyName, &unknown},
		{"named", "localhost", trusted, nil},
		{"named", "127.0.0.1", trusted, &host},
		{"named", "127.0.0.1", trusted + anyName, nil},
		{"other", "localhost", trusted, &host},
		{"other", "localhost", trusted + anyName, nil},
		{"other", "localhost", insecure, nil},
		{"expired", "localhost", trusted, &invalid},
		{"expired", "localhost", trusted + anyName, &invalid},
		{"expired", "localhost", insecure, nil},
		{"misused", "localhost", trusted, &invalid},
		{"misused", "localhost", trusted + anyName, &invalid},
	} {
		err := greet(t, c.name, ports[c.broker], c.query)
		var verification *tls.CertificateVerificationError
		switch {
		case c.want == nil && err != nil:
			t.Errorf("%s at %s with %s: %v, want a connection", c.broker, c.name, c.query, err)
		case c.want != nil && (!errors.As(err, c.want) || !errors.As(err, &verification) || !strings.HasPrefix(err.Error(), "TLS: ")):
			t.Errorf("%s at %s with %s: %v, want TLS: %T", c.broker, c.name, c.query, err, c.want)
		}
	}
}

func TestEachHostIsAskedForByItsName(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	port, visits := listenTLS(t, &tls.Config{
		Certificates: []tls.Certificate{ca.Pair(nil, "localhost", "localhost.localdomain", "127.0.0.1")}, MinVersion: tls.VersionTLS12,
	})
	for dialled, want := range map[string]string{"localhost": "localhost", "": "localhost", "127.0.0.1": ""} { // addresses are not sent
		if err := greet(t, dialled, port, "ssl_ca_file="+ca.File); err != nil {
			t.Errorf("%q: %v", dialled, err)
			continue
		}
		if v := <-visits; v.serverName != want {
			t.Errorf("%q: asked for %q, want %q", dialled, v.serverName, want)
		}
	}
}

func TestOldVersionsOfTLSAreNotSpoken(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	certificate := ca.Pair(nil, "localhost")
	for _, c := range []struct {
		broker uint16 // the newest that it knows
		query  string
		want   bool
	}{
		{tls.VersionTLS13, "", true},
		{tls.VersionTLS12, "", true},
		{tls.VersionTLS11, "", false},
		{tls.VersionTLS11, "&ssl_version=TLSv1_1", false},
		{tls.VersionTLS10, "&ssl_version=TLSv1", false},
		{tls.VersionTLS12, "&ssl_version=TLSv1", true},
		{tls.VersionTLS12, "&ssl_version=TLSv1_3", false},
		{tls.VersionTLS13, "&ssl_version=TLSv1_3", true},
		{tls.VersionTLS11, "&ssl_insecure=1", false},
	} {
		port, visits := listenTLS(t, &tls.Config{
			Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS10, MaxVersion: c.broker,
		})
		err := greet(t, "localhost", port, "ssl_ca_file="+ca.File+c.query)
		if (err == nil) != c.want {
			t.Errorf("version %x%s: error %v, want a connection: %t", c.broker, c.query, err, c.want)
		} else if err == nil {
			if v := <-visits; v.version != c.broker {
				t.Errorf("version %x was spoken, want %x", v.version, c.broker)
			}
		}
	}
}

// TestFilesAreReadForEachConnection renews the certificate of the client, and then the authorities of both sides.
func TestFilesAreReadForEachConnection(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	port, visits := listenTLS(t, &tls.Config{
		Certificates: []tls.Certificate{ca.Pair(nil, "localhost")}, MinVersion: tls.VersionTLS12,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
	})
	dir := t.TempDir()
	caFile, certFile, keyFile := filepath.Join(dir, "ca"), filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	query := "ssl_ca_file=" + caFile + "&ssl_cert_file=" + certFile
	renew := func(a *testca.Authority, name string) {
		certificate, key := a.Issue(name, nil)
		save(t, certFile, certificate+key) // both in one file
		save(t, keyFile, key)
	}
	ours := readFile(t, ca.File)
	save(t, caFile, ours)
	for _, name := range []string{"first", "second"} {
		renew(ca, name)
		for _, q := range []string{query, query + "&ssl_key_file=" + keyFile} {
			if err := greet(t, "localhost", port, q); err != nil {
				t.Fatal(err)
			}
			if v := <-visits; v.client != name {
				t.Errorf("the client is %q, want %q", v.client, name)
			}
		}
	}
	foreign := testca.New(t)
	renew(foreign, "third")
	if err := greet(t, "localhost", port, query); err == nil || !strings.Contains(err.Error(), "remote error: tls: ") {
		t.Errorf("error %v, want that the broker does not take the certificate", err)
	}
	if err := greet(t, "localhost", port, "ssl_ca_file="+caFile); err == nil || !strings.Contains(err.Error(), "remote error: tls: ") {
		t.Errorf("error %v, want that the broker wants a certificate", err)
	}
	renew(ca, "fourth")
	save(t, caFile, readFile(t, foreign.File))
	var unknown x509.UnknownAuthorityError
	if err := greet(t, "localhost", port, query); !errors.As(err, &unknown) {
		t.Errorf("error %v, want an unknown authority", err)
	}
	save(t, caFile, readFile(t, foreign.File)+ours)
	if err := greet(t, "localhost", port, query); err != nil {
		t.Errorf("error %v, with one of two authorities", err)
	}
}

func TestTLSFilesThatCannotBeReadAreErrorsWithTheirOption(t *testing.T) {
	t.Parallel()
	port, _ := listenTLS(t, &tls.Config{MinVersion: tls.VersionTLS12})
	ca := testca.New(t)
	dir := t.TempDir()
	junk, missing := save(t, filepath.Join(dir, "junk"), "junk"), filepath.Join(dir, "missing")
	certificate, _ := ca.Issue("c", nil)
	_, key := ca.Issue("c", nil)
	save(t, filepath.Join(dir, "cert"), certificate)
	save(t, filepath.Join(dir, "key"), key)
	for query, want := range map[string]string{
		"ssl_ca_file=" + missing:   "TLS: ssl_ca_file: open " + missing + ": no such file",
		"ssl_ca_file=" + junk:      "TLS: ssl_ca_file: " + junk + " holds no certificate in PEM",
		"ssl_cert_file=" + missing: "TLS: ssl_cert_file, ssl_key_file: open " + missing + ": no such file",
		"ssl_cert_file=" + junk:    "TLS: ssl_cert_file, ssl_key_file: tls: failed to find any PEM data",
		"ssl_cert_file=" + dir + "/cert&ssl_key_file=" + dir + "/key":         "TLS: ssl_cert_file, ssl_key_file: tls: private key does not match",
		"kombu_ssl_certfile=" + dir + "/cert&kombu_ssl_keyfile=" + dir + "/x": "TLS: ssl_cert_file, ssl_key_file: open " + dir + "/x: no such file",
	} {
		err := greet(t, "localhost", port, query)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", query, err, want)
		}
		if strings.Contains(want, "no such file") && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: error %v does not match fs.ErrNotExist", query, err)
		}
	}
}

func TestPeerThatSpeaksNoTLSIsAnErrorInTime(t *testing.T) {
	t.Parallel()
	address, _ := hangUp(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	if err := greet(t, "127.0.0.1", number, ""); err == nil || !strings.HasPrefix(err.Error(), "TLS: ") {
		t.Errorf("a peer that hangs up: error %v", err)
	}
	o, err := parse("amqps://h/")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := dial(ctx, silentBroker(t), "vh", "publish", &o); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a peer that is silent: error %v, want that of the context", err)
	}
	if took := time.Since(begun); took >= handshakeTimeout {
		t.Errorf("it took %s", took)
	}
}

// TestEncryptedSocketClosesAtOnce has a peer that does not read any more.
func TestEncryptedSocketClosesAtOnce(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	here, there := net.Pipe()
	peer := tls.Server(there, &tls.Config{Certificates: []tls.Certificate{ca.Pair(nil, "h")}, MinVersion: tls.VersionTLS12})
	shaken := make(chan error, 1)
	go func() { shaken <- peer.Handshake() }()
	o, err := parse("amqps://h/?ssl_ca_file=" + ca.File)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := o.TLS.secure(t.Context(), here, "h")
	if err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := socket.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if took := time.Since(begun); took >= 5*time.Second { // for which crypto/tls waits
		t.Errorf("Close took %s", took)
	}
	_ = there.Close()
}
