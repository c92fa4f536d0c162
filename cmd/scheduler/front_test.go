package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goslo/goslo/internal/testca"
	"github.com/goslo/goslo/service/listen"
)

// frontRun is an HTTP front in this process, on a bus of its own.
type frontRun struct {
	*daemonRun
	address string
}

// startFront starts one by a file; more are further arguments.
func startFront(t *testing.T, file string, more ...string) *frontRun {
	t.Helper()
	path := filepath.Join(t.TempDir(), "front.conf")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"api", "--transport-url", "memory://front", "--config-file", path}, more...)
	if !strings.Contains(file, "listen =") {
		args = append(args, "--listen", "127.0.0.1:0")
	}
	d := startRun(t, args...)
	return &frontRun{d, strings.TrimPrefix(d.url(t), "http://")}
}

// get asks for the front's health, with a client of its own.
func (f *frontRun) get(t *testing.T, scheme string, tlsConf *tls.Config) (status int, err error) {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(f.address, "/") {
		network = "unix"
	}
	transport := &http.Transport{
		TLSClientConfig: tlsConf,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, f.address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	host := f.address
	if network == "unix" {
		host = "front"
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+host+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Do(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Body.Close()
}

func (f *frontRun) dial(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", f.address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func (f *frontRun) say(t *testing.T, conn net.Conn, in *bufio.Reader, header string) (status int, ends bool) {
	t.Helper()
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n"+header+"\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode, resp.Close
}

// certificates are files of a server's certificate and its key.
func certificates(t *testing.T, ca *testca.Authority) (certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	certificate, key := ca.Issue("api", nil, "127.0.0.1")
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, text := range map[string]string{certFile: certificate, keyFile: key} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestTheFrontServesHTTPSAsItsOptionsSay(t *testing.T) {
	ca := testca.New(t)
	certFile, keyFile := certificates(t, ca)
	pair := fmt.Sprintf("[ssl]\ncert_file = %s\nkey_file = %s\n", certFile, keyFile)
	plain := func(*tls.Config) {}
	for name, c := range map[string]struct {
		file   string
		args   []string
		client func(*tls.Config)
		fails  bool
	}{
		"by a file":                 {file: pair, client: plain},
		"by flags":                  {args: []string{"--ssl-cert-file", certFile, "--ssl-key-file", keyFile}, client: plain},
		"ca_file wants certificate": {file: pair + "ca_file = " + ca.File + "\n", client: plain, fails: true},
		"ca_file, with certificate": {file: pair + "ca_file = " + ca.File + "\n", client: func(c *tls.Config) {
			c.Certificates = []tls.Certificate{ca.Pair(nil)}
		}},
		"version refuses older": {file: pair + "version = TLSv1_3\n", client: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, fails: true},
		"ciphers refuse others": {file: pair + "ciphers = ECDHE-ECDSA-AES256-GCM-SHA384\n", client: func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
		}, fails: true},
		"ciphers": {file: pair + "ciphers = ECDHE-ECDSA-AES256-GCM-SHA384\n", client: func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := startFront(t, c.file, c.args...)
			conf := &tls.Config{RootCAs: ca.Pool()}
			c.client(conf)
			status, err := f.get(t, "https", conf)
			if c.fails != (err != nil) || err == nil && status != http.StatusOK {
				t.Errorf("health = %d, %v, want failure: %t", status, err, c.fails)
			}
		})
	}
}

func TestTheFrontServesPlainHTTPWhereUseSSLIsOff(t *testing.T) {
	certFile, keyFile := certificates(t, testca.New(t))
	f := startFront(t, fmt.Sprintf("[ssl]\ncert_file = %s\nkey_file = %s\n[scheduler_api]\nuse_ssl = false\n", certFile, keyFile))
	if status, err := f.get(t, "http", nil); err != nil || status != http.StatusOK {
		t.Errorf("health = %d, %v, want 200", status, err)
	}
}

func TestTheFrontServesOnAUnixSocketForItsGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.sock")
	t.Run("while it runs", func(t *testing.T) {
		f := startFront(t, "[scheduler_api]\nlisten = "+path+"\n")
		if status, err := f.get(t, "http", nil); err != nil || status != http.StatusOK {
			t.Errorf("health = %d, %v, want 200", status, err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != fs.ModeSocket|0o660 {
			t.Errorf("the socket is %v, %v, want mode 0660", info, err)
		}
	})
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket after the end: %v", err)
	}
}

func TestTheFrontKeepsToItsLimits(t *testing.T) {
	f := startFront(t, "[DEFAULT]\nmax_header_line = 200\nwsgi_keep_alive = false\nwsgi_log_format = seen %(status_code)s\n")
	conn, in := f.dial(t)
	if status, _ := f.say(t, conn, in, "X: "+strings.Repeat("x", 300)+"\r\n"); status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header line of 300 bytes: %d, want 431", status)
	}
	if status, answer := request(t, http.MethodGet, "http://"+f.address+"/"+strings.Repeat("x", 9000), ""); status != http.StatusRequestURITooLong ||
		!strings.Contains(answer, `"detail":"the URL is too long"`) {
		t.Errorf("a URL of 9000 bytes: %d %s, want 414 and a problem", status, answer)
	}
	conn, in = f.dial(t)
	if status, ends := f.say(t, conn, in, "X: "+strings.Repeat("x", 100)+"\r\n"); status != http.StatusOK || !ends {
		t.Errorf("without wsgi_keep_alive: %d, ends %t, want 200 and the end", status, ends)
	}
	f.stderr.await(t, "] seen 431\n")
	f.stderr.await(t, "] seen 200\n")
}

func TestTheFrontHandlesAsManyConnectionsAsItsPoolHas(t *testing.T) {
	f := startFront(t, "[DEFAULT]\nwsgi_default_pool_size = 1\nclient_socket_timeout = 2\nwsgi_log_format =\n")
	conn, in := f.dial(t)
	if status, ends := f.say(t, conn, in, ""); status != http.StatusOK || ends {
		t.Fatalf("the first: %d, ends %t, want 200 and to be kept", status, ends)
	}
	began := time.Now()
	second, secondIn := f.dial(t)
	f.say(t, second, secondIn, "") // when the first is closed, after client_socket_timeout
	if waited := time.Since(began); waited < time.Second {
		t.Errorf("the second was served after %s, want after the first was closed", waited)
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the first ended with %v, want its end", err)
	}
	if log := f.stderr.String(); strings.Contains(log, "healthz") || strings.Contains(log, " 200 ") {
		t.Errorf("there is an access log:\n%s", log)
	}
}

func TestTheFrontSetsItsSocketUp(t *testing.T) {
	f := startFront(t, "[DEFAULT]\ntcp_keepidle = 77\n[scheduler_api]\nreuse_port = true\n")
	named := listen.Inherited()
	if len(named) != 1 || named[0].Name != "api" {
		t.Fatalf("listeners: %v, want that of the front", named)
	}
	fd := int(named[0].File.Fd())
	for _, o := range []struct {
		name                string
		level, option, want int
	}{
		{"tcp_keepidle", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 77},
		{"reuse_port", unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
	} {
		if got, err := unix.GetsockoptInt(fd, o.level, o.option); err != nil || got != o.want {
			t.Errorf("%s is %d, %v, want %d", o.name, got, err, o.want)
		}
	}
	if status, err := f.get(t, "http", nil); err != nil || status != http.StatusOK {
		t.Errorf("health = %d, %v, want 200", status, err)
	}
}

// Port 1 is not bound: what is wrong is found before.
func TestCertificatesThatCannotBeUsedAreFoundBeforeTheSocketIsOpened(t *testing.T) {
	t.Parallel()
	certFile, keyFile := certificates(t, testca.New(t))
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	if err := os.WriteFile(garbage, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ want, cert, key, ca string }{
		{"[ssl] cert_file: no/such: no such file or directory", "no/such", keyFile, ""},
		{"[ssl] cert_file: /: is a directory", "/", keyFile, ""},
		{"[ssl] key_file: no/such: no such file or directory", certFile, "no/such", ""},
		{"[ssl] key_file: HTTPS needs both cert_file and key_file", certFile, "", ""},
		{"[ssl] cert_file: HTTPS needs both cert_file and key_file", "", keyFile, ""},
		{"[ssl] cert_file and key_file: " + garbage + ", " + keyFile + ": tls: failed to find any PEM data in certificate input", garbage, keyFile, ""},
		{"[ssl] ca_file: no/such: no such file or directory", certFile, keyFile, "no/such"},
		{"[ssl] ca_file: " + garbage + ": no certificate in PEM", certFile, keyFile, garbage},
	} {
		for _, name := range []string{"api", "all"} {
			status, stdout, stderr := command(t, nil, name, "--transport-url", "memory://", "--listen", "nonsense",
				"--ssl-cert-file", c.cert, "--ssl-key-file", c.key, "--ssl-ca-file", c.ca)
			if want := "scheduler: " + c.want + "\n"; status != exitUsage || stdout != "" || stderr != want {
				t.Errorf("%s = %d, %q, %q\nwant %q", name, status, stdout, stderr, want)
			}
		}
	}
}

// New certificates count from the reset on, for both restart methods.
func TestTheFrontReadsCertificatesAnewAtAReload(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"reload", "mutate"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			before, after := testca.New(t), testca.New(t)
			certFile, keyFile := certificates(t, before)
			c := startChild(t, "main", "api", "--transport-url", "memory://", "--listen", "127.0.0.1:0", "--restart-method", method,
				"--ssl-cert-file", certFile, "--ssl-key-file", keyFile)
			c.stdout.await(t, "READY\n")
			c.stderr.await(t, " server=api\n") // of the line with the address
			f := &frontRun{daemonRun: &daemonRun{}, address: servingAt.FindStringSubmatch(c.stderr.String())[1]}
			if _, err := f.get(t, "https", &tls.Config{RootCAs: before.Pool()}); err != nil {
				t.Fatal(err)
			}
			newCert, newKey := certificates(t, after)
			for from, to := range map[string]string{newCert: certFile, newKey: keyFile} {
				if err := os.Rename(from, to); err != nil {
					t.Fatal(err)
				}
			}
			c.signal(t, syscall.SIGHUP)
			deadline := time.Now().Add(patience)
			ticker := time.NewTicker(10 * time.Millisecond)
			defer ticker.Stop()
			for {
				_, err := f.get(t, "https", &tls.Config{RootCAs: after.Pool()})
				if err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("the new certificate does not count: %v", err)
				}
				<-ticker.C
			}
			c.signal(t, syscall.SIGTERM)
			c.end(t, 0)
		})
	}
}
