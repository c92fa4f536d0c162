package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// URL is a parsed transport URL,
//
//	driver://[user[:password]@]host[:port][,[user[:password]@]host[:port]]...[/virtual_host][?option=value&...]
//
// as oslo.messaging reads it (oslo_messaging/transport.py, TransportURL.parse). Printing it shows no password.
type URL struct {
	// Driver is the scheme in lower case, such as "rabbit" or "memory". Options and default ports are the driver's
	// matter: its other schemes, such as amqps, may have others.
	Driver string
	// Hosts are the brokers, in the order given; empty where the URL names none.
	Hosts []Host
	// VirtualHost is the path without its first slash, decoded; empty where there is none.
	VirtualHost string
	// Query holds the options; of a repeated one the values are joined with commas, empty values are dropped.
	Query map[string]string
}

// Host is one broker of a URL. Each has credentials of its own; they are not inherited.
type Host struct {
	Name           string
	Port           int // 0 where the URL gives none
	User, Password string
}

// ParseURL reads a transport URL. The error matches [ErrInvalidURL], is one line, names the part that is
// wrong and shows none of its text that could be a password.
func ParseURL(text string) (*URL, error) {
	scheme, rest, found := strings.Cut(text, ":")
	if !found || !validScheme(scheme) {
		return nil, invalidURL("the scheme is missing (want driver://...)")
	}
	u := &URL{Driver: strings.ToLower(scheme)}
	rest, fragment, _ := strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	netloc, path := "", rest
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		netloc, path, ok = strings.Cut(after, "/")
		if ok {
			path = "/" + path
		}
	}
	if !strings.Contains(netloc, "@") && strings.Contains(query+fragment, "@") {
		// Else what follows the ? or # would be read, and shown, as options.
		return nil, invalidURL("a ? or # in the credentials must be encoded")
	}
	u.VirtualHost = unescape(strings.TrimPrefix(path, "/"))
	var err error
	if u.Query, err = parseQuery(query); err != nil {
		return nil, err
	}
	if u.Hosts, err = parseHosts(netloc); err != nil {
		return nil, err
	}
	return u, nil
}

func invalidURL(reason string) error { return fmt.Errorf("%w: %s", ErrInvalidURL, reason) }

func validScheme(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(c))) {
			return false
		}
	}
	return s != ""
}

func parseQuery(text string) (map[string]string, error) {
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, invalidURL("the query has a broken %-escape or separator")
	}
	query := make(map[string]string, len(values))
	for key, all := range values {
		given := all[:0]
		for _, value := range all {
			if value != "" {
				given = append(given, value)
			}
		}
		if len(given) > 0 {
			query[key] = strings.Join(given, ",")
		}
	}
	return query, nil
}

func parseHosts(netloc string) ([]Host, error) {
	var hosts []Host
	for piece := range strings.SplitSeq(netloc, ",") {
		if piece == "" {
			continue
		}
		host, err := parseHost(piece)
		if err != nil {
			return nil, fmt.Errorf("%w: host %d: %w", ErrInvalidURL, len(hosts)+1, err)
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

func parseHost(text string) (h Host, err error) {
	address := text
	if at := strings.LastIndexByte(text, '@'); at >= 0 { // credentials end at the last @
		address = text[at+1:]
		user, password, _ := strings.Cut(text[:at], ":")
		h.User, h.Password = unescape(user), unescape(password)
	}
	name, port, hasPort := address, "", false
	if strings.HasPrefix(address, "[") {
		end := strings.IndexByte(address, ']')
		if end < 0 {
			return h, errors.New("the address has a [ without a ]")
		}
		name = address[1:end]
		port, hasPort = strings.CutPrefix(address[end+1:], ":")
		if !hasPort && address[end+1:] != "" {
			return h, errors.New("the address has text behind its ]")
		}
	} else if !bareIPv6(address) {
		name, port, hasPort = strings.Cut(address, ":")
	}
	h.Name = name
	if !hasPort {
		return h, nil
	}
	h.Port, err = strconv.Atoi(port)
	if err != nil || h.Port < 0 || h.Port > 65535 {
		return h, errors.New("the port is no number from 0 to 65535") // it may be a piece of a password: not shown
	}
	return h, nil
}

// unescape resolves %XX and leaves a % that begins no escape as it stands, as Python's unquote does.
func unescape(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "%")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if len(after) >= 2 {
			if c, err := strconv.ParseUint(after[:2], 16, 8); err == nil {
				b.WriteByte(byte(c))
				s = after[2:]
				continue
			}
		}
		b.WriteByte('%')
		s = after
	}
}

// bareIPv6 tells an address like ::1 from a name with a port; releases from 16.1 on accept it.
func bareIPv6(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is6() && !strings.Contains(s, "]") // which a zone may have, but not within brackets
}

// hidden stands for a password.
const hidden = "***"

// String prints the URL with *** in place of every password and of option values that hold one.
func (u *URL) String() string {
	var b strings.Builder
	b.WriteString(u.Driver)
	b.WriteString("://")
	separator := ""
	for _, h := range u.Hosts {
		if text := h.String(); text != "" {
			b.WriteString(separator + text)
			separator = ","
		}
	}
	b.WriteByte('/')
	virtualHost := u.VirtualHost
	if at := strings.LastIndexByte(virtualHost, '@'); at >= 0 { // the rest of a password with a bare slash in it
		b.WriteString(hidden)
		virtualHost = virtualHost[at:]
	}
	b.WriteString(strings.ReplaceAll(url.PathEscape(virtualHost), "%2F", "/"))
	keys := make([]string, 0, len(u.Query))
	for key := range u.Query {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for i, key := range keys {
		b.WriteByte("?&"[min(i, 1)])
		value := url.QueryEscape(u.Query[key])
		if strings.Contains(strings.ToLower(key), "password") {
			value = hidden
		}
		b.WriteString(url.QueryEscape(key) + "=" + value)
	}
	return b.String()
}

// String prints the host with *** in place of its password.
func (h Host) String() string {
	var b strings.Builder
	if h.User != "" || h.Password != "" {
		b.WriteString(strings.ReplaceAll(url.QueryEscape(h.User), "+", "%20")) // a + is read as itself
		if h.Password != "" {
			b.WriteString(":" + hidden)
		}
		b.WriteByte('@')
	}
	if strings.Contains(h.Name, ":") || strings.HasPrefix(h.Name, "[") {
		b.WriteString("[" + h.Name + "]")
	} else {
		b.WriteString(h.Name)
	}
	if h.Port != 0 {
		b.WriteString(":" + strconv.Itoa(h.Port))
	}
	return b.String()
}

// GoString is String: %#v shows no password either.
func (u *URL) GoString() string { return u.String() }

// GoString is String: %#v shows no password either.
func (h Host) GoString() string { return h.String() }
