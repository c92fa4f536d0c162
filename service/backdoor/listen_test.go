package backdoor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus/hooks/test"
)

func TestPortForms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text        string
		first, last int
		ok          bool
	}{
		{"0", 0, 0, true},
		{"4444", 4444, 4444, true},
		{"4444:4500", 4444, 4500, true},
		{"4444:4444", 4444, 4444, true},
		{"65535", 65535, 65535, true},
		{"65536", 0, 0, false},
		{"4500:4444", 0, 0, false},
		{"-1", 0, 0, false},
		{"http", 0, 0, false},
		{"4444:", 0, 0, false},
		{":4444", 0, 0, false},
		{"1:2:3", 0, 0, false},
		{" 4444", 0, 0, false},
		{"127.0.0.1:4444", 0, 0, false},
	} {
		first, last, err := parsePorts(tt.text)
		var bad *PortError
		if first != tt.first || last != tt.last || errors.As(err, &bad) == tt.ok {
			t.Errorf("parsePorts(%q) = %d, %d, %v, want %d, %d", tt.text, first, last, err, tt.first, tt.last)
		}
		if err != nil && (!strings.Contains(err.Error(), fmt.Sprintf("%q", tt.text)) || !strings.Contains(err.Error(), "<start>:<end>")) {
			t.Errorf("the error does not tell the value and the forms: %v", err)
		}
	}
}

func TestOnlyInUseMovesOnToTheNextPort(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		errs []error
		want []int
		err  error
	}{
		{"the first is free", []error{nil}, []int{10}, nil},
		{"the third is free", []error{syscall.EADDRINUSE, syscall.EADDRINUSE, nil}, []int{10, 11, 12}, nil},
		{"none is free", []error{syscall.EADDRINUSE, syscall.EADDRINUSE, syscall.EADDRINUSE}, []int{10, 11, 12}, syscall.EADDRINUSE},
		{"another error ends it", []error{syscall.EADDRINUSE, syscall.EACCES, nil}, []int{10, 11}, syscall.EACCES},
	} {
		var tried []int
		_, err := firstFree(10, 12, func(port int) (net.Listener, error) {
			tried = append(tried, port)
			return nil, tt.errs[port-10]
		})
		if diff := cmp.Diff(tt.want, tried); diff != "" || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, tried (-want +got):\n%s", tt.name, err, diff)
		}
	}
}

func TestThePathKnowsPidOnly(t *testing.T) {
	t.Parallel()
	pid := strconv.Itoa(os.Getpid())
	for _, tt := range []struct {
		path, want string
		warnings   int
	}{
		{"/run/backdoor", "/run/backdoor", 0},
		{"/run/backdoor-{pid}", "/run/backdoor-" + pid, 0},
		{"/run/{pid}/{pid}", "/run/" + pid + "/" + pid, 0},
		{"/run/{name}-{pid}", "/run/{name}-{pid}", 1},
		{"/run/{}", "/run/{}", 1},
	} {
		log, hook := test.NewNullLogger()
		if got := socketPath(tt.path, log); got != tt.want || len(hook.AllEntries()) != tt.warnings {
			t.Errorf("socketPath(%q) = %q with %d warnings, want %q", tt.path, got, len(hook.AllEntries()), tt.want)
		}
	}
}
