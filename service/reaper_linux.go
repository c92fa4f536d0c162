package service

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// reapInterval is how often a parent that adopts orphans looks for such as have ended. A child of its own is waited for
// by whoever started it, and is gone long before it was seen twice.
const reapInterval = time.Second

// reaper takes the exit statuses of orphans that this process has adopted, as the first process of a container does. A nil
// one does nothing.
type reaper struct {
	log    logrus.FieldLogger
	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// newReaper is nil in a process that adopts nobody.
func newReaper(log logrus.FieldLogger) *reaper {
	if os.Getpid() != 1 && !isSubreaper() {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &reaper{log: log, cancel: cancel}
	r.ended.Go(func() { r.run(ctx) })
	return r
}

// isSubreaper tells whether the process has asked for orphans among its descendants.
func isSubreaper() bool {
	var set int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&set)), 0, 0, 0)
	return err == nil && set != 0
}

func (r *reaper) close() {
	if r != nil {
		r.cancel()
		r.ended.Wait()
	}
}

func (r *reaper) run(ctx context.Context) {
	ticker := time.NewTicker(reapInterval)
	defer ticker.Stop()
	seen := map[int]bool{}
	for {
		select {
		case <-ticker.C:
			seen = r.sweep(seen)
		case <-ctx.Done():
			return
		}
	}
}

// sweep reaps the children that had ended before the last sweep, and returns those that have ended since.
func (r *reaper) sweep(seen map[int]bool) map[int]bool {
	fresh := map[int]bool{}
	for _, pid := range zombies() {
		if !seen[pid] {
			fresh[pid] = true
			continue
		}
		var status unix.WaitStatus
		if reaped, err := unix.Wait4(pid, &status, unix.WNOHANG, nil); err == nil && reaped == pid {
			r.log.WithField("pid", pid).Debug("reaped an orphan")
		}
	}
	return fresh
}

// zombies are the children of this process that have ended and that nobody has waited for.
func zombies() []int {
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well formed
	var pids []int
	for _, path := range paths {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		if stat, err := os.ReadFile(path); err == nil && isZombieOf(stat, os.Getpid()) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// isZombieOf reads a line of /proc/PID/stat (proc(5)): pid (name) state ppid ... A name may hold anything.
func isZombieOf(stat []byte, parent int) bool {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return false
	}
	fields := bytes.Fields(stat[end+1:])
	return len(fields) > 1 && string(fields[0]) == "Z" && string(fields[1]) == strconv.Itoa(parent)
}
