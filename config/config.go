package config

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sirupsen/logrus"
)

// Config holds the values of a program's options. Make one with [New], register options, then Parse or Load. Reading
// values is safe at any time; what changes them runs one at a time.
type Config struct {
	program, project string
	files, dirs      []string // by default; nil is to look for them
	log              logrus.FieldLogger
	lookupEnv        func(string) (string, bool)
	etc              string // the folder /etc

	values atomic.Pointer[map[Key]*setting]

	// loading is held for the whole of a Register, Load, Reload or Mutate, files and hooks included, so that one comes
	// after the other; what reads values does not take it. It guards what follows.
	loading     sync.Mutex
	definitions map[Key]*definition
	former      map[Key]*definition
	order       []*definition
	foreign     map[Key]bool
	flags       flags
	loaded      *inputs // nil before Load
	warned      map[string]bool
	hooks       []func([]Change)
}

// Setup is a choice about a Config.
type Setup func(*Config)

// WithProject names the project whose files are read: ~/.project/project.conf, /etc/project/project.conf; see [FindFiles].
// By default there is none, and only files of the program's name are.
func WithProject(project string) Setup { return func(c *Config) { c.project = project } }

// WithFiles reads these files where no --config-file is given, in place of those of [FindFiles].
func WithFiles(files ...string) Setup {
	return func(c *Config) { c.files = append([]string{}, files...) }
}

// WithDirs reads these directories where no --config-dir is given, in place of those of [FindDirs]. Missing ones are passed
// over.
func WithDirs(dirs ...string) Setup { return func(c *Config) { c.dirs = append([]string{}, dirs...) } }

// WithLogger takes the logger for warnings; the default is logrus.StandardLogger().
func WithLogger(log logrus.FieldLogger) Setup { return func(c *Config) { c.log = log } }

// WithEnvironment takes the environment; the default is [os.LookupEnv].
func WithEnvironment(lookup func(name string) (string, bool)) Setup {
	return func(c *Config) { c.lookupEnv = lookup }
}

// New makes a configuration for the program of that name, which names its default file.
func New(program string, setup ...Setup) *Config {
	c := &Config{
		program: program, log: logrus.StandardLogger(), lookupEnv: os.LookupEnv, etc: "/etc",
		definitions: make(map[Key]*definition), former: make(map[Key]*definition),
		foreign: make(map[Key]bool), warned: make(map[string]bool),
	}
	for _, s := range setup {
		s(c)
	}
	c.values.Store(&map[Key]*setting{})
	return c
}

// settings are the values at this moment.
func (c *Config) settings() map[Key]*setting { return *c.values.Load() }

// Register makes options known; the same one may be registered several times. After a Load it takes values at once, but has
// no flags, and Load may have warned of them: register before. It fails with [ErrDuplicate], with what is wrong with an
// option, or after a Load with a [*ValueError]; none of opts is registered then.
func (c *Config) Register(opts ...Definition) error {
	c.loading.Lock()
	defer c.loading.Unlock()
	fresh, err := c.define(opts)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	for _, d := range fresh {
		c.add(d)
	}
	values := maps.Clone(c.settings())
	if c.loaded == nil {
		for _, d := range fresh {
			values[d.key] = &setting{definition: d, value: d.defaultValue}
		}
	} else if err := c.resolveAll(c.loaded, values, fresh); err != nil {
		for _, d := range fresh {
			c.remove(d)
		}
		return fmt.Errorf("config: %w", err)
	}
	c.values.Store(&values)
	return nil
}

// define checks options and leaves those out that are registered already.
func (c *Config) define(opts []Definition) ([]*definition, error) {
	var fresh []*definition
	seen := maps.Clone(c.definitions)
	for _, opt := range opts {
		d, err := opt.define()
		if err != nil {
			return nil, err
		}
		if known := seen[d.key]; known == nil {
			seen[d.key] = d
			fresh = append(fresh, d)
		} else if !known.same(d) {
			return nil, fmt.Errorf("option %s: %w", d.key, ErrDuplicate)
		}
	}
	return fresh, nil
}

func (c *Config) add(d *definition) {
	c.definitions[d.key] = d
	c.order = append(c.order, d)
	for _, key := range d.former {
		if c.former[key] == nil {
			c.former[key] = d
		}
	}
}

func (c *Config) remove(d *definition) {
	delete(c.definitions, d.key)
	c.order = slices.DeleteFunc(c.order, func(other *definition) bool { return other == d })
	maps.DeleteFunc(c.former, func(_ Key, other *definition) bool { return other == d })
}

// find is the option of a present or former name.
func (c *Config) find(key Key) *definition {
	key = key.normal()
	if d := c.definitions[key]; d != nil {
		return d
	}
	return c.former[key]
}

// Ignore makes options of other programs known that share a group with this one, so that no warning is given of them, and
// options of this one may refer to what files say of them; without names it is the whole group.
func (c *Config) Ignore(group string, names ...string) {
	c.loading.Lock()
	defer c.loading.Unlock()
	if len(names) == 0 {
		names = []string{""}
	}
	for _, name := range names {
		c.foreign[Key{group, name}.normal()] = true
	}
}

// resolveAll works the values of some options out into values, which holds those of the others.
func (c *Config) resolveAll(in *inputs, values map[Key]*setting, of []*definition) error {
	for _, d := range of {
		delete(values, d.key)
	}
	r := &resolver{config: c, inputs: in, done: values, active: make(map[Key]bool)}
	for _, d := range of {
		if _, err := r.resolve(d); err != nil {
			return err
		}
	}
	return nil
}
