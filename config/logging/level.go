package logging

import (
	"errors"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/goslo/goslo/config"
)

// levelNames are those of Python's logging and of oslo.log.
var levelNames = map[string]logrus.Level{
	"CRITICAL": logrus.FatalLevel, "FATAL": logrus.FatalLevel, "ERROR": logrus.ErrorLevel, "WARNING": logrus.WarnLevel,
	"WARN": logrus.WarnLevel, "AUDIT": logrus.InfoLevel, "INFO": logrus.InfoLevel, "DEBUG": logrus.DebugLevel,
	"TRACE": logrus.TraceLevel,
}

// parseLevel reads a level or its number in Python, where lower numbers tell more.
func parseLevel(text string) (level logrus.Level, set bool, err error) {
	text = strings.ToUpper(strings.TrimSpace(text))
	if text == "NOTSET" {
		return 0, false, nil
	}
	if level, known := levelNames[text]; known {
		return level, true, nil
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0, false, err
	}
	switch {
	case number <= 0:
		return 0, false, nil
	case number <= 5:
		return logrus.TraceLevel, true, nil
	case number <= 10:
		return logrus.DebugLevel, true, nil
	case number <= 20:
		return logrus.InfoLevel, true, nil
	case number <= 30:
		return logrus.WarnLevel, true, nil
	case number <= 40:
		return logrus.ErrorLevel, true, nil
	}
	return logrus.FatalLevel, true, nil
}

// checkLevels reads default_log_levels.
func checkLevels(pairs []string) error {
	for _, pair := range pairs {
		name, text, found := strings.Cut(pair, "=")
		if _, _, err := parseLevel(text); err != nil || !found || strings.TrimSpace(name) == "" {
			return errors.New("want pairs of name=LEVEL with CRITICAL, ERROR, WARNING, INFO, DEBUG or a number")
		}
	}
	return nil
}

// setLevels has all loggers log what options ask for at this moment.
func (l *Logs) setLevels() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, log := range l.named {
		if l.level != nil {
			log.SetLevel(*l.level)
		} else {
			log.SetLevel(levelOf(l.config, name))
		}
	}
}

// levelOf is the level of a logger: that of its name or else of the longest one above it, where dots part names, and
// underscores are dots; of two for one name the last. Without any it is that of debug.
func levelOf(c *config.Config, logger string) logrus.Level {
	level := logrus.InfoLevel
	if debugOption.Get(c) {
		level = logrus.DebugLevel
	}
	longest := 0
	for _, pair := range levelsOption.Get(c) {
		name, text, _ := strings.Cut(pair, "=")
		name = dotted(name)
		if name != dotted(logger) && !strings.HasPrefix(dotted(logger), name+".") || len(name) < longest {
			continue
		}
		if own, set, err := parseLevel(text); err == nil && set {
			level, longest = own, len(name)
		}
	}
	return level
}

func dotted(name string) string { return strings.ReplaceAll(strings.TrimSpace(name), "_", ".") }

func isNone(text string) bool { return strings.EqualFold(text, "none") }
