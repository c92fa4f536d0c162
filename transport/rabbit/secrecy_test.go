package rabbit

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/goslo/goslo/internal/testca"
	"github.com/goslo/goslo/target"
	"github.com/goslo/goslo/transport"
)

// marked is a password that is found wherever it shows, in whole or in part.
const marked = "s3cr3t%2Fs3cr3t%40s3cr3t%23s3cr3t"

// brief is how long what cannot succeed is tried.
const brief = 50 * time.Millisecond

// said is all that a user can see of a URL's failure: errors, log lines and what printing shows. Ping is given the time.
func said(t *testing.T, text string, patience time.Duration) string {
	t.Helper()
	var all strings.Builder
	u, err := transport.ParseURL(text)
	if err != nil {
		fmt.Fprintf(&all, "ParseURL: %v %+v %#v\n", err, err, err)
		return all.String()
	}
	fmt.Fprintf(&all, "URL: %v %+v %#v %s %v\n", u, u, u, u, u.Hosts)
	log, hook := logtest.NewNullLogger()
	log.SetOutput(io.Discard)
	log.SetLevel(logrus.TraceLevel)
	d, err := Open(u, WithLogger(log))
	if err != nil {
		fmt.Fprintf(&all, "Open: %v %+v\n", err, err)
		return all.String()
	}
	patient, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	ping := d.Ping(patient)
	ctx, cancel := context.WithTimeout(t.Context(), brief)
	defer cancel()
	to, forEver := target.Target{Topic: "t"}, transport.SendOptions{Retry: transport.RetryForever}
	_, call := d.Call(ctx, to, &transport.Request{}, forEver)
	_, listen := d.Listen(ctx, target.Target{Topic: "t", Server: "s"}, transport.ListenOptions{})
	for what, err := range map[string]error{
		"Ping": ping, "Cast": d.Cast(ctx, to, &transport.Request{}, forEver), "Call": call, "Listen": listen,
		"Close": d.Close(t.Context()),
	} {
		fmt.Fprintf(&all, "%s: %v %+v\n", what, err, err)
		for ; err != nil; err = unwrap(err) {
			fmt.Fprintf(&all, "  %T %v\n", err, err)
		}
	}
	for _, entry := range hook.AllEntries() {
		line, err := entry.String()
		fmt.Fprintf(&all, "log: %s %v\n", line, err)
	}
	return all.String()
}

// unwrap goes down an error's last branch, where the reason is.
func unwrap(err error) error {
	switch e := err.(type) { //nolint:errorlint // this is about the chain itself
	case interface{ Unwrap() error }:
		return e.Unwrap()
	case interface{ Unwrap() []error }:
		all := e.Unwrap()
		return all[len(all)-1]
	}
	return nil
}

// TestNoFailureShowsThePassword makes a driver fail in every way that needs no broker, with a password that is looked
// for in all that is said about it. A broker that refuses it has a test of its own in package integration.
func TestNoFailureShowsThePassword(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	port, _ := listenTLS(t, &tls.Config{
		Certificates: []tls.Certificate{ca.Pair(nil, "127.0.0.1")}, MinVersion: tls.VersionTLS12,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
	})
	encrypted := fmt.Sprintf("amqps://u:%s@127.0.0.1:%d/", marked, port)
	silent := silentBroker(t)
	closing, _ := hangUp(t)
	dir := t.TempDir()
	save(t, filepath.Join(dir, "password"), "s3cr3t")
	save(t, filepath.Join(dir, "long"), strings.Repeat("s3cr3t", longestSecret))
	for name, c := range map[string]struct{ url, want string }{
		"refused":                     {"rabbit://u:" + marked + "@127.0.0.1:1/", "connection refused"},
		"refused, from a file":        {"rabbit://u@127.0.0.1:1/?rabbit_password_file=" + dir + "/password", "connection refused"},
		"user file is a password":     {"rabbit://127.0.0.1:1/?rabbit_username_file=" + dir + "/password", "user of rabbit_username_file"},
		"no such host":                {"rabbit://u:" + marked + "@nosuch.invalid/", "dial: "},
		"silent":                      {fmt.Sprintf("rabbit://u:%s@127.0.0.1:%d/", marked, silent.Port), "deadline exceeded"},
		"hangs up":                    {"rabbit://u:" + marked + "@" + closing + "/", "handshake: "},
		"several hosts":               {"rabbit://u:" + marked + "@127.0.0.1:1,v:" + marked + "@127.0.0.2:1/", "connection refused"},
		"unknown authority":           {encrypted, "TLS: tls: failed to verify certificate"},
		"no client certificate":       {encrypted + "?ssl_ca_file=" + ca.File, "handshake: "},
		"no TLS":                      {"amqps://u:" + marked + "@" + closing + "/", "TLS: "},
		"no authorities":              {encrypted + "?ssl_ca_file=" + dir + "/password", "holds no certificate"},
		"no certificate":              {encrypted + "?ssl_cert_file=" + dir + "/password", "failed to find any PEM data"},
		"insecure":                    {encrypted + "?ssl_insecure=1", "is not verified"},
		"password file is missing":    {"rabbit://u@127.0.0.1:1/?rabbit_password_file=" + dir + "/s3cr3t", "rabbit_password_file: open: no such file"},
		"password file is a password": {"rabbit://u@127.0.0.1:1/?rabbit_password_file=" + marked, "rabbit_password_file: open: no such file"},
		"password file is too long":   {"rabbit://u@127.0.0.1:1/?rabbit_password_file=" + dir + "/long", "rabbit_password_file: the file is longer"},
		"password file has a zero":    {"rabbit://u@127.0.0.1:1/?rabbit_password_file=s3cr3t%00", "option rabbit_password_file: want"},
		"unknown option":              {"rabbit://u:" + marked + "@h/?nosuch=1", `unknown option "nosuch"`},
		"bad option":                  {"rabbit://u:" + marked + "@h/?ssl=maybe", "option ssl: want"},
		"password as an option":       {"rabbit://h/?rabbit_password=" + marked, `unknown option "rabbit_password"`},
		"bare slash":                  {"rabbit://u:s3cr3t/s3cr3t@h/", "the port is no number"},
		"bare question mark":          {"rabbit://u:s3cr3t?s3cr3t@h/", "must be encoded"},
		"bare hash":                   {"rabbit://u:s3cr3t#s3cr3t@h/", "must be encoded"},
		"bare bracket":                {"rabbit://u:s3cr3t@[s3cr3t/", "a [ without a ]"},
		"bad port":                    {"rabbit://u:" + marked + "@h:s3cr3t/", "the port is no number"},
		"no scheme":                   {"//u:" + marked + "@h/", "the scheme is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			patience := handshakeTimeout // what fails, fails at once
			if name == "silent" {
				patience = brief
			}
			all := said(t, c.url, patience)
			if !strings.Contains(all, c.want) {
				t.Errorf("it did not fail as it should, with %q:\n%s", c.want, all)
			}
			if i := strings.Index(strings.ToLower(all), "s3cr3t"); i >= 0 {
				t.Errorf("the password shows: %q", all[max(0, i-100):min(len(all), i+50)])
			}
		})
	}
}
