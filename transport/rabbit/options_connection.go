package rabbit

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/goslo/goslo/transport"
)

// Failover strategies, which say what host comes after one that does not answer.
const (
	roundRobin = "round-robin"
	shuffle    = "shuffle"
)

// ConnectionOptions are those [Options] that say how the broker is reached.
//
// A driver tries its hosts one after the other, first the one that answered last. When none did, it pauses for a random
// time from nothing up to a bound (full jitter), and begins again. The bound starts at RetryInterval, grows as
// RetryBackoff says, and is never above IntervalMax. Where one of the driver's two connections finds a broker, what is left
// of the other's pause is cut to RetryInterval at most.
//
// A host that answers is given up for another, where there is one, when it refuses three messages or three declarations
// in a row; once in five minutes at most, since a queue that is full refuses messages on every host. So it is when requests
// wait for their confirms for 2.5 s and it answers none, though it does not block: it may be cut off from its cluster. That
// time grows by half with each host given up, to five minutes, and is 2.5 s again ten minutes after the last.
type ConnectionOptions struct {
	// FailoverStrategy says which host comes after one that failed: "round-robin", the default, the next in a list
	// that is shuffled once, or "shuffle", any (kombu_failover_strategy).
	FailoverStrategy string
	// RetryInterval is the bound of the first pause; the default is half a second. oslo.messaging takes whole seconds only,
	// and has 1 s (rabbit_retry_interval).
	RetryInterval time.Duration
	// RetryBackoff is added to the bound for each pause that follows, as in oslo.messaging, whose default is 2 s. A
	// negative value, the default here, written -1, doubles the bound instead (rabbit_retry_backoff).
	RetryBackoff time.Duration
	// IntervalMax is the highest bound, default 30 s (rabbit_interval_max). While no host even answers as a broker the
	// bound does not grow in the first 4 s, so that a short outage ends with it, and stays below 3 s then, so that a
	// broker that restarts is served again soon.
	IntervalMax time.Duration
	// ReconnectDelay is an extra pause, up to 4.5 s, before a connection that was lost is made anew
	// (kombu_reconnect_delay). The default is none, oslo.messaging's 1 s: the pauses above spread drivers already.
	ReconnectDelay time.Duration
	// ReconnectSplay is the bound of a random addition to that pause, default none (kombu_reconnect_splay).
	ReconnectSplay time.Duration
	// UsernameFile and PasswordFile name files that hold the user's name and password, as Docker and Kubernetes mount
	// secrets. They count instead of what the URL says, for every host, and are read for each connection that is
	// made. One line end at the end of a file is not part of it (rabbit_username_file and rabbit_password_file,
	// goslo's own).
	UsernameFile, PasswordFile string
	// TLS is how the connection is encrypted.
	TLS TLSOptions
}

// TLSOptions say how a connection is encrypted. Files are in PEM and are read for each connection that is made, so
// that new ones count from the next one on.
type TLSOptions struct {
	// Enabled turns TLS on (ssl, formerly rabbit_use_ssl). It is on for amqps:// URLs. As in oslo.messaging it changes no
	// port: name 5671, which is the default for amqps:// alone.
	Enabled bool
	// CAFile holds the authorities that may have signed the broker's certificate (ssl_ca_file, formerly
	// kombu_ssl_ca_certs); by default those that the system trusts. oslo.messaging verifies nothing without
	// this option; goslo always does, unless Insecure is set.
	CAFile string
	// CertFile and KeyFile hold this side's certificate, with what is between it and its authority, and its key,
	// which may be in CertFile too (ssl_cert_file and ssl_key_file, formerly kombu_ssl_certfile and
	// kombu_ssl_keyfile). By default there is none.
	CertFile, KeyFile string
	// MinVersion is the oldest version of TLS that is spoken, 1.2 by default or 1.3 (ssl_version, formerly
	// kombu_ssl_version). What oslo.messaging knows besides (TLSv1, TLSv1_1 and SSLv23) is read as 1.2.
	MinVersion uint16
	// VerifyHostname checks that the broker's certificate is for the host that was dialled; default true
	// (ssl_enforce_hostname_verification).
	VerifyHostname bool
	// Insecure takes any certificate for the broker's. Then anybody on the way can read and change everything, the
	// password included; a driver that is opened so logs a warning (ssl_insecure, goslo's own).
	Insecure bool
	// FIPSMode is without effect, as in oslo.messaging from 18.1 on (ssl_enforce_fips_mode): Go's cryptography has a
	// FIPS mode of its own, GODEBUG=fips140.
	FIPSMode bool
}

