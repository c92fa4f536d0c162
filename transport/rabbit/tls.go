package rabbit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/sirupsen/logrus"
)

// secure makes a socket one that is encrypted. serverName is the host that was dialled. It ends with ctx and then has
// closed the socket, as with every error.
func (o *TLSOptions) secure(ctx context.Context, socket net.Conn, serverName string) (net.Conn, error) {
	config, err := o.config(serverName)
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	encrypted := tls.Client(socket, config)
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	if err := encrypted.HandshakeContext(ctx); err != nil {
		_ = socket.Close()
		return nil, err
	}
	return tlsSocket{Conn: encrypted, socket: socket}, nil
}

// tlsSocket is closed without the alert that ends a TLS connection: sending it waits for a peer that does not read.
// Nothing is lost, since AMQP says by itself when it ends.
type tlsSocket struct {
	*tls.Conn
	socket net.Conn
}

func (s tlsSocket) Close() error { return s.socket.Close() }

// config reads the files anew: they may have changed since the last connection.
func (o *TLSOptions) config(serverName string) (*tls.Config, error) {
	config := &tls.Config{ServerName: serverName, MinVersion: max(o.MinVersion, tls.VersionTLS12)}
	var err error
	if o.CAFile != "" {
		if config.RootCAs, err = readAuthorities(o.CAFile); err != nil {
			return nil, fmt.Errorf("ssl_ca_file: %w", err)
		}
	}
	if o.CertFile != "" {
		certificate, err := tls.LoadX509KeyPair(o.CertFile, orDefault(o.KeyFile, o.CertFile))
		if err != nil {
			return nil, fmt.Errorf("ssl_cert_file, ssl_key_file: %w", err)
		}
		// Whatever authorities the broker names: it shall say what is wrong with the certificate.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
	}
	switch {
	case o.Insecure:
		config.InsecureSkipVerify = true
	case !o.VerifyHostname:
		config.InsecureSkipVerify = true // what is left out is checked here, less the name
		config.VerifyConnection = func(state tls.ConnectionState) error { return verifyChain(state, config.RootCAs) }
	}
	return config, nil
}

func readAuthorities(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return pool, nil
}

// verifyChain checks that an authority vouches for the broker's certificate, whatever host that is for.
func verifyChain(state tls.ConnectionState, roots *x509.CertPool) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the broker has no certificate")
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, between := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(between)
	}
	if _, err := state.PeerCertificates[0].Verify(options); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	return nil
}

// tell logs, when a driver is opened, what its user might not expect of these options.
func (o *TLSOptions) tell(log logrus.FieldLogger) {
	switch {
	case !o.Enabled:
		if o.CAFile != "" || o.CertFile != "" || o.Insecure {
			log.Warn("TLS options are given but ssl is off: connections are not encrypted")
		}
	case o.Insecure:
		log.Warn("the broker's certificate is not verified (ssl_insecure): connections can be read and changed by others")
	case !o.VerifyHostname:
		log.Warn("the host name in the broker's certificate is not verified (ssl_enforce_hostname_verification)")
	}
	if o.FIPSMode {
		log.Info("ssl_enforce_fips_mode is without effect, GODEBUG=fips140 decides")
	}
}
