package broker

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
)

// TLS is what a broker needs to listen for TLS, in PEM.
type TLS struct {
	Authorities      string // who may have signed the certificates of clients
	Certificate, Key string // its own
}

// WithTLS asks for a broker that listens for TLS too, at [Broker.TLSURL]. Clients may show a certificate; by its common
// name they can log in with EXTERNAL. It implies [WithControl].
func WithTLS(t TLS) Option { return func(c *config) { c.own, c.tls = true, &t } }

// TLSURL is [Broker.URL] for TLS, amqps://guest:guest@127.0.0.1:PORT/. It is empty without [WithTLS].
func (b *Broker) TLSURL() string {
	if b.tlsPort == 0 {
		return ""
	}
	u, err := url.Parse(b.url)
	if err != nil {
		return "" // cannot be: the broker answered there
	}
	u.Scheme, u.Host = "amqps", net.JoinHostPort(u.Hostname(), strconv.Itoa(b.tlsPort))
	return u.String()
}

// tlsListener is where a node listens for TLS: what is added to its settings, and files in its folder.
type tlsListener struct {
	hostPort int
	settings string
	files    map[string]string // by name
}

// listenTLS chooses a port of this machine. folder is where the node finds its files; address is where it listens, by
// default on that port of this machine.
func listenTLS(ctx context.Context, t *TLS, folder, address string) (tlsListener, error) {
	if t == nil {
		return tlsListener{}, nil
	}
	port, err := freePort(ctx)
	if err != nil {
		return tlsListener{}, err
	}
	if address == "" {
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	return tlsListener{
		hostPort: port,
		settings: fmt.Sprintf("listeners.ssl.default = %s\n"+
			"ssl_options.cacertfile = %s/ca.pem\nssl_options.certfile = %s/cert.pem\nssl_options.keyfile = %s/key.pem\n"+
			"ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = false\nssl_cert_login_from = common_name\n"+
			"auth_mechanisms.1 = PLAIN\nauth_mechanisms.2 = AMQPLAIN\nauth_mechanisms.3 = EXTERNAL\n", address, folder, folder, folder),
		files: map[string]string{
			"ca.pem": t.Authorities, "cert.pem": t.Certificate, "key.pem": t.Key, "enabled_plugins": "[rabbitmq_auth_mechanism_ssl].\n",
		},
	}, nil
}

// save writes the files where a node of this machine looks for them.
func (l *tlsListener) save(dir string) error {
	for name, text := range l.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
