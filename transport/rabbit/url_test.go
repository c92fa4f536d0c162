package rabbit

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// connection is what a peer dials for one host of a URL.
type connection struct {
	Hostname, UserID, Password string
	VirtualHost                string `json:"virtual_host"`
	Port                       int
}

// connectedOtherwise lists URLs with which goslo dials something else than oslo.messaging, with the reason. Users read
// it in DESIGN.md.
var connectedOtherwise = map[string]string{
	"rabbit://host/v%23h": "the virtual host is v#h; Python's client library cuts it off at the #",
	"rabbit://HoSt/VH":    "the host name keeps its case, which resolvers do not see",
}

// TestURLsLeadWhereOslosLead compares what goslo dials with what oslo.messaging was seen to dial.
func TestURLsLeadWhereOslosLead(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"transport_urls.json", "transport_urls_v16.json", "transport_urls_v18.json"} {
		for _, c := range recordedURLs(t, file) {
			u, err := transport.ParseURL(c.URL)
			if err != nil || c.Connections == nil || u.Driver != "rabbit" && u.Driver != "kombu+rabbit" {
				continue // see the tests of ParseURL; or there is no such connection
			}
			diff := cmp.Diff(c.Connections, connections(u))
			if reason := connectedOtherwise[c.URL]; (diff == "") != (reason == "") {
				t.Errorf("%s, %q: goslo dials otherwise, or not, want it if listed: %q (-want +got):\n%s", file, c.URL, reason, diff)
			}
		}
	}
}

func TestConnectionDifferencesAreDocumented(t *testing.T) {
	t.Parallel()
	design, err := os.ReadFile("../../DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	for url, reason := range connectedOtherwise {
		if row := "| `" + url + "` | " + reason + " |\n"; !strings.Contains(string(design), row) {
			t.Errorf("DESIGN.md lacks the line %s", row)
		}
	}
}

type recordedURL struct {
	URL         string
	Connections []connection `json:"effective_connections"`
}

func recordedURLs(t *testing.T, file string) []recordedURL {
	t.Helper()
	data, err := os.ReadFile("../testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var table struct{ URLs []recordedURL }
	if err := json.Unmarshal(data, &table); err != nil || len(table.URLs) < 60 {
		t.Fatalf("%s: %d URLs, error %v", file, len(table.URLs), err)
	}
	return table.URLs
}

func connections(u *transport.URL) []connection {
	var all []connection
	for _, host := range hostsOf(u) {
		login := plainLogin(host)
		all = append(all, connection{
			Hostname: nameOf(host), UserID: login.Username, Password: login.Password,
			VirtualHost: orDefault(u.VirtualHost, "/"), Port: portOf(host),
		})
	}
	return all
}

func plainLogin(host transport.Host) *amqp091.PlainAuth {
	login, err := credentials(host, &Options{LoginMethod: "PLAIN"})
	if err != nil {
		panic(err) // without files there is nothing that can fail
	}
	return login.(*amqp091.PlainAuth)
}