func defaultConnectionOptions() ConnectionOptions {
	return ConnectionOptions{
		FailoverStrategy: roundRobin,
		RetryInterval:    firstBackoff,
		RetryBackoff:     -1,
		IntervalMax:      longestBackoff,
		TLS:              TLSOptions{MinVersion: tls.VersionTLS12, VerifyHostname: true},
	}
}

// connectionParsers fill one option each.
var connectionParsers = map[string]func(o *Options, value string) error{
	"kombu_failover_strategy": func(o *Options, v string) error { return parseStrategy(&o.FailoverStrategy, v) },
	"rabbit_retry_interval":   func(o *Options, v string) error { return parsePause(&o.RetryInterval, v) },
	"rabbit_retry_backoff":    func(o *Options, v string) error { return parseGrowth(&o.RetryBackoff, v) },
	"rabbit_interval_max":     func(o *Options, v string) error { return parsePositive(&o.IntervalMax, v) },
	"kombu_reconnect_delay":   func(o *Options, v string) error { return parseFraction(&o.ReconnectDelay, v, longestDelay) },
	"kombu_reconnect_splay":   func(o *Options, v string) error { return parseFraction(&o.ReconnectSplay, v, math.MaxInt32) },
	"rabbit_login_method":     func(o *Options, v string) error { return parseLogin(&o.LoginMethod, v) },
	"rabbit_username_file":    func(o *Options, v string) error { return parseText(&o.UsernameFile, v) },
	"rabbit_password_file":    func(o *Options, v string) error { return parseText(&o.PasswordFile, v) },

	"ssl":                               func(o *Options, v string) error { return parseBool(&o.TLS.Enabled, v) },
	"rabbit_use_ssl":                    func(o *Options, v string) error { return parseBool(&o.TLS.Enabled, v) },
	"ssl_ca_file":                       func(o *Options, v string) error { return parseText(&o.TLS.CAFile, v) },
	"kombu_ssl_ca_certs":                func(o *Options, v string) error { return parseText(&o.TLS.CAFile, v) },
	"ssl_cert_file":                     func(o *Options, v string) error { return parseText(&o.TLS.CertFile, v) },
	"kombu_ssl_certfile":                func(o *Options, v string) error { return parseText(&o.TLS.CertFile, v) },
	"ssl_key_file":                      func(o *Options, v string) error { return parseText(&o.TLS.KeyFile, v) },
	"kombu_ssl_keyfile":                 func(o *Options, v string) error { return parseText(&o.TLS.KeyFile, v) },
	"ssl_version":                       func(o *Options, v string) error { return parseTLSVersion(&o.TLS.MinVersion, v) },
	"kombu_ssl_version":                 func(o *Options, v string) error { return parseTLSVersion(&o.TLS.MinVersion, v) },
	"ssl_enforce_hostname_verification": func(o *Options, v string) error { return parseBool(&o.TLS.VerifyHostname, v) },
	"ssl_enforce_fips_mode":             func(o *Options, v string) error { return parseBool(&o.TLS.FIPSMode, v) },
	"ssl_insecure":                      func(o *Options, v string) error { return parseBool(&o.TLS.Insecure, v) },
}

