package listen

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/goslo/goslo/service/internal/identity"
)

// firstSystemd is the descriptor with which systemd begins (sd_listen_fds(3)).
const firstSystemd = 3

// adopt takes the descriptor that was left for a name by whoever started this process; it gives nil where there is none.
func adopt(name string) (*os.File, error) {
	id, err := identity.Current()
	if err != nil {
		return nil, err
	}
	if id != nil { // what systemd says is for the parent
		return left.take(name, id.Listeners, identity.FirstListener)
	}
	names, err := activated()
	if err != nil {
		return nil, err
	}
	return left.take(name, names, firstSystemd)
}

// left remembers which of the descriptors that were left are taken: once closed, their numbers mean something else.
var left leftovers

type leftovers struct {
	mu    sync.Mutex
	taken map[int]bool
}

// take opens the descriptor whose name it is; that of names[i] is first+i.
func (t *leftovers) take(name string, names []string, first int) (*os.File, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, other := range names {
		fd := first + i
		if other != name || t.taken[fd] {
			continue
		}
		if t.taken == nil {
			t.taken = make(map[int]bool)
		}
		t.taken[fd] = true
		// Package net accepts on nothing else. A parent's socket has the flag already; systemd's has it where the unit says so.
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, fmt.Errorf("descriptor %d: %w", fd, os.NewSyscallError("fcntl", err))
		}
		return os.NewFile(uintptr(fd), name), nil
	}
	return nil, nil //nolint:nilnil // nothing was left under this name, which is usual
}

// activated gives the names of the sockets that systemd has opened for this process, in the order of their descriptors.
// The first call takes the variables out of the environment, and sees to it that no program inherits the descriptors.
var activated = sync.OnceValues(readActivation)

func readActivation() ([]string, error) {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	text, names := os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	count, err := strconv.Atoi(text)
	if err != nil || count < 0 {
		return nil, fmt.Errorf("environment variable LISTEN_FDS is no number of descriptors: %q", text)
	}
	for _, variable := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if err := os.Unsetenv(variable); err != nil {
			return nil, fmt.Errorf("environment variable %s: %w", variable, err)
		}
	}
	for fd := firstSystemd; fd < firstSystemd+count; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
			return nil, fmt.Errorf("environment variable LISTEN_FDS promises descriptor %d, which is not open", fd)
		}
	}
	list := strings.Split(names, ":")
	return list[:min(count, len(list))], nil
}
