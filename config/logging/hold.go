package logging

import (
	"io"
	"sync"

	"github.com/sirupsen/logrus"
)

// Hold keeps what log is told until [Setup] has set it up: what is said of a configuration while it is read shall go where that
// configuration says. Setup then logs it; in a worker ([WithWorker]) it does not, since the parent, which reads the same, does.
func Hold(log *logrus.Logger) {
	log.SetOutput(io.Discard)
	log.AddHook(new(held))
}

// held are lines that wait.
type held struct {
	mu      sync.Mutex
	entries []*logrus.Entry
}

// Levels implements logrus.Hook.
func (h *held) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements logrus.Hook.
func (h *held) Fire(e *logrus.Entry) error {
	kept := e.Dup()
	kept.Level, kept.Message = e.Level, e.Message
	h.mu.Lock()
	defer h.mu.Unlock()
	h.entries = append(h.entries, kept)
	return nil
}

// release takes the lines back that log was told.
func release(log *logrus.Logger) []*logrus.Entry {
	var entries []*logrus.Entry
	others := make(logrus.LevelHooks)
	for level, hooks := range log.Hooks {
		for _, hook := range hooks {
			if h, ok := hook.(*held); ok {
				h.mu.Lock()
				entries = append(entries, h.entries...)
				h.entries = nil // the same hook stands at every level
				h.mu.Unlock()
				continue
			}
			others[level] = append(others[level], hook)
		}
	}
	log.ReplaceHooks(others)
	return entries
}
