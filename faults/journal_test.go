//go:build integration

package faults

import (
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// journal is what everybody in a row logs: a hook that keeps lines and times.
type journal struct {
	mu    sync.Mutex // protects what follows
	lines []line
}

type line struct {
	at      time.Time
	message string
	text    string // all of it
}

func (j *journal) logger() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(nowhere{})
	log.SetLevel(logrus.DebugLevel) // whatever is logged must show no credential
	log.AddHook(j)
	return log
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// Levels says that all lines are kept.
func (j *journal) Levels() []logrus.Level { return logrus.AllLevels }

// Fire keeps a line.
func (j *journal) Fire(entry *logrus.Entry) error {
	text, err := entry.Bytes()
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line{at: entry.Time, message: entry.Message, text: string(text)})
	return nil
}

// with counts the lines that hold a text.
func (j *journal) with(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, l := range j.lines {
		if strings.Contains(l.text, text) {
			n++
		}
	}
	return n
}

// times are when a message was logged since since.
func (j *journal) times(message string, since time.Time) (times []time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.lines {
		if l.message == message && l.at.After(since) {
			times = append(times, l.at)
		}
	}
	return times
}

// warnings is every line above info, for a row that failed.
func (j *journal) warnings() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var text strings.Builder
	for _, l := range j.lines {
		if !strings.Contains(l.text, "level=debug") && !strings.Contains(l.text, "level=info") {
			text.WriteString(l.text)
		}
	}
	return text.String()
}

// What the driver says when it loses a connection and when it has one again.
const (
	saysLost      = "connection to the broker lost, reconnecting"
	saysConnected = "connected to the broker"
)
