package messaging_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/messaging"
	"github.com/goslo/goslo/transport/memory"
)

// hostile are what a peer may put where a name is expected.
var hostile = []string{
	"a\nlevel=error msg=forged", "\x1b[2J", "a\xffb", "\u202egnp", strings.Repeat("x", 100_000), strings.Repeat("\x00", 1000), `a"b\`, "",
}

// TestWhatPeersSendIsOneShortLineInTheLog publishes requests whose names are not what names should be, one to each of as
// many servers: a server logs one of them a minute.
func TestWhatPeersSendIsOneShortLineInTheLog(t *testing.T) {
	t.Parallel()
	for _, text := range hostile {
		for name, request := range map[string]map[string]any{
			"method":    {"method": text, "_msg_id": text, "_reply_q": text},
			"namespace": {"method": "echo", "namespace": text + "!", "version": "1.0"},
			"version":   {"method": "echo", "version": text + "!", "namespace": nil},
			"argument":  {"method": "panic", "args": map[string]any{text + "!": 1}},
		} {
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				server := b.serve(t, []*messaging.Endpoint{echo()})
				publishRequest(t, b, request)
				synctest.Wait()
				if got := server.Stats(); got.Refused != 1 {
					t.Fatalf("%s %.40q: %+v, want it refused", name, text, got)
				}
				if b.count("request refused") != 1 {
					t.Errorf("%s %.40q: the refusal is not logged", name, text)
				}
				for _, entry := range b.logs.AllEntries() {
					checkFields(t, entry)
				}
			})
		}
	}
}

func publishRequest(tb testing.TB, b *bus, request map[string]any) {
	tb.Helper()
	inner, err := json.Marshal(request)
	if err != nil {
		tb.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"oslo.version": "2.0", "oslo.message": string(inner)})
	if err != nil {
		tb.Fatal(err)
	}
	if err := b.broker.Publish("openstack", "t", memory.Publishing{ContentType: "application/json", Body: body}); err != nil {
		tb.Fatal(err)
	}
}

// checkFields fails for a field that is no printable line of at most 256 bytes.
func checkFields(tb testing.TB, entry *logrus.Entry) {
	tb.Helper()
	for key, value := range entry.Data {
		text := fmt.Sprint(value)
		printable := !strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) })
		if len(text) > 256 || !printable {
			tb.Errorf("%q: field %s is %.300q, of %d bytes", entry.Message, key, text, len(text))
		}
	}
}

func TestRemoteErrorIsOneShortLineAndKeepsItsMessage(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"no valid host":          "remote oops.Failed: no valid host",
		"first\nTraceback":       "remote oops.Failed: first",
		"a\rb":                   `remote oops.Failed: "a\rb"`,
		strings.Repeat("x", 300): "remote oops.Failed: " + strings.Repeat("x", 253) + "...",
	} {
		err := &messaging.RemoteError{Module: "oops", Class: "Failed", Message: message}
		if err.Error() != want {
			t.Errorf("error = %q, want %q", err, want)
		}
		if err.Message != message {
			t.Error("the message has changed")
		}
	}
	err := &messaging.RemoteError{Module: strings.Repeat("m", 300), Class: "a\nb"}
	if text := err.Error(); len(text) > 300 || strings.Contains(text, "\n") {
		t.Errorf("error = %q, want a short line", text)
	}
}

// TestClientSendsWhateverNameItIsGiven: the rule for names is the server's, since a Python peer may have others.
func TestClientSendsWhateverNameItIsGiven(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		b.serve(t, []*messaging.Endpoint{echo()})
		client := b.newClient(t)
		for _, method := range []string{"", "echo.echo", "größe", "a\nb", strings.Repeat("x", 129)} {
			err := client.Call(t.Context(), method, nil, nil)
			if !errors.Is(err, messaging.ErrNoSuchMethod) {
				t.Errorf("Call %q = %v, want ErrNoSuchMethod of the server", method, err)
			}
		}
	})
}
