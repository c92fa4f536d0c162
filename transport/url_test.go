package transport_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goslo/goslo/internal/acceptance"
	"github.com/goslo/goslo/transport"
)

type urlCase struct {
	URL         string
	Transport   string
	VirtualHost *string `json:"virtual_host"`
	Hosts       []struct {
		Hostname           string
		Port               *int
		Username, Password *string
	}
	Query      map[string]string
	Str, Error string
}

func urlCases(t *testing.T, file string) []urlCase {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var table struct{ URLs []urlCase }
	if err := json.Unmarshal(data, &table); err != nil {
		t.Fatal(err)
	}
	if len(table.URLs) < 60 {
		t.Fatalf("%s has %d URLs, want at least 60", file, len(table.URLs))
	}
	return table.URLs
}

// differs lists URLs that goslo reads otherwise than all releases on purpose, with the reason. Users read all these
// lists in DESIGN.md.
var differs = map[string]string{
	"":                     "there is no default URL",
	"rabbit://host:99999/": "the port is checked when the URL is read, not on connecting",
}

// differsFrom lists the URLs on which the releases disagree with each other; goslo follows 16.1 and 18.1.
var differsFrom = map[string]map[string]string{
	"transport_urls.json": { // 14.0
		"rabbit://host:/": "14.0 takes an empty port for none",
		"rabbit://::1/":   "14.0 reads no IPv6 address without brackets",
	},
	"transport_urls_v16.json": {},
	"transport_urls_v18.json": {},
}

// TestParseURLAgreesWithOslo reads what oslo.messaging 14.0, 16.1 and 18.1 were measured on.
func TestParseURLAgreesWithOslo(t *testing.T) {
	t.Parallel()
	for file, disputed := range differsFrom {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			for _, c := range urlCases(t, file) {
				u, err := transport.ParseURL(c.URL)
				if problem := disagreement(c, u, err); (problem != "") != (differs[c.URL]+disputed[c.URL] != "") {
					t.Errorf("ParseURL(%q): %s; want it otherwise only where listed: %q", c.URL, problem, differs[c.URL]+disputed[c.URL])
				}
			}
		})
	}
}

// disagreement tells in what goslo and the release that c comes from differ.
func disagreement(c urlCase, u *transport.URL, err error) string {
	if (err != nil) != (c.Error != "") {
		return fmt.Sprintf("error = %v, oslo's is %q", err, c.Error)
	}
	if err != nil {
		if !errors.Is(err, transport.ErrInvalidURL) {
			return fmt.Sprintf("error %v does not match ErrInvalidURL", err)
		}
		return ""
	}
	return cmp.Diff(wantURL(c), *u)
}

// printedOtherwise lists URLs that goslo prints otherwise than oslo.messaging, apart from passwords.
var printedOtherwise = map[string]string{
	"rabbit://host/a+b":    "a plus in a virtual host is left as it is, which reads the same",
	"rabbit://user:@host/": "a colon without a password behind it says nothing",
	"rabbit://host/vh?rabbit_qos_prefetch_count=5&amqp_durable_queues=true": "options come in the order of their names",
}

func TestURLPrintsAsOsloDoesApartFromPasswords(t *testing.T) {
	t.Parallel()
	password := regexp.MustCompile(`:[^:/,@]+@`)
	for file, disputed := range differsFrom {
		for _, c := range urlCases(t, file) {
			if c.Error != "" || differs[c.URL]+disputed[c.URL] != "" {
				continue // there is nothing to print, or something else
			}
			u, err := transport.ParseURL(c.URL)
			if err != nil {
				t.Errorf("ParseURL(%q) = %v", c.URL, err)
				continue
			}
			want := password.ReplaceAllString(c.Str, ":***@")
			if got := u.String(); (got == want) != (printedOtherwise[c.URL] == "") {
				t.Errorf("%s: %q prints %s, want %s unless listed: %q", file, c.URL, got, want, printedOtherwise[c.URL])
			}
		}
	}
}

func TestURLDifferencesAreDocumented(t *testing.T) {
	t.Parallel()
	acceptance.CheckDocumented(t, "../DESIGN.md", differs)
	acceptance.CheckDocumented(t, "../DESIGN.md", printedOtherwise)
	for _, disputed := range differsFrom {
		acceptance.CheckDocumented(t, "../DESIGN.md", disputed)
	}
}

func wantURL(c urlCase) transport.URL {
	u := transport.URL{Driver: c.Transport, Query: c.Query}
	if c.VirtualHost != nil {
		u.VirtualHost = *c.VirtualHost
	}
	for _, h := range c.Hosts {
		host := transport.Host{Name: h.Hostname}
		if h.Port != nil {
			host.Port = *h.Port
		}
		if h.Username != nil {
			host.User = *h.Username
		}
		if h.Password != nil {
			host.Password = *h.Password
		}
		u.Hosts = append(u.Hosts, host)
	}
	return u
}

func TestURLNeverShowsAPassword(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	for _, text := range []string{
		"rabbit://u:s3cr3t@h1:5672,u:s3cr3t@[::1]/vh?ssl=1",
		"rabbit://:s3cr3t@h/",
		"rabbit://h/?ssl_key_password=s3cr3t",
		"rabbit://u:s3cr3t#x@h/vh",
		"rabbit://u:s3cr3t%zz@h/vh",
		"rabbit://u:s3cr3t@h:bad/vh",
		"rabbit://u:s3cr3t@[::1/vh",
		"rabbit://u:1/s3cr3t@h/%zz",
		"rabbit://u:p@h/v?s3cr3t%zz",
		"rabbit://guest:12?s3cr3t=word@host/",
		"rabbit://guest:12#s3cr3t@host/",
	} {
		u, err := transport.ParseURL(text)
		if err != nil {
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "\n") {
				t.Errorf("ParseURL(%q) fails with %q", text, err)
			}
			continue
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(verb, u); strings.Contains(got, secret) {
				t.Errorf("%s of %q prints %q", verb, text, got)
			}
			if got := fmt.Sprintf(verb, u.Hosts); strings.Contains(got, secret) {
				t.Errorf("%s of the hosts of %q prints %q", verb, text, got)
			}
		}
	}
}

