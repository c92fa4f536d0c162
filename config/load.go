package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
)

// Load reads files and the environment, and flags where [Config.AddFlags] has given them to a command line that was
// parsed before. The error is one line and names the file and line, variable or flag: a [*ParseError], a [*ValueError],
// or one that matches [fs.ErrNotExist] or [fs.ErrPermission].
func (c *Config) Load() error {
	c.loading.Lock()
	defer c.loading.Unlock()
	return c.load()
}

// Reload is a Load again: every option may change, and what [Config.OnChange] asked for is told. All stays as it was when
// it fails.
func (c *Config) Reload() error { return c.Load() }

func (c *Config) load() error {
	in, err := c.read()
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	values := make(map[Key]*setting, len(c.order))
	if err := c.resolveAll(in, values, c.order); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	c.warn(in)
	before, first := c.settings(), c.loaded == nil
	c.loaded = in
	c.values.Store(&values)
	if !first {
		c.tell(changes(c.order, before, values))
	}
	return nil
}

// Mutate reads everything again and takes over the values of Mutable options; see [Config.OnChange]. A change of any other
// is warned of and does not happen. All stays as it was when a file, or the value of a mutable option, is wrong.
func (c *Config) Mutate() error {
	c.loading.Lock()
	defer c.loading.Unlock()
	if c.loaded == nil {
		return c.load()
	}
	in, err := c.read()
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	var mutable []*definition
	for _, d := range c.order {
		if d.mutable {
			mutable = append(mutable, d)
		}
	}
	before := c.settings()
	values := maps.Clone(before)
	if err := c.resolveAll(in, values, mutable); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	c.warn(in)
	c.warnImmutable(in)
	c.values.Store(&values)
	c.tell(changes(mutable, before, values))
	return nil
}

// warnImmutable names the options that a file changes in vain.
func (c *Config) warnImmutable(in *inputs) {
	for _, d := range c.order {
		if d.mutable {
			continue
		}
		old, _ := c.loaded.of(d)
		if now, _ := in.of(d); !slices.Equal(old.texts, now.texts) {
			c.log.WithFields(logrus.Fields{"option": d.key.String(), "source": now.source.String()}).
				Warn("the change of an option is ignored until a restart")
		}
	}
}

// Change is one option that has another value than before. Values of secret options are masked.
type Change struct {
	Key      Key
	Old, New string
}

// OnChange has f called after each Reload and Mutate that changed options, in the order of registration. f runs before the
// call returns, may read options, and must not load, mutate or register.
func (c *Config) OnChange(f func([]Change)) {
	c.loading.Lock()
	defer c.loading.Unlock()
	c.hooks = append(c.hooks, f)
}

func changes(of []*definition, before, after map[Key]*setting) []Change {
	var list []Change
	for _, d := range of {
		old, now := before[d.key], after[d.key]
		if !slices.Equal(d.write(old.value), d.write(now.value)) {
			list = append(list, Change{d.key, old.shown(), now.shown()})
		}
	}
	return list
}

func (c *Config) tell(list []Change) {
	if len(list) == 0 {
		return
	}
	for _, change := range list {
		c.log.WithFields(logrus.Fields{"option": change.Key.String(), "old": change.Old, "new": change.New}).Info("an option has changed")
	}
	for _, hook := range c.hooks {
		hook(list)
	}
}

// read reads all files.
func (c *Config) read() (*inputs, error) {
	in := &inputs{flags: c.flags.values, lookupEnv: c.lookupEnv}
	paths, err := c.paths()
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		doc, err := c.readFile(path)
		if err != nil {
			return nil, err
		}
		in.documents = append(in.documents, doc)
	}
	return in, nil
}

// paths are the files to read: default files, default directories, then what the command line names, in its order
// (cfg.py, ConfigOpts._parse_config_files).
func (c *Config) paths() ([]string, error) {
	var paths []string
	if !c.flags.named(fileFlag) {
		paths = c.defaultFiles()
	}
	if !c.flags.named(dirFlag) {
		for _, dir := range c.defaultDirs() {
			inside, err := c.inDir(dir)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, err
			}
			paths = append(paths, inside...)
		}
	}
	for _, named := range c.flags.sources {
		if named.flag == fileFlag {
			paths = append(paths, named.path)
			continue
		}
		inside, err := c.inDir(named.path)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", dirFlag, err)
		}
		paths = append(paths, inside...)
	}
	return paths, nil
}

func (c *Config) defaultFiles() []string {
	if c.files != nil {
		return c.files
	}
	return c.findAll(".conf")
}

func (c *Config) defaultDirs() []string {
	if c.dirs != nil {
		return c.dirs
	}
	return c.findAll(".conf.d")
}

// inDir lists the files *.conf of a directory as Python's glob does: sorted, without those that begin with a dot.
func (c *Config) inDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(c.expandHome(dir))
	if err != nil {
		return nil, fmt.Errorf("read directory: %w", err)
	}
	var paths []string
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".conf") && !strings.HasPrefix(name, ".") {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths, nil
}

func (c *Config) readFile(path string) (*document, error) {
	f, err := os.Open(c.expandHome(path))
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("read file: %s: larger than %d bytes", path, maxFile)
	}
	return parseINI(path, text)
}

// warn tells, once each, of former names and obsolete options in use and of names in groups of ours that no option has.
func (c *Config) warn(in *inputs) {
	for _, d := range c.order {
		if d.obsolete == "" {
			continue
		}
		if found, ok := in.of(d); ok {
			c.warnOnce(d.key.String(), "an option is deprecated and may be without effect one day",
				logrus.Fields{"option": d.key.String(), "source": found.source.String(), "reason": d.obsolete})
		}
	}
	ours := make(map[string]bool)
	for _, d := range c.order {
		ours[d.key.Group] = true
	}
	for _, doc := range in.documents {
		for _, e := range doc.entries {
			c.warnEntry(e, Source{Kind: FromFile, Name: doc.file, Line: e.line}, ours)
		}
	}
}

func (c *Config) warnEntry(e *entry, at Source, ours map[string]bool) {
	d := c.former[e.key]
	switch {
	case c.definitions[e.key] != nil:
	case d != nil:
		c.warnOnce(e.key.String(), "an option has another name now",
			logrus.Fields{"option": e.key.String(), "source": at.String(), "now": d.key.String()})
	case !ours[e.key.Group] || c.foreign[e.key] || c.foreign[Key{Group: e.key.Group}]:
	default:
		c.warnOnce(e.key.String(), "unknown option", logrus.Fields{"option": e.key.String(), "source": at.String()})
	}
}

func (c *Config) warnOnce(about, message string, fields logrus.Fields) {
	about = message + " " + about
	if !c.warned[about] {
		c.warned[about] = true
		c.log.WithFields(fields).Warn(message)
	}
}
