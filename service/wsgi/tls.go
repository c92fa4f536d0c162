package wsgi

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
)

// SSL is what HTTPS needs: the options of section [ssl].
type SSL struct {
	// CertFile and KeyFile name the server's certificate, with those between it and its authority, and its key (cert_file,
	// key_file), in PEM. Both are required.
	CertFile, KeyFile string
	// CAFile names the authorities of clients (ca_file), in PEM: with it a client must have a certificate of theirs, without
	// it none is asked for.
	CAFile string
	// Version is the least version (version): TLSv1_2, which is also the default, or TLSv1_3. Older ones are refused.
	Version string
	// Ciphers are those for TLS 1.2 (ciphers), by the names of OpenSSL or IANA with colons between, by default Go's choice.
	// OpenSSL's keywords, as HIGH, are refused. Those of TLS 1.3 cannot be chosen.
	Ciphers string
}

// certificates holds the configuration for connections to come, which [Server.Reset] replaces.
type certificates struct {
	ssl     SSL
	current atomic.Pointer[tls.Config]
}

func newCertificates(ssl SSL) (*certificates, error) {
	c := &certificates{ssl: ssl}
	return c, c.load()
}

// config makes each connection use what is current when it begins.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current.Load(), nil },
	}
}

func (c *certificates) load() error {
	loaded, err := c.ssl.load()
	if err != nil {
		return err
	}
	c.current.Store(loaded)
	return nil
}

func (s *SSL) load() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	for _, step := range []struct {
		option string
		apply  func(*tls.Config) error
	}{
		{"cert_file", s.checkCertificate},
		{"key_file", s.checkKey},
		{"cert_file and key_file", s.loadCertificate},
		{"ca_file", s.loadAuthorities},
		{"version", s.setVersion},
		{"ciphers", s.setCiphers},
	} {
		if err := step.apply(conf); err != nil {
			return nil, fmt.Errorf("[ssl] %s: %w", step.option, err)
		}
	}
	return conf, nil
}

func (s *SSL) checkCertificate(*tls.Config) error { return checkFile(s.CertFile) }
func (s *SSL) checkKey(*tls.Config) error         { return checkFile(s.KeyFile) }

func checkFile(name string) error {
	if name == "" {
		return errors.New("HTTPS needs both cert_file and key_file")
	}
	_, err := readFile(name)
	return err
}

func readFile(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	var path *fs.PathError
	if errors.As(err, &path) {
		return nil, fmt.Errorf("%s: %w", name, path.Err)
	}
	return text, err
}

func (s *SSL) loadCertificate(conf *tls.Config) error {
	pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
	if err != nil {
		return fmt.Errorf("%s, %s: %w", s.CertFile, s.KeyFile, err)
	}
	conf.Certificates = []tls.Certificate{pair}
	return nil
}

func (s *SSL) loadAuthorities(conf *tls.Config) error {
	if s.CAFile == "" {
		return nil
	}
	text, err := readFile(s.CAFile)
	if err != nil {
		return err
	}
	conf.ClientCAs = x509.NewCertPool()
	if !conf.ClientCAs.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s: no certificate in PEM", s.CAFile)
	}
	conf.ClientAuth = tls.RequireAndVerifyClientCert
	return nil
}

func (s *SSL) setVersion(conf *tls.Config) error {
	switch strings.ToLower(s.Version) {
	case "", "tlsv1_2":
	case "tlsv1_3":
		conf.MinVersion = tls.VersionTLS13
	default:
		return fmt.Errorf("want TLSv1_2 or TLSv1_3, got %q", s.Version)
	}
	return nil
}

func (s *SSL) setCiphers(conf *tls.Config) error {
	if s.Ciphers == "" {
		return nil
	}
	known := cipherSuites()
	for _, name := range strings.FieldsFunc(s.Ciphers, func(r rune) bool { return strings.ContainsRune(":, ", r) }) {
		suite, ok := known[name]
		switch {
		case !ok:
			return fmt.Errorf("unknown or insecure cipher %q", name)
		case len(suite.SupportedVersions) == 1 && suite.SupportedVersions[0] == tls.VersionTLS13:
			return fmt.Errorf("cipher %q is one of TLS 1.3, which cannot be chosen", name)
		}
		conf.CipherSuites = append(conf.CipherSuites, suite.ID)
	}
	if len(conf.CipherSuites) == 0 {
		return fmt.Errorf("no cipher in %q", s.Ciphers)
	}
	return nil
}

// cipherSuites gives those that are secure by their names of IANA and of OpenSSL.
func cipherSuites() map[string]*tls.CipherSuite {
	openSSL := strings.NewReplacer(
		"TLS_", "", "_WITH_", "-", "AES_128", "AES128", "AES_256", "AES256", "POLY1305_SHA256", "POLY1305", "_CBC", "", "_", "-",
	)
	suites := make(map[string]*tls.CipherSuite)
	for _, suite := range tls.CipherSuites() {
		suites[suite.Name] = suite
		suites[openSSL.Replace(suite.Name)] = suite
	}
	return suites
}