// optionsOf reads the options of a URL, of which the scheme is one.
func optionsOf(u *transport.URL) (Options, error) {
	o, err := parseOptions(u.Query)
	if err != nil {
		return o, err
	}
	if u.Driver == schemeTLS {
		if !o.TLS.Enabled && (u.Query["ssl"] != "" || u.Query["rabbit_use_ssl"] != "") {
			return o, fmt.Errorf("%w: option ssl: want it on for %s://", transport.ErrInvalidURL, schemeTLS)
		}
		o.TLS.Enabled = true
	}
	if o.TLS.KeyFile != "" && o.TLS.CertFile == "" {
		return o, fmt.Errorf("%w: option ssl_key_file: want ssl_cert_file with it", transport.ErrInvalidURL)
	}
	return o, nil
}

// longestDelay is the most that kombu_reconnect_delay may be, in seconds.
const longestDelay = 4.5

func parseStrategy(to *string, value string) error {
	if value != roundRobin && value != shuffle {
		return fmt.Errorf("want %s or %s, got %q", roundRobin, shuffle, value)
	}
	*to = value
	return nil
}

func parsePositive(to *time.Duration, value string) error {
	if err := parseSeconds(to, value); err != nil {
		return err
	}
	if *to == 0 {
		return fmt.Errorf("want at least 1 second, got %q", value)
	}
	return nil
}

// parsePause reads seconds that may have a fraction, and are some.
func parsePause(to *time.Duration, value string) error {
	if err := parseFraction(to, value, math.MaxInt32); err != nil || *to == 0 {
		return fmt.Errorf("want seconds above 0 and to %d, got %q", math.MaxInt32, value)
	}
	return nil
}

// parseGrowth reads whole seconds, or -1 for a bound that doubles.
func parseGrowth(to *time.Duration, value string) error {
	if value == "-1" {
		*to = -1
		return nil
	}
	if err := parseSeconds(to, value); err != nil {
		return fmt.Errorf("want a whole number of seconds, or -1, got %q", value)
	}
	return nil
}

// parseFraction reads seconds that may have a fraction.
func parseFraction(to *time.Duration, value string, most float64) error {
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil || !(seconds >= 0 && seconds <= most) { // NaN is neither
		return fmt.Errorf("want seconds from 0 to %g, got %q", most, value)
	}
	*to = time.Duration(seconds * float64(time.Second))
	return nil
}

func parseText(to *string, value string) error {
	if strings.ContainsRune(value, 0) {
		return errors.New("want a file's name, got one with a zero byte")
	}
	*to = value
	return nil
}

func parseTLSVersion(to *uint16, value string) error {
	switch strings.ToLower(value) { // oslo.messaging takes any case, too
	case "sslv23", "tlsv1", "tlsv1_1", "tlsv1_2":
		*to = tls.VersionTLS12
	case "tlsv1_3":
		*to = tls.VersionTLS13
	default:
		return fmt.Errorf("want TLSv1_2 or TLSv1_3, got %q", value)
	}
	return nil
}

// Login methods: how a driver says who it is.
const (
	loginAMQPlain = "AMQPLAIN"
	loginPlain    = "PLAIN"
	loginExternal = "EXTERNAL"
)

func parseLogin(to *string, value string) error {
	switch value {
	case loginAMQPlain, loginPlain, loginExternal:
		*to = value
		return nil
	}
	return fmt.Errorf("want AMQPLAIN, PLAIN or EXTERNAL, got %q", value)
}

const (
	// longestHeartbeat is the most that AMQP's 16 bits of seconds hold.
	longestHeartbeat = math.MaxUint16 * time.Second
	// heartbeatOff makes the AMQP library tell the broker 0, which is off. It takes 0 itself for the broker's choice, and
	// of two other values the smaller one: a negative one then stands on this side, where it starts no timer, and has no
	// bit in the 16 that are sent. TestHeartbeatThatIsOffIsOffOnBothSides watches over that.
	heartbeatOff = -(math.MaxUint16 + 1) * time.Second
)

// askedHeartbeat is what the AMQP library is given for Heartbeat.
func (o *Options) askedHeartbeat() time.Duration {
	if o.Heartbeat == 0 {
		return heartbeatOff
	}
	return min(o.Heartbeat, longestHeartbeat)
}
