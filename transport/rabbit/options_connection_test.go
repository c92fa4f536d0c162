package rabbit

import (
	"crypto/tls"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/goslo/goslo/transport"
)

func TestConnectionOptionsAreRead(t *testing.T) {
	t.Parallel()
	for query, change := range map[string]func(o *Options){
		"":                                    func(*Options) {},
		"kombu_failover_strategy=round-robin": func(*Options) {},
		"kombu_failover_strategy=shuffle":     func(o *Options) { o.FailoverStrategy = "shuffle" },
		"rabbit_retry_interval=1":             func(o *Options) { o.RetryInterval = time.Second },
		"rabbit_retry_interval=0.25":          func(o *Options) { o.RetryInterval = 250 * time.Millisecond },
		"rabbit_retry_interval=0.5":           func(*Options) {},
		"rabbit_retry_backoff=-1":             func(*Options) {},
		"rabbit_retry_backoff=0":              func(o *Options) { o.RetryBackoff = 0 },
		"rabbit_retry_backoff=2":              func(o *Options) { o.RetryBackoff = 2 * time.Second },
		"rabbit_interval_max=5":               func(o *Options) { o.IntervalMax = 5 * time.Second },
		"kombu_reconnect_delay=0":             func(*Options) {},
		"kombu_reconnect_delay=4.5":           func(o *Options) { o.ReconnectDelay = 4500 * time.Millisecond },
		"kombu_reconnect_splay=60":            func(o *Options) { o.ReconnectSplay = time.Minute },
		"rabbit_login_method=AMQPLAIN":        func(*Options) {},
		"rabbit_login_method=PLAIN":           func(o *Options) { o.LoginMethod = "PLAIN" },
		"rabbit_login_method=EXTERNAL":        func(o *Options) { o.LoginMethod = "EXTERNAL" },
		"rabbit_username_file=%2Frun%2Fuser":  func(o *Options) { o.UsernameFile = "/run/user" },
		"rabbit_password_file=a+b":            func(o *Options) { o.PasswordFile = "a b" },

		"ssl=1":                                    func(o *Options) { o.TLS.Enabled = true },
		"rabbit_use_ssl=yes":                       func(o *Options) { o.TLS.Enabled = true },
		"rabbit_use_ssl=yes&ssl=no":                func(*Options) {}, // the new name counts
		"ssl_ca_file=a":                            func(o *Options) { o.TLS.CAFile = "a" },
		"kombu_ssl_ca_certs=a":                     func(o *Options) { o.TLS.CAFile = "a" },
		"ssl_cert_file=a":                          func(o *Options) { o.TLS.CertFile = "a" },
		"ssl_cert_file=a&ssl_key_file=b":           func(o *Options) { o.TLS.CertFile, o.TLS.KeyFile = "a", "b" },
		"kombu_ssl_certfile=a&kombu_ssl_keyfile=b": func(o *Options) { o.TLS.CertFile, o.TLS.KeyFile = "a", "b" },
		"ssl_version=TLSv1":                        func(*Options) {},
		"ssl_version=SSLv23":                       func(*Options) {},
		"ssl_version=tlsv1_1":                      func(*Options) {},
		"ssl_version=TLSv1_2":                      func(*Options) {},
		"ssl_version=TLSv1_3":                      func(o *Options) { o.TLS.MinVersion = tls.VersionTLS13 },
		"kombu_ssl_version=TLSv1_3":                func(o *Options) { o.TLS.MinVersion = tls.VersionTLS13 },
		"ssl_enforce_hostname_verification=false":  func(o *Options) { o.TLS.VerifyHostname = false },
		"ssl_enforce_fips_mode=true":               func(o *Options) { o.TLS.FIPSMode = true },
		"ssl_insecure=true":                        func(o *Options) { o.TLS.Insecure = true },
	} {
		want := DefaultOptions()
		want.ConnectionOptions = ConnectionOptions{
			FailoverStrategy: "round-robin", RetryInterval: 500 * time.Millisecond, RetryBackoff: -1, IntervalMax: 30 * time.Second,
			TLS: TLSOptions{MinVersion: tls.VersionTLS12, VerifyHostname: true},
		}
		change(&want)
		got, err := parse("rabbit://h/?" + query)
		if err != nil {
			t.Errorf("%s: error %v", query, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s is read otherwise (-want +got):\n%s", query, diff)
		}
	}
}

func TestEveryConnectionOptionRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	boolean, file := []string{"maybe", "2"}, []string{"a\x00b"}
	wrong := map[string][]string{
		"kombu_failover_strategy":           {"random", "Shuffle"},
		"rabbit_retry_interval":             {"0", "-1", "x"},
		"rabbit_retry_backoff":              {"-2", "1.5", "x"},
		"rabbit_interval_max":               {"0", "30s"},
		"kombu_reconnect_delay":             {"-0.1", "4.6", "nan", "x"},
		"kombu_reconnect_splay":             {"-1", "inf", "1e300", "1s"},
		"rabbit_login_method":               {"plain", "RABBIT-CR-DEMO"},
		"rabbit_username_file":              file,
		"rabbit_password_file":              file,
		"ssl":                               boolean,
		"rabbit_use_ssl":                    boolean,
		"ssl_ca_file":                       file,
		"kombu_ssl_ca_certs":                file,
		"ssl_cert_file":                     file,
		"kombu_ssl_certfile":                file,
		"ssl_key_file":                      file,
		"kombu_ssl_keyfile":                 file,
		"ssl_version":                       {"SSLv3", "SSLv2", "1.2", "TLSv1_4"},
		"kombu_ssl_version":                 {"SSLv3"},
		"ssl_enforce_hostname_verification": boolean,
		"ssl_enforce_fips_mode":             boolean,
		"ssl_insecure":                      boolean,
	}
	names := slices.Sorted(maps.Keys(connectionParsers))
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(wrong))); diff != "" {
		t.Errorf("not every option has a case here (-want +got):\n%s", diff)
	}
	for name, values := range wrong {
		for _, value := range values {
			_, err := parse("rabbit://h/?" + name + "=" + url.QueryEscape(value))
			if !errors.Is(err, transport.ErrInvalidURL) || !strings.Contains(err.Error(), "option "+name+": want") ||
				!slices.Contains(file, value) && !strings.Contains(err.Error(), `"`+value+`"`) {
				t.Errorf("%s=%q: error = %v, want one that names the option, the value and what it should be", name, value, err)
			}
		}
	}
}

func TestOptionsThatContradictEachOtherAreErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"amqps://h/?ssl=false":           "option ssl: want it on for amqps://",
		"amqps://h/?rabbit_use_ssl=0":    "option ssl: want it on for amqps://",
		"rabbit://h/?ssl_key_file=a":     "option ssl_key_file: want ssl_cert_file with it",
		"amqps://h/?kombu_ssl_keyfile=a": "option ssl_key_file: want ssl_cert_file with it",
	} {
		if _, err := parse(text); !errors.Is(err, transport.ErrInvalidURL) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %s", text, err, want)
		}
	}
}

func TestSchemeSaysWhetherThereIsTLSAndOnWhichPort(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		tls   bool
		ports []int
	}{
		"rabbit://a,b:1/":                    {false, []int{1, 5672}},
		"kombu+rabbit://a/":                  {false, []int{5672}},
		"amqp://a/":                          {false, []int{5672}},
		"rabbit://a,b:1/?ssl=1":              {true, []int{1, 5672}}, // as in oslo.messaging
		"amqp://a/?ssl=true":                 {true, []int{5672}},
		"amqps://a,b:1/":                     {true, []int{1, 5671}},
		"amqps://":                           {true, []int{5671}},
		"AMQPS://a/?ssl=true":                {true, []int{5671}},
		"amqps://[::1]/?ssl_version=TLSv1_3": {true, []int{5671}},
	} {
		d := undialled(t, text)
		var ports []int
		for _, host := range d.hosts.all {
			ports = append(ports, portOf(host))
		}
		slices.Sort(ports)
		if d.options.TLS.Enabled != want.tls || !slices.Equal(ports, want.ports) {
			t.Errorf("%s: TLS %t, ports %v, want %t, %v", text, d.options.TLS.Enabled, ports, want.tls, want.ports)
		}
	}
}

func TestOpenSaysWhatWeakensTLS(t *testing.T) {
	t.Parallel()
	const (
		off      = "TLS options are given but ssl is off: connections are not encrypted"
		insecure = "the broker's certificate is not verified (ssl_insecure): connections can be read and changed by others"
		nameless = "the host name in the broker's certificate is not verified (ssl_enforce_hostname_verification)"
		fips     = "ssl_enforce_fips_mode is without effect, GODEBUG=fips140 decides"
	)
	for text, want := range map[string][]string{
		"rabbit://h/":                nil,
		"amqps://h/?ssl_ca_file=a":   nil,
		"rabbit://h/?ssl_ca_file=a":  {off},
		"rabbit://h/?ssl_insecure=1": {off},
		"amqps://h/?ssl_insecure=1":  {insecure},
		"amqps://h/?ssl_insecure=1&ssl_enforce_hostname_verification=0": {insecure},
		"amqps://h/?ssl_enforce_hostname_verification=0":                {nameless},
		"amqps://h/?ssl_enforce_fips_mode=1":                            {fips},
		"rabbit://h/?ssl=1&ssl_insecure=on&ssl_enforce_fips_mode=on":    {insecure, fips},
	} {
		for range 2 { // at every start
			if got := messages(open(t, text)); !slices.Equal(got, want) {
				t.Errorf("%s: logged %q, want %q", text, got, want)
			}
		}
	}
}

func messages(_ *Driver, hook *logtest.Hook) []string {
	var lines []string
	for _, entry := range hook.AllEntries() {
		lines = append(lines, entry.Message)
	}
	return lines
}
