package config

import (
	"errors"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// IP is an address of version 4 or 6, without a zone (IPOpt).
func IP(rules ...Rule[string]) Type[string] {
	return address("IP address value", func(text string) (string, error) {
		if !isIP(text) {
			return "", errors.New("want an IP address")
		}
		return text, nil
	}, rules)
}

// HostAddress is an IP address or the name of a host, as DNS has it (HostAddressOpt). A dot at a name's end is dropped.
func HostAddress(rules ...Rule[string]) Type[string] {
	return address("host address value", func(text string) (string, error) { return hostName(text, dnsLabel) }, rules)
}

// HostDomain is a HostAddress whose name may have underscores (HostDomainOpt), as that of a server on the bus may.
func HostDomain(rules ...Rule[string]) Type[string] {
	return address("host domain value", func(text string) (string, error) { return hostName(text, domainLabel) }, rules)
}

// URI is an absolute URI with a host (URIOpt). With schemes it is one of these. What stands behind the host is not looked at.
func URI(schemes ...string) Type[string] {
	return address("uri value", func(text string) (string, error) { return text, checkURI(text, schemes) }, nil)
}

// address is a type of text that is read strictly.
func address(name string, parse func(string) (string, error), rules []Rule[string]) Type[string] {
	t := String()
	t.name = name
	t.parse = func(texts []string) (string, error) { return parse(texts[len(texts)-1]) }
	return t.with(rules)
}

func isIP(text string) bool {
	a, err := netip.ParseAddr(text)
	return err == nil && a.Zone() == ""
}

var (
	dnsLabel    = regexp.MustCompile(`^[A-Za-z0-9-]{1,63}$`)
	domainLabel = regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`)
	// A name whose last part has digits only is a mistyped address.
	notNumeric = regexp.MustCompile(`[A-Za-z-]`)
)

// longestName is that of DNS.
const longestName = 253

func hostName(text string, label *regexp.Regexp) (string, error) {
	if isIP(text) {
		return text, nil
	}
	name := strings.TrimSuffix(text, ".")
	labels := strings.Split(name, ".")
	if len(text) > longestName || !notNumeric.MatchString(labels[len(labels)-1]) {
		return "", errors.New("want a host's name or an IP address")
	}
	for _, l := range labels {
		if !label.MatchString(l) || strings.HasPrefix(l, "-") || strings.HasSuffix(l, "-") {
			return "", errors.New("want a host's name or an IP address")
		}
	}
	return name, nil
}

// Parts of a URI (RFC 3986, section 3).
var (
	absoluteURI = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)://([^\\/?#]*)([/?#]|$)`)
	authority   = regexp.MustCompile(`^(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*$`)
	regName     = regexp.MustCompile(`^(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+$`)
	// What looks like an address of version 4 must be one.
	fourNumbers = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,3}){3}$`)
	digits      = regexp.MustCompile(`^[0-9]*$`)
)

func checkURI(text string, schemes []string) error {
	m := absoluteURI.FindStringSubmatch(text)
	if m == nil {
		return errors.New("want a URI, as scheme://host/path")
	}
	if len(schemes) > 0 && !slices.Contains(schemes, m[1]) {
		return errors.New("want a URI of " + strings.Join(schemes, ", "))
	}
	user, host, hasUser := strings.Cut(m[2], "@")
	if !hasUser {
		user, host = "", user
	}
	if !authority.MatchString(user) || !isHostPort(host) {
		return errors.New("want a URI with a host")
	}
	return nil
}

func isHostPort(text string) bool {
	if inside, bracketed := strings.CutPrefix(text, "["); bracketed {
		host, port, closed := strings.Cut(inside, "]")
		a, err := netip.ParseAddr(host)
		return closed && err == nil && a.Is6() && (port == "" || port[0] == ':' && digits.MatchString(port[1:]))
	}
	host, port, _ := strings.Cut(text, ":")
	if fourNumbers.MatchString(host) && !isIP(host) {
		return false
	}
	return regName.MatchString(host) && digits.MatchString(port)
}
