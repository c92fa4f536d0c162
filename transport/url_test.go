package transport_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
	Query map[string]string
	Error string
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

// differs lists URLs that goslo reads differently on purpose, with the reason.
var differs = map[string]string{
	"rabbit://host:99999/": "the port is checked when the URL is read, not on connecting",
}

// TestParseURLAgreesWithOslo reads what oslo.messaging 18.1 was measured on.
func TestParseURLAgreesWithOslo(t *testing.T) {
	t.Parallel()
	for _, c := range urlCases(t, "transport_urls_v18.json") {
		t.Run(c.URL, func(t *testing.T) {
			t.Parallel()
			u, err := transport.ParseURL(c.URL)
			if reason, ok := differs[c.URL]; ok {
				if err == nil {
					t.Errorf("accepted, though %s", reason)
				}
				return
			}
			if c.URL == "" {
				return // the default URL: messaging.Open's matter
			}
			if (err != nil) != (c.Error != "") {
				t.Fatalf("error = %v, oslo's is %q", err, c.Error)
			}
			if err != nil {
				if !errors.Is(err, transport.ErrInvalidURL) {
					t.Errorf("error %v does not match ErrInvalidURL", err)
				}
				return
			}
			if diff := cmp.Diff(wantURL(c), *u); diff != "" {
				t.Errorf("parsed otherwise (-want +got):\n%s", diff)
			}
		})
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

func FuzzParseURL(f *testing.F) {
	f.Add("rabbit://u:p@h1:5672,u:p@h2:5672/vh?a=1&a=2#f")
	f.Add("memory://")
	f.Add("rabbit://[::1]:5673//v")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := transport.ParseURL(text)
		if err != nil {
			if !errors.Is(err, transport.ErrInvalidURL) {
				t.Fatalf("error %v does not match ErrInvalidURL", err)
			}
			return
		}
		if again, err := transport.ParseURL(u.String()); err == nil && again.Driver != u.Driver {
			t.Fatalf("%q prints as another driver", text)
		}
	})
}
