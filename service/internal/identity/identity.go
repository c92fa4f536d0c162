// Package identity tells a worker process who it is: which of its parent's workers, with which descriptors.
//
// A worker is the program itself, started again by its parent (exec, not fork: Go's runtime cannot be forked). It finds its
// identity in one environment variable and takes that away at once, so that programs which it starts are no workers.
package identity

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Variable is the environment variable that makes a process a worker.
const Variable = "GOSLO_WORKER"

// version is that of the form of an identity: parent and worker may be different builds, where the program was replaced.
const version = 1

// Descriptors of a worker beside the standard ones.
const (
	// Liveness is the read end of a pipe whose only write end the parent holds: its end tells that the parent is gone.
	Liveness = 3
	// Ready is the write end of a pipe to the parent: one byte tells that the worker serves, each further one that it
	// makes progress.
	Ready = 4
	// FirstListener is that of the first listener in [Identity.Listeners].
	FirstListener = 5
)

// Identity is what a worker knows of itself.
type Identity struct {
	Version    int    `json:"version"`
	Pool       string `json:"pool"`       // name of the pool in the parent
	Index      int    `json:"index"`      // of the worker in its pool, from 0; that which replaces it gets the same
	Generation int    `json:"generation"` // counts the workers that the parent has started, of all pools, from 1
	// Listeners are the names of the inherited listeners, in the order of their descriptors.
	Listeners []string `json:"listeners,omitempty"`
	// Progress is how often the parent wants to hear that the worker makes progress; 0 is never.
	Progress time.Duration `json:"progress,omitempty"`
}

// Encode is an entry of the worker's environment.
func (id Identity) Encode() string {
	id.Version = version
	text, err := json.Marshal(id)
	if err != nil {
		panic("an identity is always JSON: " + err.Error())
	}
	return Variable + "=" + string(text)
}

var current = sync.OnceValues(read)

// Before main begins: whatever that does, it is then a worker that ends with its parent, and the programs that it starts are
// none.
func init() { _, _ = Current() } // the error is for those who ask

// Current is this process's identity; nil for one that is no worker. By the time that main begins the variable is no longer
// in the environment, no program inherits the descriptors, and the parent is watched (see [OnParentsEnd]). It fails where the
// variable is not a parent's. It is safe for concurrent use.
func Current() (*Identity, error) { return current() }

func read() (*Identity, error) {
	text, set := os.LookupEnv(Variable)
	if !set {
		return nil, nil //nolint:nilnil // most processes are no workers
	}
	if err := os.Unsetenv(Variable); err != nil {
		return nil, fmt.Errorf("environment variable %s: %w", Variable, err)
	}
	var id Identity
	if err := json.Unmarshal([]byte(text), &id); err != nil {
		return nil, fmt.Errorf("environment variable %s is not that of a worker: %w", Variable, err)
	}
	if id.Version != version {
		return nil, fmt.Errorf("environment variable %s has version %d, want %d", Variable, id.Version, version)
	}
	for fd := Liveness; fd < FirstListener+len(id.Listeners); fd++ {
		if !isOurs(fd) {
			return nil, fmt.Errorf("environment variable %s promises descriptor %s, which is not there", Variable, strconv.Itoa(fd))
		}
		syscall.CloseOnExec(fd)
	}
	go parent.watch(os.NewFile(Liveness, "liveness")) // until the process ends
	disarm()
	return &id, nil
}

// isOurs tells whether a descriptor is open and of the kind that a parent passes: where none was passed, the number may be
// that of a file which Go's runtime has opened for itself.
func isOurs(fd int) bool {
	kind := uint32(syscall.S_IFIFO)
	if fd >= FirstListener {
		kind = syscall.S_IFSOCK
	}
	var stat syscall.Stat_t
	return syscall.Fstat(fd, &stat) == nil && uint32(stat.Mode)&syscall.S_IFMT == kind //nolint:unconvert // 16 bits on other systems
}