// TestParseURLTellsWhatIsWrong has every kind of broken URL.
func TestParseURLTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                      "the scheme is missing",
		"host":                  "the scheme is missing",
		"://host":               "the scheme is missing",
		"1rabbit://host":        "the scheme is missing",
		"rab_bit://host":        "the scheme is missing",
		"rabbit\n://host":       "the scheme is missing",
		"\u212aombu://host":     "the scheme is missing", // a Kelvin sign, whose lower case is k
		"rabbit://h/?a=%zz":     "the query has a broken",
		"rabbit://h/?a=1;b=2":   "the query has a broken",
		"rabbit://a,h:x/":       "host 2: the port is no number",
		"rabbit://h:65536/":     "host 1: the port is no number",
		"rabbit://h:-1/":        "host 1: the port is no number",
		"rabbit://h:1:2/":       "host 1: the port is no number",
		"rabbit://u:p@[::1":     "host 1: the address has a [ without a ]",
		"rabbit://[::1]x/":      "host 1: the address has text behind its ]",
		"rabbit://[::1]5672/":   "host 1: the address has text behind its ]",
		"rabbit://h1,,,[::2]:/": "host 2: the port is no number",
	} {
		_, err := transport.ParseURL(text)
		if !errors.Is(err, transport.ErrInvalidURL) || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseURL(%q) = %v, want an error with %q", text, err, want)
		}
	}
}

func TestURLPrintsWhatItWasReadFrom(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"RABBIT://h":                 "rabbit://h/",
		"rabbit:":                    "rabbit:///",
		"rabbit:/vh":                 "rabbit:///vh",
		"rabbit://,h1,,h2:0/":        "rabbit://h1,h2/",
		"rabbit://us%20er@h/":        "rabbit://us%20er@h/",
		"rabbit://us+er@h/":          "rabbit://us%2Ber@h/",
		"rabbit://u%2C%3A%2F@h/":     "rabbit://u%2C%3A%2F@h/",
		"rabbit://h/a%20b%2Fc":       "rabbit://h/a%20b/c",
		"rabbit://h/%25%23%3F":       "rabbit://h/%25%23%3F",
		"rabbit://h//":               "rabbit://h//",
		"rabbit://::1,[::2]:5673/":   "rabbit://[::1],[::2]:5673/",
		"rabbit://h/?b=1&a=%26&b=2":  "rabbit://h/?a=%26&b=1%2C2",
		"rabbit://h/?a=&=1":          "rabbit://h/?=1",
		"rabbit://u:p@h/?Password=p": "rabbit://u:***@h/?Password=***",
		"rabbit://u:1/p@h/vh":        "rabbit://u:1/***@h/vh",
		"rabbit://h/#fragment":       "rabbit://h/",
	} {
		u, err := transport.ParseURL(text)
		if err != nil {
			t.Errorf("ParseURL(%q) = %v", text, err)
			continue
		}
		if got := u.String(); got != want {
			t.Errorf("%q prints %s, want %s", text, got, want)
		}
	}
}

// shown is what a URL is read as after it was printed: with *** in place of what is secret, and without hosts of
// which nothing is given.
func shown(u transport.URL) transport.URL {
	u.Hosts = slices.Clone(u.Hosts)
	for i := range u.Hosts {
		if u.Hosts[i].Password != "" {
			u.Hosts[i].Password = "***"
		}
	}
	u.Hosts = slices.DeleteFunc(u.Hosts, func(h transport.Host) bool { return h == transport.Host{} })
	if at := strings.LastIndexByte(u.VirtualHost, '@'); at >= 0 {
		u.VirtualHost = "***" + u.VirtualHost[at:]
	}
	u.Query = maps.Clone(u.Query)
	for key := range u.Query {
		if strings.Contains(strings.ToLower(key), "password") {
			u.Query[key] = "***"
		}
	}
	return u
}

// FuzzParseURL holds that a URL that can be read is read back from what it prints, secrets apart.
func FuzzParseURL(f *testing.F) {
	for _, text := range []string{
		"rabbit://u:p@h1:5672,u:p@h2:5672/vh?a=1&a=2#f", "memory://", "rabbit://[::1]:5673//v", "rabbit://us%20er@h/a+b",
		"rabbit://[[b]:1,a[],[:[c]", "kombu+rabbit:/v@h", "rabbit://@,:0,[]/", "rabbit://fe80::1%eth0/?a%20b=c+d", "rabbit://%00:%ff@h/%ff",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := transport.ParseURL(text)
		if err != nil {
			if !errors.Is(err, transport.ErrInvalidURL) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %q does not match ErrInvalidURL or is not one line", err)
			}
			return
		}
		printed := u.String()
		again, err := transport.ParseURL(printed)
		if err != nil {
			t.Fatalf("%q prints %q, which fails with %v", text, printed, err)
		}
		if diff := cmp.Diff(shown(*u), *again, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%q prints %q, which is read otherwise (-want +got):\n%s", text, printed, diff)
		}
		if twice := again.String(); twice != printed {
			t.Fatalf("%q prints %q, then %q", text, printed, twice)
		}
	})
}
