package config

import (
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
)

// Setting is one option for people to look at. Its value is masked where it may be a secret: of options that say so, of
// those whose name has password, secret, _key or a token in it, and the credentials of URLs.
type Setting struct {
	Key    Key
	Value  string
	Source Source
}

// Settings are all options with their values at this moment, sorted, DEFAULT first.
func (c *Config) Settings() []Setting {
	values := c.settings()
	list := make([]Setting, 0, len(values))
	for key, s := range values {
		list = append(list, Setting{key, s.shown(), s.source})
	}
	slices.SortFunc(list, func(a, b Setting) int {
		byGroup := strings.Compare(strings.TrimPrefix(a.Key.Group, DefaultGroup), strings.TrimPrefix(b.Key.Group, DefaultGroup))
		if byGroup != 0 {
			return byGroup
		}
		return strings.Compare(a.Key.Name, b.Key.Name)
	})
	return list
}

// LogOptions logs every option at debug level (oslo.config: log_opt_values), as [Config.Settings] shows it.
func (c *Config) LogOptions(log logrus.FieldLogger) {
	for _, s := range c.Settings() {
		log.WithFields(logrus.Fields{"option": s.Key.String(), "value": s.Value, "source": s.Source.String()}).Debug("option")
	}
}
