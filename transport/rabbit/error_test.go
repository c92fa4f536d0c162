package rabbit

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/rabbitmq/amqp091-go"
)

func TestErrorsOfTheLibraryDoNotLeaveThePackage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"nothing":              {nil, "<nil>"},
		"another error":        {io.ErrUnexpectedEOF, "unexpected EOF"},
		"an exception":         {&amqp091.Error{Code: 406, Reason: "PRECONDITION_FAILED", Server: true}, "broker: 406 PRECONDITION_FAILED"},
		"one that is wrapped":  {fmt.Errorf("declare: %w", &amqp091.Error{Code: 404, Reason: "NOT_FOUND", Server: true}), "broker: 404 NOT_FOUND"},
		"a closed channel":     {amqp091.ErrClosed, "connection closed"},
		"a wrapped closed one": {fmt.Errorf("publish: %w", amqp091.ErrClosed), "connection closed"},
		"an exception with two lines": {
			&amqp091.Error{Code: 406, Reason: "no\nforged=1", Server: true}, `broker: 406 "no\nforged=1"`,
		},
		"what the library noticed": {&amqp091.Error{Code: 501, Reason: "EOF"}, "EOF"},
	} {
		got := brokerError(c.err)
		if text := fmt.Sprint(got); text != c.want {
			t.Errorf("%s: error = %s, want %s", name, text, c.want)
		}
		var foreign *amqp091.Error
		if errors.As(got, &foreign) {
			t.Errorf("%s: the library's error is in the chain of %v", name, got)
		}
	}
}

func TestChannelErrorWithoutReasonIsTheConnections(t *testing.T) {
	t.Parallel()
	wantError(t, "channelError", channelError(nil), errSessionEnded)
	var broker *BrokerError
	if err := channelError(&amqp091.Error{Code: 404, Reason: "NOT_FOUND", Server: true}); !errors.As(err, &broker) || broker.Code != 404 {
		t.Errorf("channelError = %v, want the broker's", err)
	}
}

func TestPermanentErrorsAreThoseOfADeclaration(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]struct{ permanent, vanished bool }{
		311: {}, 320: {}, 402: {}, 404: {vanished: true}, 405: {}, 403: {permanent: true}, 406: {permanent: true},
		504: {}, 530: {}, 540: {permanent: true}, 541: {},
	} {
		err := fmt.Errorf("declare queue %q: %w", "q", &BrokerError{Code: code})
		if got := permanent(err); got != want.permanent {
			t.Errorf("permanent(%d) = %v, want %v", code, got, want.permanent)
		}
		if got := vanished(err); got != want.vanished {
			t.Errorf("vanished(%d) = %v, want %v", code, got, want.vanished)
		}
	}
	for _, err := range []error{nil, io.EOF, errConnClosed} {
		if permanent(err) || vanished(err) {
			t.Errorf("%v is permanent or vanished, want neither", err)
		}
	}
}

func TestRemainsOfAQueueAreToldFromAQueueThatIsNotThere(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"NOT_FOUND - queue 'q' in vhost '/' process is stopped by supervisor":                               true,
		"NOT_FOUND - no queue 'q' in vhost '/'":                                                             false,
		"NOT_FOUND - home node 'rabbit@b' of durable queue 'q' in vhost '/' is down or inaccessible":        false,
		"NOT_FOUND - queue 'q' in vhost '/' has crashed and failed to restart, see process is stopped logs": false,
	} {
		if got := isRemains(fmt.Errorf("declare: %w", &BrokerError{Code: 404, Text: text})); got != want {
			t.Errorf("%s: remains %t, want %t", text, got, want)
		}
	}
	if isRemains(&BrokerError{Code: 405, Text: "process is stopped by supervisor"}) || isRemains(nil) {
		t.Error("another error tells of remains")
	}
}
